/**
 * Server-sent events (WHATWG HTML section 9.2) on their way through: each is shown when it is whole, and goes on byte for
 * byte, changed, or not at all. What was not ended by a blank line never goes on. Lines end in CR, LF or CRLF, wherever the
 * bytes are cut. Refused: an event that is too large, has too many lines or is not UTF-8.
 */
import { isUtf8 } from 'node:buffer';
import type { Reason } from '../reasons.ts';

/** What a rule needs to read and nobody can. */
export class AnswerUnreadable extends Error {
  override name = 'AnswerUnreadable';
  /** Of the kind that requests are refused with. */
  readonly fault: Reason;
  constructor(fault: Reason) {
    super(`the answer cannot be read: ${fault}`);
    this.fault = fault;
  }
}

/** Null: the event has no such field. */
export interface ServerSentEvent {
  readonly type: string | null;
  readonly data: string | null;
  readonly id: string | null;
  /** Milliseconds after which to come again, where the server says so. */
  readonly retry: number | null;
}

/** What becomes of an event; a member left out stays as it is. `end`: neither it nor anything after it goes on. */
export type EventChange = 'keep' | 'drop' | 'end' | { readonly data?: string; readonly id?: string };

export interface EventRules {
  readonly maxEventBytes: number;
  readonly rewrite: (event: ServerSentEvent) => EventChange | Promise<EventChange>;
}

export interface EventRewriter {
  /** What goes on in place of these bytes; one piece after the other. After a fault or an end nothing does any more. */
  readonly push: (piece: Uint8Array) => Promise<{ readonly bytes: Buffer; readonly fault: AnswerUnreadable | null }>;
}

interface Line {
  /** With its end. */
  readonly raw: Buffer;
  /** Null: a comment, or a field that means nothing. */
  readonly said: { readonly field: Field; readonly value: string } | null;
}

type Field = (typeof FIELDS)[number];

interface Stream {
  readonly rules: EventRules;
  readonly out: Buffer[];
  /** The lines of the event begun. */
  lines: Line[];
  /** Parts of the line begun. */
  parts: Buffer[];
  /** Bytes in both. */
  held: number;
  /** Where the last line went, if it ended in a CR with the piece: an LF that follows is of that end and goes there too. */
  afterCr: Fate | null;
  /** Where a byte order mark would stand. */
  isStart: boolean;
  isEnded: boolean;
}

const FIELDS = ['data', 'id', 'event', 'retry'] as const;
/** Of one event. A line of six bytes takes a hundred times its size: the limit of an event's bytes is none of its memory. */
const MAX_LINES = 1024;

type Fate = 'held' | 'passed' | 'dropped';

const LF = 0x0a;
const CR = 0x0d;

export function createEventRewriter(rules: EventRules): EventRewriter {
  const stream: Stream = { rules, out: [], lines: [], parts: [], held: 0, afterCr: null, isStart: true, isEnded: false };
  let fault: AnswerUnreadable | null = null;
  return {
    push: async (piece) => {
      stream.out.length = 0;
      try {
        if (!stream.isEnded) await takePiece(stream, Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
      } catch (error) {
        if (!(error instanceof AnswerUnreadable)) throw error;
        fault = error;
        stream.isEnded = true;
      }
      return { bytes: Buffer.concat(stream.out), fault };
    },
  };
}

/** An event of ours, of the type that MCP uses. */
export function writeEvent(data: string): string {
  return `event: message\n${writeData(data, '\n')}\n`;
}

function writeData(data: string, end: string): string {
  return data
    .split(/\r\n|\r|\n/)
    .map((line) => `data: ${line}${end}`)
    .join('');
}

async function takePiece(stream: Stream, piece: Buffer): Promise<void> {
  if (piece.length === 0) return;
  let at = takeLineFeed(stream, piece);
  let nextCr = -1;
  while (at < piece.length && !stream.isEnded) {
    // Looked for again only once it is passed: many short lines would take quadratic time.
    if (nextCr < at) nextCr = indexOrEnd(piece, CR, at);
    const end = Math.min(indexOrEnd(piece.subarray(0, nextCr), LF, at), nextCr);
    const next = end + (piece[end] === CR && piece[end + 1] === LF ? 2 : 1);
    hold(stream, piece.subarray(at, next));
    if (end === piece.length) return;
    const ended = endLine(stream);
    // Most lines have nothing to wait for.
    const fate = ended instanceof Promise ? await ended : ended;
    stream.afterCr = piece[end] === CR && next === piece.length && next === end + 1 ? fate : null;
    at = next;
  }
}

/** Where the first byte belongs to the line end before it: the index after it. */
function takeLineFeed(stream: Stream, piece: Buffer): number {
  const fate = stream.afterCr;
  stream.afterCr = null;
  if (fate === null || piece[0] !== LF) return 0;
  const byte = Buffer.from([LF]);
  const last = stream.lines.at(-1);
  if (fate === 'passed') stream.out.push(byte);
  else if (fate === 'held' && last !== undefined) {
    stream.held++;
    stream.lines[stream.lines.length - 1] = { ...last, raw: Buffer.concat([last.raw, byte]) };
  }
  return 1;
}

function indexOrEnd(piece: Buffer, byte: number, from: number): number {
  const at = piece.indexOf(byte, from);
  return at < 0 ? piece.length : at;
}

function hold(stream: Stream, bytes: Buffer): void {
  stream.held += bytes.length;
  if (stream.held > stream.rules.maxEventBytes) throw new AnswerUnreadable('body_too_large');
  // A copy: whoever sent the piece may use its memory again.
  stream.parts.push(Buffer.from(bytes));
}

function endLine(stream: Stream): Fate | Promise<Fate> {
  const raw = Buffer.concat(stream.parts);
  stream.parts = [];
  const text = readLine(raw, stream.isStart);
  stream.isStart = false;
  if (text === '') return endEvent(stream, raw);
  // Comments keep a silent stream open: those before an event do not wait for it.
  if (text.startsWith(':') && stream.lines.length === 0) return pass(stream, [raw]);
  const colon = text.indexOf(':');
  const name = colon < 0 ? text : text.slice(0, colon);
  const field = FIELDS.find((one) => one === name);
  const value = colon < 0 ? '' : text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1);
  if (stream.lines.length === MAX_LINES) throw new AnswerUnreadable('body_too_large');
  stream.lines.push({ raw, said: field === undefined ? null : { field, value } });
  return 'held';
}

