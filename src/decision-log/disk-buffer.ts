/**
 * Lines that wait to be sent, on disk: segments that only grow and are read once they are closed, and a file that says how
 * much of the oldest has been sent. After a kill or a loss of power the next process goes on where this one was; what was
 * sent last may be sent twice. Half a line at the end of a segment was never whole, and is left out.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lockDirectory } from '../directory-lock.ts';
import { type LineBuffer, sizeOf, takeUpTo } from './line-buffer.ts';

export interface DiskBufferOptions {
  readonly directory: string;
  /** Lines that were found damaged. */
  readonly onDamaged?: (count: number) => void;
}

interface Segment {
  readonly number: number;
  bytes: number;
  /** Of a process before this one, which may have been killed. */
  readonly isFound: boolean;
}

/** A segment that is read, from what has not been sent of it. */
interface Reading {
  readonly segment: Segment;
  lines: { readonly line: string; readonly end: number }[];
}

/** Written in one go. */
interface Batch {
  readonly lines: string[];
  readonly written: Promise<void>;
}

/** What is read into memory at a time. */
const MAX_SEGMENT_BYTES = 1024 * 1024;
const SEGMENT = /^(\d{12})\.ndjson$/;
/** Of a segment: its name has twelve digits. */
const MAX_NUMBER = 1e12 - 2;
const POSITION = 'position.json';
const LINE_END = 0x0a;

