/** Where the chain in a file ends: what the next process goes on from. */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { isObject } from '../mcp/message.ts';
import { type ChainEnd, hashOf } from './chain.ts';

const BLOCK_BYTES = 65_536;
const NEWLINE = 0x0a;

/** Null where there is no such file, or nothing in it. */
export async function readChainEnd(file: string): Promise<ChainEnd | null> {
  const found = await stat(file).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return null;
    throw cause;
  });
  // Opening a pipe would be taken for reading it.
  if (found === null || !found.isFile() || found.size === 0) return null;
  const handle = await open(file, 'r');
  try {
    return endOf(await readTail(handle, found.size));
  } finally {
    await handle.close();
  }
}

/** As much of the end as has a whole line in it, or all. */
async function readTail(handle: FileHandle, size: number): Promise<Buffer> {
  for (let length = BLOCK_BYTES; ; length *= 2) {
    const begin = Math.max(size - length, 0);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - begin), 0, size - begin, begin);
    const tail = buffer.subarray(0, bytesRead);
    const last = tail.lastIndexOf(NEWLINE);
    if (begin === 0 || (last > 0 && tail.lastIndexOf(NEWLINE, last - 1) >= 0)) return tail;
  }
}

function endOf(tail: Buffer): ChainEnd {
  const last = tail.lastIndexOf(NEWLINE);
  const torn = last + 1 < tail.length ? hashOf(tail.subarray(last + 1)) : null;
  if (last < 0) return { id: null, seq: null, hash: null, torn };
  const line = tail.subarray(last > 0 ? tail.lastIndexOf(NEWLINE, last - 1) + 1 : 0, last);
  return { ...placeOf(line), hash: hashOf(line), torn };
}

/** Nulls where the line is in no chain. */
function placeOf(line: Buffer): Pick<ChainEnd, 'id' | 'seq'> {
  try {
    const event: unknown = JSON.parse(line.toString('utf8'));
    if (isObject(event) && isObject(event.chain) && typeof event.chain.id === 'string' && Number.isInteger(event.chain.seq))
      return { id: event.chain.id, seq: event.chain.seq as number };
  } catch {
    // No line of ours.
  }
  return { id: null, seq: null };
}