/** Without its end and, at the start of the stream, a byte order mark. */
function readLine(raw: Buffer, isStart: boolean): string {
  if (!isUtf8(raw)) throw new AnswerUnreadable('json_invalid');
  const text = raw.toString().replace(/[\r\n]+$/, '');
  return isStart && text.startsWith('\ufeff') ? text.slice(1) : text;
}

/** @param blank the line that ends it. */
function endEvent(stream: Stream, blank: Buffer): Fate | Promise<Fate> {
  const { lines } = stream;
  stream.lines = [];
  if (lines.length === 0) return pass(stream, [blank]);
  const change = stream.rules.rewrite(readEvent(lines));
  return change instanceof Promise
    ? change.then((changed) => passChanged(stream, lines, blank, changed))
    : passChanged(stream, lines, blank, change);
}

function passChanged(stream: Stream, lines: readonly Line[], blank: Buffer, change: EventChange): Fate {
  if (change === 'keep') return pass(stream, [...lines.map(({ raw }) => raw), blank]);
  if (typeof change === 'object') return pass(stream, [...changeLines(lines, change), blank]);
  stream.isEnded = change === 'end';
  stream.held = 0;
  return 'dropped';
}

function pass(stream: Stream, bytes: readonly Buffer[]): Fate {
  for (const one of bytes) stream.out.push(one);
  stream.held = 0;
  return 'passed';
}

function readEvent(lines: readonly Line[]): ServerSentEvent {
  const valuesOf = (name: Field) => lines.flatMap(({ said }) => (said?.field === name ? [said.value] : []));
  const data = valuesOf('data');
  const retry = valuesOf('retry').findLast((value) => /^\d{1,9}$/.test(value));
  return {
    type: valuesOf('event').at(-1) ?? null,
    data: data.length === 0 ? null : data.join('\n'),
    // One with a NUL is no id (WHATWG HTML section 9.2.6).
    id: valuesOf('id').findLast((id) => !id.includes('\0')) ?? null,
    retry: retry === undefined ? null : Number(retry),
  };
}

/** The first line of a field gets what all of them said, the others go. */
function changeLines(lines: readonly Line[], { data, id }: Exclude<EventChange, string>): Buffer[] {
  const done = new Set<Field>();
  return lines.flatMap(({ raw, said }) => {
    const value = said?.field === 'data' ? data : said?.field === 'id' ? id : undefined;
    if (said === null || value === undefined) return [raw];
    if (done.has(said.field)) return [];
    done.add(said.field);
    const end = /[\r\n]+$/.exec(raw.toString())?.[0] ?? '\n';
    return [Buffer.from(said.field === 'data' ? writeData(value, end) : `id: ${value}${end}`)];
  });
}
