/**
 * The members of a gzipped tar archive. Bounded in bytes, packed and unpacked, and in members; refused: links, devices, names
 * that leave the root or that two readers could take for different ones, and two members of one name.
 */
import { promisify } from 'node:util';
import { gunzip as gunzipCallback } from 'node:zlib';
import { extract } from 'tar-stream';
import { foldedForms } from '../mcp/keys.ts';
import { PolicyRefused } from './refusal.ts';

/** Contents by name, without a leading `/` or `./`. */
export type Members = ReadonlyMap<string, Buffer>;

const gunzip = promisify(gunzipCallback);

const MAX_MEMBERS = 10_000;
const MAX_NAME_LENGTH = 1024;

/** Rejects with PolicyRefused. */
export async function unpackArchive(archive: Uint8Array, maxBytes: number): Promise<Members> {
  const members = new Map<string, Buffer>();
  const folded = new Set<string>();
  const tar = extract();
  tar.end(await unzip(archive, maxBytes));
  try {
    for await (const entry of tar) {
      const { name, type } = entry.header;
      if (type !== 'file' && type !== 'directory') throw notAllowed(name, `is a ${type}`);
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      if (type === 'file') members.set(nameMember(name, members, folded), Buffer.concat(chunks));
    }
  } catch (cause) {
    throw cause instanceof PolicyRefused ? cause : notAnArchive(cause);
  }
  refuseFilesAsFolders(members.keys(), folded);
  return members;
}

async function unzip(archive: Uint8Array, maxBytes: number): Promise<Buffer> {
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

function notAllowed(name: string, why: string): PolicyRefused {
  return new PolicyRefused('member_invalid', `the member ${JSON.stringify(name.slice(0, 200))} ${why}`);
}

/** The name as it counts here, now taken. */
function nameMember(name: string, members: Members, folded: Set<string>): string {
  const path = name.replace(/^\.?\//, '');
  if (path.length > MAX_NAME_LENGTH) throw notAllowed(name, 'has too long a name');
  // U+FFFD stands for bytes that are no UTF-8.
  if (/[\p{Cc}\p{Cs}\\\ufffd]/u.test(path)) throw notAllowed(name, 'has a name that is not allowed');
  if (path.split('/').some((part) => part === '..' || part === '.' || part === ''))
    throw notAllowed(name, 'has a name that is not allowed');
  const forms = foldedForms(path);
  if (forms.some((form) => folded.has(form))) throw notAllowed(name, 'is in the bundle twice');
  for (const form of forms) folded.add(form);
  if (members.size === MAX_MEMBERS) throw new PolicyRefused('too_large', `the bundle has more than ${MAX_MEMBERS} members`);
  return path;
}

/** No file system could hold both. */
function refuseFilesAsFolders(names: Iterable<string>, folded: ReadonlySet<string>): void {
  for (const name of names) {
    for (let slash = name.indexOf('/'); slash >= 0; slash = name.indexOf('/', slash + 1)) {
      const folder = name.slice(0, slash);
      if (foldedForms(folder).some((form) => folded.has(form))) throw notAllowed(folder, 'is a file and a folder');
    }
  }
}
