/**
 * The members of a gzipped tar archive. Bounded in bytes, packed and unpacked, in members and in how deep they lie; refused: links,
 * devices, names that two readers could take for different ones, and two members of one name. Nothing is written by these names.
 */
import { promisify } from 'node:util';
import { gunzip as gunzipCallback } from 'node:zlib';
import { extract } from 'tar-stream';
import { foldedForms } from '../mcp/keys.ts';
import { PolicyRefused } from './refusal.ts';

/** Contents by name: that of the archive, and of a signature, without a leading `/` or `./`. It may begin with `../`. */
export type Members = ReadonlyMap<string, Buffer>;

const gunzip = promisify(gunzipCallback);

const MAX_MEMBERS = 10_000;
const MAX_NAME_LENGTH = 1024;
const MAX_FOLDERS = 64;
const ADVICE = 'build from inside the folder, with `opa build -b .`';

/** Rejects with PolicyRefused. */
export async function unpackArchive(archive: Uint8Array, maxBytes: number): Promise<Members> {
  const members = new Map<string, Buffer>();
  const folded = new Set<string>();
  // Before POSIX a header did not say that it is one of tar; its checksum does. The types know nothing of the option.
  const tar = extract({ allowUnknownFormat: true } as object);
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
  refuseFilesAsFolders(folded);
  return members;
}

/**
 * Where a member lies in the bundle. `opa build -b ../policy` names it by the way to it, and OPA leaves out what leads up before
 * it looks at the folders, those of data included.
 */
export function resolveName(name: string): string {
  return name.replace(/^(?:\.\.\/)+/, '');
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
  const place = resolveName(path);
  const parts = place.split('/');
  if (parts.some((part) => part === '..' || part === '.' || part === ''))
    throw notAllowed(name, `has a name that is not allowed: ${ADVICE}`);
  if (parts.length > MAX_FOLDERS + 1) throw notAllowed(name, `lies deeper than ${MAX_FOLDERS} folders`);
  const forms = foldedForms(place);
  if (forms.some((form) => folded.has(form)))
    throw notAllowed(name, `is in the bundle twice${place === path ? '' : `, as ${place}: ${ADVICE}`}`);
  for (const form of forms) folded.add(form);
  if (members.size === MAX_MEMBERS) throw new PolicyRefused('too_large', `the bundle has more than ${MAX_MEMBERS} members`);
  return path;
}

/** No file system could hold both. In their order, what lies below a name comes right after it. */
function refuseFilesAsFolders(folded: Iterable<string>): void {
  const sorted = Array.from(folded, (form) => `${form}/`).sort();
  const at = sorted.findIndex((form, place) => sorted[place + 1]?.startsWith(form));
  if (at >= 0) throw notAllowed(String(sorted[at]?.slice(0, -1)), 'is a file and a folder');
}
