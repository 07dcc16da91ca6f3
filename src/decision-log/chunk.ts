/**
 * Lines packed for one request. How much text fits into a packed chunk is learnt: half as much where it was too much, twice as
 * much where there was room for more.
 */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { lengthOf } from './line-buffer.ts';

const pack = promisify(gzip);

export interface Chunk {
  /** Gzipped. */
  readonly body: Uint8Array;
  /** Lines in it, from the first on. */
  readonly count: number;
}

export interface Chunker {
  /** Characters that probably fit. */
  readonly fits: () => number;
  /** Of at least one line: one that does not fit goes alone. */
  readonly chunkOf: (lines: readonly string[]) => Promise<Chunk>;
  /** The receiver finds these too large together. */
  readonly shrink: (lines: readonly string[]) => void;
}

/** A chunk this full is left as it is. */
const FULL = 0.9;
/** Text packs no better than this. */
const MOST_TIMES = 32;

export function createChunker(maxBytes: number, wrap: (lines: readonly string[]) => string): Chunker {
  let limit = maxBytes;
  let most = maxBytes * MOST_TIMES;

  async function chunkOf(lines: readonly string[]): Promise<Chunk> {
    const body = await pack(wrap(lines));
    if (body.length > maxBytes && lines.length > 1) {
      limit = Math.max(limit / 2, 1);
      return chunkOf(lines.slice(0, Math.ceil(lines.length / 2)));
    }
    const wasFilled = lengthOf(lines) >= limit / 2;
    if (wasFilled && body.length < maxBytes * FULL) limit = Math.min(limit * 2, most);
    return { body, count: lines.length };
  }

  return {
    fits: () => limit,
    chunkOf,
    shrink: (lines) => {
      limit = Math.max(lengthOf(lines) / 2, 1);
      most = limit;
    },
  };
}
