/**
 * An OPA bundle, plain Rego or compiled to WebAssembly: unpacked, its signature and every member's hash verified, its data
 * merged, what lies outside its roots refused, and compiled where it has to be. What is not signed is not looked into first.
 */
import { createHash } from 'node:crypto';
import { type Members, resolveName, unpackArchive } from './archive.ts';
import { compileModules, type Modules } from './compile.ts';
import { type CompiledCache, NO_CACHE } from './compiled-cache.ts';
import { type Documents, mergeData, readDocuments } from './documents.ts';
import { hashMember, isDocument } from './hash.ts';
import { writeTree } from './json-tree.ts';
import { checkDataRoots, findManifest, readManifest } from './manifest.ts';
import { PolicyRefused } from './refusal.ts';
import { type AskOpa, type CompileLimits, decodeText, withOpa } from './run-opa.ts';
import { isExcluded, SIGNATURES_FILE, type Signature, type Signing, verifySignature } from './signature.ts';

export interface Bundle {
  /** `.manifest`'s: which version of the policy this is. */
  readonly revision: string;
  /** SHA-256 of the archive, in hexadecimal. */
  readonly digest: string;
  /** That of what is in it: the same however it is packed and signed, and whichever way its files are named by. */
  readonly contentDigest: string;
  readonly wasm: Uint8Array;
  /** The data document as JSON text, an object; numbers as they were written. */
  readonly data: string;
  /** Rego by its place in the bundle. Beside a `policy.wasm` OPA leaves out the rules that are its entry points. */
  readonly modules: Modules;
  /** The id of the key; null where no signature was asked for. */
  readonly signedBy: string | null;
}

export interface BundleRules {
  /** Packed, and unpacked as a tar archive. */
  readonly maxBytes: number;
  /** Null: signatures are not looked at. */
  readonly signing: Signing | null;
  readonly compile: CompileLimits;
}

/** Rejects with PolicyRefused. */
export async function readBundle(archive: Uint8Array, rules: BundleRules, compiled: CompiledCache = NO_CACHE): Promise<Bundle> {
  const members = await unpackArchive(archive, rules.maxBytes);
  const delta = [...members.keys()].find((path) => /(^|\/)patch\.json$/.test(path));
  if (delta !== undefined) throw new PolicyRefused('delta_refused', `delta bundles are not accepted (${delta})`);
  return withOpa(rules.compile, async (ask) => {
    const signature = rules.signing === null ? null : await verifySignature(members, rules.signing);
    const signed = await verifyMembers(members, rules.signing, signature, ask);
    const manifestPath = findManifest(members);
    const documents = signed ?? (await readDocuments(members, manifestPath, ask));
    const manifest = readManifest(documents.get(manifestPath ?? ''), members);
    try {
      const data = mergeData(documents);
      checkDataRoots(data, manifest.roots);
      const modules = readModules(members);
      return {
        revision: manifest.revision,
        digest: sha256(archive),
        contentDigest: digestContent(members, documents),
        wasm: findWasm(members) ?? (await compileModules(modules, manifest, ask, compiled)),
        data: writeTree(data),
        modules,
        signedBy: signature?.keyId ?? null,
      };
    } catch (cause) {
      if (cause instanceof PolicyRefused) cause.revision = manifest.revision;
      throw cause;
    }
  });
}

/** Documents count as what they say, as in a signature; the rest, read or not, as it is. */
function digestContent(members: Members, documents: Documents): string {
  const files = [...members].filter(([name]) => name !== SIGNATURES_FILE);
  const hashes = files.map(([name, bytes]) => [resolveName(name), hashMember('SHA-256', documents.get(name) ?? bytes)] as const);
  return sha256(JSON.stringify(hashes.sort(([one], [other]) => (one < other ? -1 : 1))));
}

function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** The documents, once each member is known to be what was signed; null where nothing has to be signed. */
async function verifyMembers(
  members: Members,
  signing: Signing | null,
  signature: Signature | null,
  ask: AskOpa,
): Promise<Documents | null> {
  if (signing === null || signature === null) return null;
  const { files } = signature;
  const names = [...members.keys()].filter((path) => path !== SIGNATURES_FILE);
  const unlisted = names.find((path) => !files.has(path) && !isExcluded(path, signing));
  if (unlisted !== undefined) throw mismatch(unlisted, 'is not in the signature');
  const missing = [...files.keys()].find((name) => name === SIGNATURES_FILE || !members.has(name));
  if (missing !== undefined) throw mismatch(missing, 'is in the signature and not in the bundle');

  const compare = (path: string, content: Parameters<typeof hashMember>[1]) => {
    const file = files.get(path);
    if (file === undefined || isExcluded(path, signing)) return;
    if (hashMember(file.algorithm, content) !== file.hash) throw mismatch(path, 'is not what was signed');
  };
  for (const [path, bytes] of members) if (!isDocument(path)) compare(path, bytes);
  return readDocuments(members, findManifest(members), ask, (path, tree) => {
    if (isDocument(path)) compare(path, tree);
  });
}

function mismatch(path: string, why: string): PolicyRefused {
  return new PolicyRefused('digest_mismatch', `${path} ${why}`);
}

function findWasm(members: Members): Uint8Array | null {
  const found = [...members.keys()].filter((path) => /(^|\/)policy\.wasm$/.test(path));
  if (found.length > 1) throw new PolicyRefused('wasm_invalid', `there are several compiled policies: ${found.join(', ')}`);
  return members.get(found[0] ?? '') ?? null;
}

function readModules(members: Members): Modules {
  const paths = [...members.keys()].filter((path) => path.endsWith('.rego'));
  if (paths.length === 0 && findWasm(members) === null)
    throw new PolicyRefused('entrypoint_missing', 'the bundle holds neither Rego nor a policy.wasm');
  return Object.fromEntries(paths.map((path) => [resolveName(path), decodeText(path, members, 'rego_invalid')]));
}
