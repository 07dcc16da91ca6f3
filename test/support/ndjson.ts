/** Files of JSON lines that another process writes: read as they grow, waited for without sleeping past what is there. */
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

export type Line = Record<string, any>;

export interface LineFile {
  /** Every line so far. */
  readonly all: () => Promise<readonly Line[]>;
  /** The first line from `from` on that fits. Rejects where none comes in time. */
  readonly waitFor: (what: string, fits: (line: Line) => boolean, options?: WaitOptions) => Promise<Line>;
  /** All lines, once there are at least that many. */
  readonly waitForCount: (count: number, options?: WaitOptions) => Promise<readonly Line[]>;
}

interface WaitOptions {
  readonly timeoutMs?: number;
  /** Index of the first line that counts. */
  readonly from?: number;
}

const PAUSE_MS = 2;

/** Follows a file, which need not exist yet. A last line without its end is left for later. */
export function followLines(file: string): LineFile {
  const lines: Line[] = [];
  let offset = 0;
  let rest: Buffer = Buffer.alloc(0);
  let reading: Promise<void> | null = null;

  async function read(): Promise<void> {
    const handle = await open(file, 'r').catch(() => null);
    if (handle === null) return;
    try {
      const { size } = await handle.stat();
      if (size <= offset) return;
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - offset), 0, size - offset, offset);
      offset += bytesRead;
      const text = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
      const end = text.lastIndexOf(0x0a) + 1;
      rest = text.subarray(end);
      for (const line of text.subarray(0, end).toString('utf8').split('\n')) if (line !== '') lines.push(JSON.parse(line));
    } finally {
      await handle.close();
    }
  }

  /** One reader at a time: the offset is shared. */
  async function catchUp(): Promise<void> {
    reading ??= read().finally(() => {
      reading = null;
    });
    await reading;
  }

  async function until<T>(what: string, found: () => T | undefined, timeoutMs: number): Promise<T> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      await catchUp();
      const value = found();
      if (value !== undefined) return value;
      if (performance.now() > end) throw new Error(`${file}: ${what} did not come within ${timeoutMs} ms`);
      await delay(PAUSE_MS);
    }
  }

  return {
    all: async () => {
      await catchUp();
      return lines;
    },
    waitFor: (what, fits, { timeoutMs = 30_000, from = 0 } = {}) =>
      until(what, () => lines.slice(from).find((line) => fits(line)), timeoutMs),
    waitForCount: (count, { timeoutMs = 30_000 } = {}) =>
      until(`line ${count}`, () => (lines.length >= count ? lines : undefined), timeoutMs),
  };
}

/** Waits until something that is asked for again and again is so. */
export async function waitUntil(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what}: not so within ${timeoutMs} ms`);
    await delay(10);
  }
}
