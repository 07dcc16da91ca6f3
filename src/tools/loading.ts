/**
 * Policies as the tools use them: built out of a folder by OPA, read as the sidecar does, and judged by loading them as the
 * sidecar does. Which engine is asked afterwards is the matter of judge.ts and of the bench.
 */
import { readFile } from 'node:fs/promises';
import { resolveName, unpackArchive } from '../bundle/archive.ts';
import { type Bundle, readBundle } from '../bundle/bundle.ts';
import { compileModules, OPTIONAL_ENTRYPOINTS, REQUIRED_ENTRYPOINTS } from '../bundle/compile.ts';
import { NO_CACHE } from '../bundle/compiled-cache.ts';
import { readTree } from '../bundle/json-tree.ts';
import { findManifest, readManifest } from '../bundle/manifest.ts';
import { PolicyRefused } from '../bundle/refusal.ts';
import type { Signing } from '../bundle/signature.ts';
import { type Opa, OpaFailed, openOpa } from '../opa/opa.ts';
import type { OpaAnswer, OpaProblem, OpaRequest } from '../opa/requests.ts';
import { loadPolicy, type PolicyOptions } from '../policy/policy.ts';
import { MAX_DATA_MEMORY_BYTES, MAX_MEMORY_BYTES, MAX_TTL_SECONDS } from './engine.ts';
import { describeFileProblem, EXIT, isFolder, ToolError } from './io.ts';
import { describeProblem, sortProblems } from './problems.ts';
import { readSourceFolder, type SourceFolder, withoutTests } from './source-folder.ts';

/** Far beyond what a sidecar allows: a tool has the machine for itself. */
const MAX_BUNDLE_BYTES = 1024 * 1024 * 1024;
export const OPA_OPTIONS = { timeoutMs: 300_000, maxMemoryBytes: 2 * 1024 * 1024 * 1024 };

/** More than a sidecar gives by default: a configuration may allow it, and the machine may be a slow one. */
export const PATIENT: PolicyOptions = {
  workers: 1,
  timeoutMs: 10_000,
  maxMemoryBytes: MAX_MEMORY_BYTES,
  maxDataMemoryBytes: MAX_DATA_MEMORY_BYTES,
  maxTtlSeconds: MAX_TTL_SECONDS,
  now: Date.now,
};

/** Patient: it may be a large policy on a busy machine. */
export function openToolOpa(): Opa {
  return openOpa(OPA_OPTIONS);
}

/** Rejects with ToolError where OPA comes to no answer. */
export async function askOpa<R extends OpaRequest>(opa: Opa, request: R): Promise<OpaAnswer<R['command']>> {
  try {
    return await opa.ask(request);
  } catch (cause) {
    throw cause instanceof OpaFailed ? new ToolError(cause.message) : cause;
  }
}

/** The policy itself has to be mended. */
export function problemsFound(problems: readonly OpaProblem[], folder: SourceFolder): ToolError {
  const told = sortProblems(problems).map((one) => describeProblem(one, folder));
  return new ToolError(told.join('').trimEnd(), EXIT.found);
}

export interface BuildOptions {
  readonly target: 'rego' | 'wasm';
  /** Without it the one in `.manifest`. */
  readonly revision?: string;
}

/** A gzipped tar as `opa build --bundle` writes it. Rejects with ToolError. */
export async function buildArchive(opa: Opa, folder: SourceFolder, { target, revision }: BuildOptions): Promise<Buffer> {
  const { result, errors } = await askOpa(opa, {
    command: 'build',
    target,
    files: withoutTests(folder.files),
    as_bundle: true,
    entrypoints: target === 'wasm' ? REQUIRED_ENTRYPOINTS : [],
    optional_entrypoints: target === 'wasm' ? OPTIONAL_ENTRYPOINTS : [],
    ...(revision === undefined ? {} : { revision }),
  });
  if (errors !== undefined) throw problemsFound(errors, folder);
  return Buffer.from(result.bundle, 'base64');
}

/** As the sidecar would, asked on trial as well, with other limits. Rejects with ToolError. */
export async function loadArchive(opa: Opa, archive: Uint8Array, signing: Signing | null = null): Promise<Bundle> {
  const compiled = { ...NO_CACHE, read: () => compileArchive(opa, archive) };
  try {
    const bundle = await readBundle(archive, { maxBytes: MAX_BUNDLE_BYTES, signing, compile: OPA_OPTIONS }, compiled);
    await (await loadPolicy(bundle, PATIENT)).close();
    return bundle;
  } catch (cause) {
    if (cause instanceof PolicyRefused) throw new ToolError(`the sidecar would not load this: ${cause.message}`, EXIT.found);
    throw cause;
  }
}

/** By the OPA that is open already: to begin another takes longer than to compile. */
async function compileArchive(opa: Opa, archive: Uint8Array): Promise<Uint8Array> {
  const members = await unpackArchive(archive, MAX_BUNDLE_BYTES);
  const manifest = findManifest(members);
  const rules = readManifest(manifest === null ? undefined : readTree(members.get(manifest) as Uint8Array), members);
  const rego = [...members].filter(([name]) => name.endsWith('.rego'));
  const modules = Object.fromEntries(rego.map(([name, bytes]) => [resolveName(name), bytes.toString()]));
  return compileModules(modules, rules, (request) => askOpa(opa, request), NO_CACHE);
}

/** A bundle as it is, or what a folder would be built into. Rejects with ToolError. */
export async function readArchive(opa: Opa, path: string, revision = 'draft'): Promise<Uint8Array> {
  if (!(await isFolder(path)))
    return readFile(path).catch((cause: unknown) => {
      throw describeFileProblem(path, cause);
    });
  return buildArchive(opa, await readSourceFolder(path), { target: 'rego', revision });
}
