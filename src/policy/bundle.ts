/**
 * An OPA bundle (a gzipped tar: policy.wasm, data.json, .manifest) into its parts. Bounded in size and in members;
 * refused: links, devices, paths that leave the root, the same member twice, delta bundles, a bundle without a policy.
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip as gunzipCallback } from 'node:zlib';
import { extract } from 'tar-stream';
import { readJson } from '../mcp/json.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import { PolicyRefused } from './engine.ts';

export interface Bundle {
  readonly wasm: Uint8Array;
  /** The data document as JSON text. */
  readonly data: string;
  /** `.manifest`'s revision: which version of the policy this is. */
  readonly revision: string;
  /** SHA-256 of the archive, hex. */
  readonly digest: string;
}

export interface BundleLimits {
  /** Packed, and unpacked as a tar archive. */
  readonly maxBytes: number;
}

const gunzip = promisify(gunzipCallback);

const MAX_MEMBERS = 1000;
const MAX_DEPTH = 64;

/** Rejects with PolicyRefused. */
export async function readBundle(archive: Uint8Array, limits: BundleLimits): Promise<Bundle> {
  const members = await unpack(archive, limits);
  if (members.has('patch.json')) throw new PolicyRefused('delta_refused', 'delta bundles are not accepted');
  const wasm = members.get('policy.wasm');
  if (wasm === undefined)
    throw new PolicyRefused('entrypoint_missing', 'the bundle holds no policy.wasm: build it with `opa build -t wasm`');
  const stray = [...members.keys()].find((path) => /^(.+\/)?data\.ya?ml$|\/data\.json$/.test(path));
  if (stray !== undefined)
    throw new PolicyRefused('member_invalid', `${stray} would not be read: build with \`opa build\`, which makes one data.json`);
  const manifest = parse(members, '.manifest', limits) ?? {};
  const revision = manifest.revision;
  if (typeof revision !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(revision)) {
    throw new PolicyRefused('revision_missing', 'the bundle has no revision: build it with `opa build --revision`');
  }
  parse(members, 'data.json', limits);
  const digest = createHash('sha256').update(archive).digest('hex');
  return { wasm, data: members.get('data.json')?.toString() ?? '{}', revision, digest };
}

function parse(members: ReadonlyMap<string, Buffer>, name: string, limits: BundleLimits): JsonObject | undefined {
  const bytes = members.get(name);
  if (bytes === undefined) return undefined;
  const document = readJson(bytes, { maxBytes: limits.maxBytes, maxDepth: MAX_DEPTH });
  if (!document.ok) throw new PolicyRefused('data_invalid', `${name} cannot be read: ${document.denial.reason}`);
  if (!isObject(document.value.value)) throw new PolicyRefused('data_invalid', `${name} is not a JSON object`);
  return document.value.value;
}

async function unpack(archive: Uint8Array, limits: BundleLimits): Promise<Map<string, Buffer>> {
  const members = new Map<string, Buffer>();
  const tar = extract();
  tar.end(await unzip(archive, limits));
  try {
    for await (const entry of tar) {
      const { name, type } = entry.header;
      if (type !== 'file' && type !== 'directory') throw new PolicyRefused('member_invalid', `${name} is a ${type}`);
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      if (type === 'file') add(members, name, Buffer.concat(chunks));
    }
  } catch (cause) {
    throw cause instanceof PolicyRefused ? cause : notAnArchive(cause);
  }
  return members;
}

async function unzip(archive: Uint8Array, { maxBytes }: BundleLimits): Promise<Buffer> {
  if (archive.byteLength > maxBytes) throw new PolicyRefused('too_large', `the bundle is larger than ${maxBytes} bytes`);
  try {
    return await gunzip(archive, { maxOutputLength: maxBytes });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw new PolicyRefused('too_large', `the bundle unpacks to more than ${maxBytes} bytes`);
    throw notAnArchive(cause);
  }
}

function notAnArchive(cause: unknown): PolicyRefused {
  return new PolicyRefused('archive_invalid', 'the bundle is not a gzipped tar archive', { cause });
}

function add(members: Map<string, Buffer>, name: string, bytes: Buffer): void {
  const path = name.replace(/^\.?\//, '');
  if (path.split('/').some((part) => part === '..' || part === '.' || part === ''))
    throw new PolicyRefused('member_invalid', `the member name ${name} is not allowed`);
  if (members.has(path)) throw new PolicyRefused('member_invalid', `${path} is in the bundle twice`);
  if (members.size === MAX_MEMBERS) throw new PolicyRefused('too_large', `the bundle has more than ${MAX_MEMBERS} members`);
  members.set(path, bytes);
}
