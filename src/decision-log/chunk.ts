/**
 * Lines packed for one request. How much text fits into a packed chunk is learnt: half as much where it was too much, twice as
 * much where there was room for more. Where the receiver finds less too large that is learnt too, and tried anew after a while: it
 * may have been for a moment.
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
  /** The receiver has taken one. */
  readonly grow: () => void;
}

/** A chunk this full is left as it is. */
const FULL = 0.9;
/** Text packs no better than this. */
const MOST_TIMES = 32;
/** Chunks that are taken before a larger one is tried again; twice as many each time that this was in vain. */
const PATIENCE = 4;
const MAX_PATIENCE = 1024;

export function createChunker(maxBytes: number, wrap: (lines: readonly string[]) => string): Chunker {
  let limit = maxBytes;
  let most = maxBytes * MOST_TIMES;
  let patience = PATIENCE;
  let taken = 0;
  let hasGrown = false;

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
      if (hasGrown) patience = Math.min(patience * 2, MAX_PATIENCE);
      hasGrown = false;
      taken = 0;
    },
    grow: () => {
      const wanted = maxBytes * MOST_TIMES;
      if (most >= wanted) return;
      taken += 1;
      if (taken < patience) return;
      taken = 0;
      hasGrown = true;
      most = Math.min(most * 2, wanted);
      if (most === wanted) patience = PATIENCE;
    },
  };
}
