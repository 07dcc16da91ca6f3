/**
 * Where the members of an object and the elements of an array stand in a JSON text, so that parts of an answer go on as they
 * were written: numbers that a double does not hold, escapes, order. Only for text that JSON.parse has accepted.
 */

/** `[start, end)` in UTF-16 units. */
export type Span = readonly [start: number, end: number];

const QUOTE = 0x22;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const STRUCTURE = /["[\]{}]/g;
const LITERAL_END = /[,\]}\s]/g;

/** Spans of the values of the object at `at`, by key. Null: a key twice, which parsers read differently. */
export function readMembers(text: string, at: number): ReadonlyMap<string, Span> | null {
  const members = new Map<string, Span>();
  let next = skipSpace(text, at + 1);
  while (text[next] !== '}') {
    const keyEnd = endOfString(text, next);
    const key = readKey(text.slice(next, keyEnd));
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = endOfValue(text, start);
    if (members.has(key)) return null;
    members.set(key, [start, end]);
    next = skipSeparator(text, end);
  }
  return members;
}

function readKey(literal: string): string {
  return literal.includes('\\') ? (JSON.parse(literal) as string) : literal.slice(1, -1);
}

/** Spans of the elements of the array at `at`. */
export function readElements(text: string, at: number): readonly Span[] {
  const elements: Span[] = [];
  let next = skipSpace(text, at + 1);
  while (text[next] !== ']') {
    const end = endOfValue(text, next);
    elements.push([next, end]);
    next = skipSeparator(text, end);
  }
  return elements;
}

export function skipSpace(text: string, at: number): number {
  let next = at;
  while (isSpace(text.charCodeAt(next))) next++;
  return next;
}

/** Past a comma to what follows it, or to the closing bracket. */
function skipSeparator(text: string, at: number): number {
  const next = skipSpace(text, at);
  return text[next] === ',' ? skipSpace(text, next + 1) : next;
}

function endOfValue(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  if (unit === QUOTE) return endOfString(text, at);
  if (unit !== OPEN_OBJECT && unit !== OPEN_ARRAY) return findFrom(LITERAL_END, text, at);
  let depth = 0;
  for (let next = at; next < text.length; next = findFrom(STRUCTURE, text, next)) {
    const found = text.charCodeAt(next);
    if (found === QUOTE) {
      next = endOfString(text, next);
      continue;
    }
    depth += found === OPEN_OBJECT || found === OPEN_ARRAY ? 1 : -1;
    next++;
    if (depth === 0) return next;
  }
  return text.length;
}

/** Where the pattern, of one character, next matches, or the end of the text. */
function findFrom(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex - 1 : text.length;
}

function endOfString(text: string, at: number): number {
  let next = text.indexOf('"', at + 1);
  while (next > 0 && isEscaped(text, next)) next = text.indexOf('"', next + 1);
  return next + 1;
}

/** Whether an odd number of backslashes stands before. */
function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === BACKSLASH) before--;
  return (at - before) % 2 === 0;
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09;
}
