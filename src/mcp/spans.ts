/**
 * Where values stand in a JSON text, so that a change is a splice and every byte beside it stays as it was written: 1.10,
 * integers no double holds, escapes, white space, the order of keys. For text that a strict reader has taken: on other text
 * it only has to end.
 */
import type { Span } from './scan.ts';

/** Keys of objects and indices of arrays, from the outside in. */
export type Path = readonly (string | number)[];

export interface Edit {
  readonly span: Span;
  readonly put: string;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** @param within a value to look in, in place of the root. */
export function findSpan(text: string, path: Path, within?: Span): Span | null {
  let start = skipSpace(text, within?.[0] ?? 0);
  for (const step of path) {
    const inner = typeof step === 'string' ? findMember(text, start, step) : findElement(text, start, step);
    if (inner === null) return null;
    start = inner;
  }
  return [start, endOfValue(text, start)];
}

/** The elements of the array that stands at `span`; none where it is no array. */
export function elementSpans(text: string, span: Span): Span[] {
  const spans: Span[] = [];
  eachElement(text, span[0], (start) => {
    const end = endOfValue(text, start);
    spans.push([start, end]);
    return end;
  });
  return spans;
}

/** What stands between the quotes of a string; any other value whole. */
export function insideQuotes(text: string, [start, end]: Span): Span {
  return text.charCodeAt(start) === QUOTE ? [start + 1, end - 1] : [start, end];
}

/** The same place in the text's UTF-8. */
export function toBytes(text: string, [start, end]: Span): Span {
  const before = Buffer.byteLength(text.slice(0, start));
  return [before, before + Buffer.byteLength(text.slice(start, end))];
}

/** A value's place in the UTF-8 of a text, and what stands there. */
export interface Place {
  readonly start: number;
  readonly end: number;
  readonly from: string;
}

/** @param part of a string: `inside` its quotes or `whole` with them. */
export function findPlace(text: string, path: Path, part: 'inside' | 'whole' = 'inside'): Place | null {
  const whole = findSpan(text, path);
  if (whole === null) return null;
  const span = part === 'inside' ? insideQuotes(text, whole) : whole;
  const [start, end] = toBytes(text, span);
  return { start, end, from: text.slice(...span) };
}

/** @param edits in any order; none may reach into another. */
export function splice(text: string, edits: readonly Edit[]): string {
  let made = '';
  let at = 0;
  for (const { span, put } of [...edits].sort((a, b) => a.span[0] - b.span[0])) {
    if (span[0] < at) throw new Error('edits overlap');
    made += text.slice(at, span[0]) + put;
    at = span[1];
  }
  return made + text.slice(at);
}

/** Spans of the values of the object that stands at `start`, by key. Null: a key twice, which parsers read differently. */
export function memberSpans(text: string, start: number): ReadonlyMap<string, Span> | null {
  const spans = new Map<string, Span>();
  let isTwice = false;
  eachMember(text, start, (keyStart, keyEnd, value) => {
    const key = JSON.parse(text.slice(keyStart, keyEnd)) as string;
    isTwice ||= spans.has(key);
    const end = endOfValue(text, value);
    spans.set(key, [value, end]);
    return end;
  });
  return isTwice ? null : spans;
}

/** Where the value of a member starts; null where there is none or no object. */
function findMember(text: string, object: number, key: string): number | null {
  let found: number | null = null;
  eachMember(text, object, (keyStart, keyEnd, value) => {
    if (!isKey(text, keyStart, keyEnd, key)) return endOfValue(text, value);
    found = value;
    return null;
  });
  return found;
}

/** @param visit gets where a key and its value stand and says where the value ends; null to stop. */
function eachMember(
  text: string,
  object: number,
  visit: (keyStart: number, keyEnd: number, value: number) => number | null,
): void {
  if (text.charCodeAt(object) !== OPEN_OBJECT) return;
  for (let at = skipSpace(text, object + 1); text.charCodeAt(at) === QUOTE; ) {
    const keyEnd = endOfString(text, at);
    const end = visit(at, keyEnd, skipSpace(text, skipSpace(text, keyEnd) + 1));
    if (end === null) return;
    const next = skipSpace(text, end);
    if (text.charCodeAt(next) !== COMMA) return;
    at = skipSpace(text, next + 1);
  }
}

function isKey(text: string, start: number, end: number, key: string): boolean {
  if (text.startsWith(key, start + 1) && end - start === key.length + 2 && !key.includes('\\')) return true;
  const raw = text.slice(start, end);
  return raw.includes('\\') && JSON.parse(raw) === key;
}

function findElement(text: string, array: number, index: number): number | null {
  let found: number | null = null;
  let count = 0;
  eachElement(text, array, (start) => {
    if (count++ !== index) return endOfValue(text, start);
    found = start;
    return null;
  });
  return found;
}

/** @param visit gets where an element starts and says where it ends; null to stop. */
function eachElement(text: string, array: number, visit: (start: number) => number | null): void {
  if (text.charCodeAt(array) !== OPEN_ARRAY) return;
  let at = skipSpace(text, array + 1);
  if (text.charCodeAt(at) === CLOSE_ARRAY) return;
  while (at < text.length) {
    const end = visit(at);
    if (end === null) return;
    const next = skipSpace(text, end);
    if (text.charCodeAt(next) !== COMMA) return;
    at = skipSpace(text, next + 1);
  }
}

function endOfValue(text: string, start: number): number {
  const unit = text.charCodeAt(start);
  if (unit === QUOTE) return endOfString(text, start);
  if (unit === OPEN_OBJECT || unit === OPEN_ARRAY) return endOfContainer(text, start);
  let at = start;
  while (at < text.length && !isDelimiter(text.charCodeAt(at))) at++;
  return at;
}

function endOfContainer(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at = nextStructure(text, at)) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    depth += unit === OPEN_OBJECT || unit === OPEN_ARRAY ? 1 : -1;
    at++;
    if (depth === 0) return at;
  }
  return text.length;
}

const STRUCTURE = /["[\]{}]/g;

/** At or after `at`; a pattern finds it faster than a loop. */
function nextStructure(text: string, at: number): number {
  STRUCTURE.lastIndex = at;
  return STRUCTURE.test(text) ? STRUCTURE.lastIndex - 1 : text.length;
}

/** The index after the closing quote. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end > 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end < 0 ? text.length : end + 1;
}

/** Whether an odd number of backslashes stands before. */
function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === BACKSLASH) before--;
  return (at - before) % 2 === 0;
}

export function skipSpace(text: string, start: number): number {
  let at = start;
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09;
}

function isDelimiter(unit: number): boolean {
  return unit === COMMA || unit === CLOSE_OBJECT || unit === CLOSE_ARRAY || isSpace(unit);
}
