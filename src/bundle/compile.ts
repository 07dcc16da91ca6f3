/**
 * Plain Rego into WebAssembly, by OPA's own compiler. What was compiled is known by all that decides what comes out, so that a
 * bundle with other data alone is not compiled again.
 */
import { createHash } from 'node:crypto';
import type { OpaProblem } from '../opa/requests.ts';
import { unpackArchive } from './archive.ts';
import type { CompiledCache } from './compiled-cache.ts';
import type { Manifest } from './manifest.ts';
import { type BundleRefusal, PolicyRefused } from './refusal.ts';
import { type AskOpa, describeProblems } from './run-opa.ts';

/** Of the OPA in compiler/. */
export const OPA_VERSION = '1.22.0';

export const REQUIRED_ENTRYPOINTS = ['mcp/inbound/decision', 'mcp/outbound/decision'] as const;
/** Compiled where there is such a rule. */
export const OPTIONAL_ENTRYPOINTS = ['system/log/mask', 'system/log/drop'] as const;

export type Modules = Readonly<Record<string, string>>;

/** What of a manifest counts for the modules. */
export type ModuleRules = Pick<Manifest, 'roots' | 'rego'>;

const MAX_COMPILED_BYTES = 256 * 1024 * 1024;

/** Rejects with PolicyRefused. */
export async function compileModules(
  modules: Modules,
  rules: ModuleRules,
  ask: AskOpa,
  cache: CompiledCache,
): Promise<Uint8Array> {
  const key = compiledKey(modules, rules);
  const known = await cache.read(key);
  if (known !== null) return known;
  const wasm = await compile(modules, rules, ask);
  await cache.write(key, wasm);
  return wasm;
}

/** The name of what would be compiled of these. */
export function compiledKey(modules: Modules, { roots, rego }: ModuleRules): string {
  const files = Object.entries(modules).sort(([one], [other]) => (one < other ? -1 : 1));
  const all = [OPA_VERSION, REQUIRED_ENTRYPOINTS, OPTIONAL_ENTRYPOINTS, roots, rego, files];
  return createHash('sha256').update(JSON.stringify(all)).digest('hex');
}

async function compile(modules: Modules, { roots, rego }: ModuleRules, ask: AskOpa): Promise<Uint8Array> {
  const { result, errors } = await ask({
    command: 'build',
    target: 'wasm',
    files: { ...modules, '.manifest': JSON.stringify({ roots, ...rego }) },
    entrypoints: REQUIRED_ENTRYPOINTS,
    optional_entrypoints: OPTIONAL_ENTRYPOINTS,
    as_bundle: true,
  });
  if (result === undefined) throw new PolicyRefused(refusalOf(errors), describeProblems(errors));
  const wasm = (await unpackArchive(Buffer.from(result.bundle, 'base64'), MAX_COMPILED_BYTES)).get('policy.wasm');
  if (wasm === undefined) throw new PolicyRefused('rego_invalid', 'nothing came of compiling the Rego');
  return wasm;
}

const BY_MESSAGE: readonly (readonly [RegExp, BundleRefusal])[] = [
  [/^entrypoint .* does not refer to a rule/, 'entrypoint_missing'],
  [/^manifest roots .* do not permit/, 'roots_invalid'],
];

/** Problems with a code of OPA's are ones of the Rego. */
function refusalOf(problems: readonly OpaProblem[]): BundleRefusal {
  const [{ code, message } = { code: 'error', message: '' }] = problems;
  const found = code === 'error' ? BY_MESSAGE.find(([pattern]) => pattern.test(message)) : undefined;
  return found?.[1] ?? 'rego_invalid';
}