/** Rejects where the directory cannot be used, or another process uses it. */
export async function openDiskBuffer({ directory, onDamaged }: DiskBufferOptions): Promise<LineBuffer> {
  await mkdir(directory, { recursive: true, mode: 0o750 });
  const unlock = await lockDirectory(directory);
  const segments = await listSegments(directory);
  const position = await readPosition(directory);
  // A number that the position speaks of is never given again: what has been sent of that segment is no part of another.
  let next = Math.max(segments.at(-1)?.number ?? 0, position.segment) + 1;
  let writing: { readonly segment: Segment; readonly handle: FileHandle } | null = null;
  let reading: Reading | null = null;
  let batch: Batch | null = null;
  let waitingBytes = 0;
  let turn: Promise<unknown> = Promise.resolve();
  let sent = segments[0]?.number === position.segment && position.offset <= segments[0].bytes ? position.offset : 0;

  /** One after the other. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = turn.then(work);
    turn = mine.catch(() => {});
    return mine;
  }

  /** Whatever came while the disk was busy is written together. */
  function append(lines: readonly string[]): Promise<void> {
    batch ??= { lines: [], written: inTurn(write) };
    batch.lines.push(...lines);
    waitingBytes += bytesOf(lines);
    return batch.written;
  }

  async function write(): Promise<void> {
    const { lines } = batch as Batch;
    batch = null;
    const bytes = bytesOf(lines);
    waitingBytes -= bytes;
    writing ??= await openSegment();
    const { segment, handle } = writing;
    try {
      await handle.appendFile(`${lines.join('\n')}\n`);
      await handle.datasync();
      segment.bytes += bytes;
    } catch (cause) {
      // Half of it may be there. What follows begins anew, elsewhere.
      await handle.truncate(segment.bytes).catch(() => {});
      await seal().catch(() => {});
      if (segment.bytes === 0) await drop(segment);
      throw cause;
    }
    if (segment.bytes >= MAX_SEGMENT_BYTES) await seal();
  }

  async function openSegment() {
    const segment = { number: next, bytes: 0, isFound: false };
    const handle = await open(pathOf(segment), 'ax', 0o640);
    next += 1;
    segments.push(segment);
    try {
      await syncDirectory(directory);
    } catch (cause) {
      await handle.close().catch(() => {});
      await drop(segment);
      throw cause;
    }
    return { segment, handle };
  }

  /** A disk that is full for a day would leave an empty one for every time it was tried. */
  async function drop(segment: Segment): Promise<void> {
    await rm(pathOf(segment), { force: true }).catch(() => {});
    segments.splice(segments.indexOf(segment), 1);
  }

  async function seal(): Promise<void> {
    const { handle } = writing ?? {};
    writing = null;
    await handle?.close();
  }

  async function read(): Promise<Reading | null> {
    while (reading === null || reading.lines.length === 0) {
      if (reading !== null) await remove();
      const [segment] = segments;
      if (segment === undefined) return null;
      if (segment === writing?.segment) await seal();
      reading = await load(segment);
    }
    return reading;
  }

  async function load(segment: Segment): Promise<Reading> {
    const content = await readFile(pathOf(segment)).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return null;
      throw cause;
    });
    // A place in the midst of a line is none: twice rather than never.
    if (content?.[sent - 1] !== LINE_END) sent = 0;
    // Somebody took it away: what comes after it must not wait for it. How many lines they were nobody knows.
    const text = content === null ? 'gone' : content.subarray(sent).toString('utf8');
    const pieces = text.split('\n');
    const rest = pieces.pop() as string;
    let end = sent;
    const all = pieces.map((line) => {
      end += sizeOf(line);
      return { line, end };
    });
    const lines = segment.isFound ? all.filter(({ line }) => isWhole(line)) : all;
    const damaged = all.length - lines.length + (rest === '' ? 0 : 1);
    if (damaged > 0) onDamaged?.(damaged);
    return { segment, lines };
  }

  async function forget(count: number): Promise<void> {
    if (reading === null || count === 0) return;
    sent = reading.lines[Math.min(count, reading.lines.length) - 1]?.end ?? sent;
    reading.lines = reading.lines.slice(count);
    if (reading.lines.length === 0) await remove();
    // Where it fails lines are sent twice after a restart: no reason to stop sending.
    else await writePosition(directory, reading.segment.number, sent).catch(() => {});
  }

  async function remove(): Promise<void> {
    const { segment } = reading as Reading;
    await rm(pathOf(segment), { force: true });
    segments.shift();
    reading = null;
    sent = 0;
  }

  function pathOf({ number }: Segment): string {
    return join(directory, `${String(number).padStart(12, '0')}.ndjson`);
  }

  return {
    append,
    bytes: () => waitingBytes + segments.reduce((sum, { bytes }) => sum + bytes, 0) - sent,
    peek: (maxCharacters) => inTurn(async () => takeUpTo((await read())?.lines.map(({ line }) => line) ?? [], maxCharacters)),
    forget: (count) => inTurn(() => forget(count)),
    close: () =>
      inTurn(async () => {
        await seal();
        await unlock();
        return 0;
      }),
  };
}

function bytesOf(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + sizeOf(line), 0);
}

/** A loss of power may leave anything in place of a line. */
function isWhole(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

async function listSegments(directory: string): Promise<Segment[]> {
  const numbers = (await readdir(directory)).flatMap((name) => SEGMENT.exec(name)?.[1] ?? []).sort();
  return Promise.all(
    numbers.map(async (number) => ({
      number: Number(number),
      bytes: (await stat(join(directory, `${number}.ndjson`))).size,
      isFound: true,
    })),
  );
}

interface Position {
  readonly segment: number;
  readonly offset: number;
}

/** Without one, or with one that cannot be read, the oldest segment is sent from its beginning. */
async function readPosition(directory: string): Promise<Position> {
  try {
    const { segment, offset } = JSON.parse(await readFile(join(directory, POSITION), 'utf8')) as Position;
    if (isCount(segment) && segment <= MAX_NUMBER && isCount(offset)) return { segment, offset };
  } catch {
    // As if there were none.
  }
  return { segment: 0, offset: 0 };
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

async function writePosition(directory: string, segment: number, offset: number): Promise<void> {
  const fresh = join(directory, `${POSITION}.new`);
  await writeFile(fresh, JSON.stringify({ segment, offset }));
  await rename(fresh, join(directory, POSITION));
}

/** A new file is in its directory for good only then. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
