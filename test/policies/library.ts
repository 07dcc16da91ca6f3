/** policies/library and its examples, compiled by the OPA inside and evaluated as the sidecar does. */
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { loadPolicy } from '@open-policy-agent/opa-wasm';
import { parse } from 'yaml';
import { POLICIES, readBundle } from '../../scripts/policies.ts';
import { OPA_DEFAULTS, openOpa } from '../../src/opa/opa.ts';
import { connectBuiltins, createBuiltins } from '../../src/policy/builtins.ts';

type Files = Readonly<Record<string, string>>;

export const opa = openOpa({ ...OPA_DEFAULTS, timeoutMs: 120_000 });

/** Text by path, as the author of a policy would have the files: the library in a folder, what is their own at the top. */
export function sources(folder: string, into = ''): Files {
  const names = globSync('**/*.{rego,yaml}', { cwd: join(POLICIES, folder) });
  return Object.fromEntries(
    names.map((name) => [join(into, name).replaceAll('\\', '/'), readFileSync(join(POLICIES, folder, name), 'utf8')]),
  );
}

export const library: Files = sources('library', 'library');

export const schemas: Readonly<Record<string, object>> = Object.fromEntries(
  globSync('*.json', { cwd: join(POLICIES, 'schemas') }).map((file) => [
    basename(file, '.json'),
    JSON.parse(readFileSync(join(POLICIES, 'schemas', file), 'utf8')),
  ]),
);

/** The document of each module, by the path it has in `data`. */
export const documents: Readonly<Record<string, string>> = {
  rbac: 'rbac.v1',
  scopes: 'scopes.v1',
  abac: 'abac.v1',
  agent_and_user: 'agent-and-user.v1',
  read_only: 'read-only.v1',
  tenancy: 'tenancy.v1',
  tenants: 'tenants.v1',
  outbound: 'outbound.v1',
  windows: 'windows.v1',
  protocol: 'protocol.v1',
  'mcp.arguments': 'declared-arguments.v1',
  'mcp.lib.log_only': 'log-only.v1',
};

/** The part of a data document at a path with dots. */
export function at(data: unknown, path: string): unknown {
  return path.split('.').reduce((part: unknown, name) => (part as Record<string, unknown> | undefined)?.[name], data);
}

export function withoutTests(files: Files): Files {
  return Object.fromEntries(Object.entries(files).filter(([name]) => !name.endsWith('_test.rego')));
}

/** What an entry point says of an input; undefined where it is. */
export type Ask = (entrypoint: string, input: unknown) => unknown;

/** Built, loaded with the built-ins of the sidecar and a bounded memory. */
export async function compile(files: Files, entrypoints: readonly string[]): Promise<{ ask: Ask; data: unknown }> {
  const { result, errors } = await opa.ask({ command: 'build', target: 'wasm', files, entrypoints });
  if (errors !== undefined) throw new Error(errors.map(({ file, row, message }) => `${file}:${row}: ${message}`).join('\n'));
  const members = readBundle(Buffer.from(result.bundle, 'base64'));
  const data: object = JSON.parse((members.get('/data.json') ?? Buffer.from('{}')).toString('utf8'));
  const builtins = createBuiltins(Date.now);
  const wasm = Uint8Array.from(members.get('/policy.wasm') ?? []);
  const policy = await loadPolicy(wasm, { initial: 64, maximum: 512 }, builtins);
  policy.setData(data);
  connectBuiltins(builtins, policy.wasmInstance);
  return {
    data,
    ask: (entrypoint, input) => {
      const text = typeof input === 'string' ? input : JSON.stringify(input);
      return policy.evaluate(new TextEncoder().encode(text).buffer, entrypoint)[0]?.result;
    },
  };
}

export function readYaml(text: string): unknown {
  return parse(text, { merge: true });
}
