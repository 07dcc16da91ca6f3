/**
 * Where the chain in a file ends: what the next process goes on from, and how much of it is signed. Whoever can write the file
 * can have cut it or have written on; the next process does not vouch for that, it says what it found.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { type ChainEnd, hashOf } from './chain.ts';
import { linkOf, readCheckpoint, readLine } from './chain-link.ts';
import type { VerifyCheckpoint } from './checkpoint-keys.ts';

const BLOCK_BYTES = 65_536;
const NEWLINE = 0x0a;
/** More without a signature than a chain ever has: a start is not held up by it. */
const MOST_BYTES = 268_435_456;

/** Null where there is no such file, or nothing in it. @param verify with it, the end says how much of it is signed. */
export async function readChainEnd(file: string, verify?: VerifyCheckpoint): Promise<ChainEnd | null> {
  const found = await stat(file).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return null;
    throw cause;
  });
  // Opening a pipe would be taken for reading it.
  if (found === null || !found.isFile() || found.size === 0) return null;
  const handle = await open(file, 'r');
  try {
    return await endOf(readBack(handle, found.size), verify);
  } finally {
    await handle.close();
  }
}

/** Lines from the last to the first; before them what comes after the last newline, which may be nothing. */
async function* readBack(handle: FileHandle, size: number): AsyncGenerator<Buffer, void> {
  let after: Buffer[] = [];
  for (let end = size; end > 0; end -= BLOCK_BYTES) {
    const begin = Math.max(end - BLOCK_BYTES, 0);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(end - begin), 0, end - begin, begin);
    let block = buffer.subarray(0, bytesRead);
    for (let at = block.lastIndexOf(NEWLINE); at >= 0; at = block.lastIndexOf(NEWLINE)) {
      yield Buffer.concat([block.subarray(at + 1), ...after]);
      after = [];
      block = block.subarray(0, at);
    }
    after.unshift(block);
  }
  yield Buffer.concat(after);
}

async function endOf(lines: AsyncGenerator<Buffer, void>, verify: VerifyCheckpoint | undefined): Promise<ChainEnd> {
  const rest = await takeNext(lines);
  const torn = rest !== null && rest.length > 0 ? hashOf(rest) : null;
  const line = await takeNext(lines);
  const link = line && linkOf(readLine(line) ?? {});
  const end = { id: link?.id ?? null, seq: link?.seq ?? null, hash: line && hashOf(line), torn };
  if (verify === undefined) return end;
  if (line === null || !link) return { ...end, signed: null, ended: false };
  return { ...end, ...(await findSigned(link, line, lines, verify)) };
}

async function takeNext(lines: AsyncGenerator<Buffer, void>): Promise<Buffer | null> {
  const { value } = await lines.next();
  return value ?? null;
}

/** The last checkpoint that counts and that the chain leads back to. */
async function findSigned(
  { id, seq: last }: { readonly id: string; readonly seq: number },
  lastLine: Buffer,
  lines: AsyncGenerator<Buffer, void>,
  verify: VerifyCheckpoint,
): Promise<{ signed: number | null; ended: boolean }> {
  let want: { seq: number; hash: string | null } = { seq: last, hash: hashOf(lastLine) };
  let bytes = 0;
  for (let line: Buffer | null = lastLine; line !== null && bytes < MOST_BYTES; line = await takeNext(lines)) {
    bytes += line.length + 1;
    const event = readLine(line);
    const link = event && linkOf(event);
    // Lines of another process may stand between.
    if (!event || link?.id !== id) continue;
    if (link.seq !== want.seq || hashOf(line) !== want.hash) break;
    const claims = event.type === 'checkpoint' ? await readCheckpoint(line, event, link, verify) : '';
    if (typeof claims !== 'string') return { signed: link.seq, ended: claims.end === true && link.seq === last };
    want = { seq: link.seq - 1, hash: link.prev };
  }
  return { signed: null, ended: false };
}
