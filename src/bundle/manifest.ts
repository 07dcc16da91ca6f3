/**
 * `.manifest`: which revision this is, and below which roots all that it holds must lie (OPA documentation, "Bundle File
 * Format"). What OPA knows and this does not use is left alone.
 */
import { hasLookAlike, knownKeys } from '../mcp/keys.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import { type Members, resolveName } from './archive.ts';
import { type JsonTree, writeTree } from './json-tree.ts';
import { PolicyRefused } from './refusal.ts';
import { findStray, isBelowRoot, plantRoots, readRoots } from './roots.ts';

export interface Manifest {
  readonly revision: string;
  /** Paths in the data document without slashes at their ends; `['']` is all of it. */
  readonly roots: readonly string[];
  /** What of the manifest decides how Rego is read. */
  readonly rego: JsonObject;
}

const KEYS = ['revision', 'roots', 'wasm', 'rego_version', 'file_rego_versions', 'metadata'];
const KNOWN_KEYS = knownKeys(KEYS);

/** The member that OPA takes for the manifest. Throws PolicyRefused where there are several. */
export function findManifest(members: Members): string | null {
  const found = [...members.keys()].filter((path) => /\.manifest(\.pb)?$/.test(path));
  if (found.length > 1) throw invalid(`there are several: ${found.join(', ')}`);
  const [path = null] = found;
  if (path?.endsWith('.pb') === true) throw invalid('as a protocol buffer it is not read');
  return path;
}

/** Throws PolicyRefused. */
export function readManifest(tree: JsonTree | undefined, members: Members): Manifest {
  const manifest = tree === undefined ? {} : (JSON.parse(writeTree(tree)) as unknown);
  if (!isObject(manifest)) throw invalid('it is no JSON object');
  // OPA's reader does not tell capitals from small letters: it would see roots here that we do not.
  if (hasLookAlike(manifest, KNOWN_KEYS))
    throw invalid(`it has a key that differs from ${KEYS.join(', ')} in its spelling alone`);
  const { roots: given = null } = manifest;
  if (given !== null && !(Array.isArray(given) && given.every((root) => typeof root === 'string')))
    throw invalid('`roots` is no array of strings');
  const roots = readRoots(given ?? ['']);
  checkResolvers(manifest.wasm ?? [], roots, members);
  return { revision: readRevision(manifest.revision), roots, rego: readRegoVersions(manifest) };
}

/** All of the data must lie below the roots, but for the objects that lead there. */
export function checkDataRoots(data: JsonTree, roots: readonly string[]): void {
  const stray = findStray(data, plantRoots(roots));
  if (stray !== null)
    throw new PolicyRefused('roots_invalid', `the roots of the manifest do not permit data at /${stray.join('/')}`);
}

function invalid(why: string): PolicyRefused {
  return new PolicyRefused('manifest_invalid', `.manifest is not accepted: ${why}`);
}

function readRevision(revision: unknown): string {
  if (typeof revision === 'string' && /^[\x21-\x7e]{1,128}$/.test(revision)) return revision;
  throw new PolicyRefused(
    'revision_missing',
    'the bundle has no revision of 1 to 128 visible ASCII characters: build it with `opa build --revision`, or write `revision` in .manifest',
  );
}

/** As OPA: each names a module that is there, below the roots, and no rule twice. */
function checkResolvers(value: unknown, roots: readonly string[], members: Members): void {
  if (!Array.isArray(value)) throw invalid('`wasm` is no array');
  const tree = plantRoots(roots);
  const seen = new Set<string>();
  for (const resolver of value as unknown[]) {
    const { entrypoint = '', module = '' } = isObject(resolver) ? resolver : { entrypoint: null };
    if (typeof entrypoint !== 'string' || typeof module !== 'string') throw invalid('`wasm` is no list of entry points');
    if (!members.has(module.replace(/^\//, ''))) throw invalid(`the module ${module} is not there`);
    if (!isBelowRoot(entrypoint, tree))
      throw new PolicyRefused('roots_invalid', `the roots of the manifest do not permit the entry point ${entrypoint}`);
    if (seen.has(entrypoint)) throw invalid(`the entry point ${entrypoint} is there twice`);
    seen.add(entrypoint);
  }
}

function readRegoVersions({ rego_version, file_rego_versions }: JsonObject): JsonObject {
  const isVersion = (value: unknown) => value === 0 || value === 1;
  if (rego_version != null && !isVersion(rego_version)) throw invalid('`rego_version` is neither 0 nor 1');
  if (file_rego_versions != null && !(isObject(file_rego_versions) && Object.values(file_rego_versions).every(isVersion)))
    throw invalid('a version in `file_rego_versions` is neither 0 nor 1');
  return {
    ...(rego_version == null ? {} : { rego_version }),
    ...(file_rego_versions == null ? {} : { file_rego_versions: resolvePatterns(file_rego_versions) }),
  };
}

/** OPA writes places here, and people also names in the archive: it compares these, and we give it places. */
function resolvePatterns(versions: object): JsonObject {
  const resolve = (pattern: string) => (pattern.startsWith('/') ? `/${resolveName(pattern.slice(1))}` : pattern);
  return Object.fromEntries(Object.entries(versions).map(([pattern, version]) => [resolve(pattern), version]));
}
