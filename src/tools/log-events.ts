/**
 * Events of a decision log, one after the other, out of NDJSON, out of the arrays that OPA uploads, or both, gzipped or not. In
 * bounded memory: nothing is kept but the event that is being read. A line that broke off costs itself and not those after it.
 */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { describeFileProblem, ToolError } from './io.ts';

/** The JSON text of one event, or what is none. */
export type LogEvent = { readonly text: string } | { readonly unreadable: 'broken' | 'too_large' | 'no_object' };

export const MAX_EVENT_BYTES = 16 * 1024 * 1024;

/** @param path `-` is standard input. Rejects with ToolError where the file cannot be read to its end. */
export async function* readEvents(path: string, stdin: Readable = process.stdin): AsyncGenerator<LogEvent> {
  const splitter = createSplitter(MAX_EVENT_BYTES);
  try {
    for await (const chunk of unzipped(path === '-' ? stdin : createReadStream(path))) yield* splitter.push(chunk);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    throw code.startsWith('Z_')
      ? new ToolError(`${path}: its compression breaks off or is damaged`)
      : describeFileProblem(path, cause);
  }
  yield* splitter.end();
}

/** By the first two bytes, whatever the file is called. */
async function* unzipped(source: Readable): AsyncGenerator<Buffer> {
  let head = Buffer.alloc(0);
  const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  while (head.length < 2) {
    const { value, done } = await chunks.next();
    if (done) break;
    head = Buffer.concat([head, value as Buffer]);
  }
  async function* rest(): AsyncGenerator<Buffer> {
    if (head.length > 0) yield head;
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
  }
  if (head[0] !== 0x1f || head[1] !== 0x8b) {
    yield* rest();
    return;
  }
  const gunzip = createGunzip();
  const feeding = feed(rest(), gunzip);
  for await (const chunk of gunzip) yield chunk as Buffer;
  await feeding;
}

async function feed(chunks: AsyncIterable<Buffer>, gunzip: ReturnType<typeof createGunzip>): Promise<void> {
  try {
    for await (const chunk of chunks) {
      if (gunzip.destroyed) return;
      if (!gunzip.write(chunk)) await new Promise<void>((resolve) => gunzip.once('drain', resolve).once('close', resolve));
    }
    gunzip.end();
  } catch (cause) {
    gunzip.destroy(cause as Error);
  }
}

interface Splitter {
  readonly push: (chunk: Buffer) => Generator<LogEvent>;
  readonly end: () => Generator<LogEvent>;
}

const [NEWLINE, QUOTE, BACKSLASH, OPEN, CLOSE] = [0x0a, 0x22, 0x5c, 0x7b, 0x7d];
/** White space, and what an array has between its members; a mark of the byte order. */
const BETWEEN: ReadonlySet<number> = new Set([...Buffer.from(' \t\r\n[],')].concat([0xef, 0xbb, 0xbf]));

/** Objects at the top or in an array at the top; what stands between them does not matter. */
export function createSplitter(maxBytes: number): Splitter {
  let kept: Buffer = Buffer.alloc(0);
  /** Where the event begins, braces that are open, and whether the place is in a string: all of `kept`. */
  let start = -1;
  let at = 0;
  let depth = 0;
  let inString = false;
  let skipping = false;
  /** The line has something at the top that is neither an object nor what stands between objects. */
  let isJunk = false;

  function reset(): void {
    start = -1;
    depth = 0;
    inString = false;
  }

  function open(): LogEvent | null {
    // An object at the beginning of a line is a new event: what was open before it broke off.
    const broken = depth > 0 && kept[at - 1] === NEWLINE;
    if (broken) reset();
    if (depth === 0) start = at;
    depth++;
    return broken ? { unreadable: 'broken' } : null;
  }

  function close(): LogEvent | null {
    if (depth === 0 || --depth > 0) return null;
    const text = kept.toString('utf8', start, at + 1);
    reset();
    return { text };
  }

  function takeInString(byte: number): LogEvent | null {
    if (byte === BACKSLASH) at++;
    else if (byte === QUOTE) inString = false;
    if (byte !== NEWLINE) return null;
    // No JSON string has one: the line broke off.
    reset();
    return { unreadable: 'broken' };
  }

  function endJunk(): LogEvent | null {
    const was = isJunk;
    isJunk = false;
    return was ? { unreadable: 'no_object' } : null;
  }

  /** What the byte ends, if anything. */
  function take(byte: number): LogEvent | null {
    if (inString) return takeInString(byte);
    if (byte === OPEN) return open();
    if (byte === CLOSE) return close();
    if (byte === QUOTE) inString = depth > 0;
    if (depth > 0) return null;
    if (byte === NEWLINE) return endJunk();
    if (!BETWEEN.has(byte)) isJunk = true;
    return null;
  }

  function* push(chunk: Buffer): Generator<LogEvent> {
    kept = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
    for (; at < kept.length; at++) {
      const byte = kept[at] as number;
      if (skipping) {
        skipping = byte !== NEWLINE;
        continue;
      }
      const event = take(byte);
      if (event !== null) yield event;
    }
    yield* forget();
  }

  /** What lies before the event is not needed any more; an event that is too large is not waited for. */
  function* forget(): Generator<LogEvent> {
    if (start >= 0 && kept.length - start > maxBytes) {
      reset();
      skipping = true;
      yield { unreadable: 'too_large' };
    }
    // The byte before is kept: it may be the end of a line.
    const from = Math.max(0, start >= 0 ? start : Math.min(at, kept.length) - 1);
    kept = kept.subarray(from);
    at -= from;
    if (start >= 0) start -= from;
  }

  function* end(): Generator<LogEvent> {
    if (start >= 0) yield { unreadable: 'broken' };
    const junk = endJunk();
    if (junk !== null) yield junk;
  }

  return { push, end };
}
