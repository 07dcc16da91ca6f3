/**
 * JSON as OPA keeps it: numbers as they were written, members in the order of their keys' UTF-8 bytes. Written down, a tree is
 * what OPA hashes for a signature, and what data is merged from. Refused: invalid UTF-8, a key twice in one object, half a
 * surrogate pair, depth beyond the limit, anything that is not exactly one JSON value.
 */
import { isUtf8 } from 'node:buffer';

/** An object; or the canonical text of any other value. */
export type JsonTree = ObjectTree | string;
export type ObjectTree = Map<string, JsonTree>;

/** Not JSON that can be used; `message` says why, without quoting it. */
export class JsonRefused extends Error {
  override name = 'JsonRefused';
}

const MAX_DEPTH = 64;

/** Throws JsonRefused. */
export function readTree(bytes: Uint8Array): JsonTree {
  if (!isUtf8(bytes)) throw new JsonRefused('not UTF-8');
  return readTreeText(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
}

export function readTreeText(text: string): JsonTree {
  const reader: Reader = { text, at: 0, depth: 0 };
  const tree = readValue(reader);
  if (nextUnit(reader) !== END) throw notJson();
  try {
    JSON.parse(text); // what the reader above lets pass: numbers and strings that are none
  } catch {
    throw notJson();
  }
  return tree;
}

/** Canonical text: two values that OPA takes for the same have the same. */
export function writeTree(tree: JsonTree): string {
  if (typeof tree === 'string') return tree;
  const keys = [...tree.keys()].sort();
  if (keys.some((key) => /[\ud800-\uffff]/.test(key))) keys.sort(compareAsUtf8);
  return `{${keys.map((key) => `${writeString(key)}:${writeTree(tree.get(key) ?? 'null')}`).join(',')}}`;
}

/** The key under which both have values that cannot be one; null where `added` was merged into `tree`. */
export function mergeTree(tree: ObjectTree, added: ObjectTree): string | null {
  for (const [key, value] of added) {
    const known = tree.get(key);
    if (known === undefined) tree.set(key, value);
    else if (typeof known === 'string' || typeof value === 'string') return key;
    else {
      const within = mergeTree(known, value);
      if (within !== null) return `${key}/${within}`;
    }
  }
  return null;
}

interface Reader {
  readonly text: string;
  at: number;
  depth: number;
}

const END = -1;

function notJson(): JsonRefused {
  return new JsonRefused('not JSON');
}

function readValue(reader: Reader): JsonTree {
  switch (nextUnit(reader)) {
    case 0x7b:
      return readObject(reader);
    case 0x5b:
      return readArray(reader);
    case 0x22:
      return writeString(readString(reader));
    default:
      return readWord(reader);
  }
}

function readObject(reader: Reader): ObjectTree {
  const members: ObjectTree = new Map();
  readList(reader, 0x7d, () => {
    if (nextUnit(reader) !== 0x22) throw notJson();
    const key = readString(reader);
    if (members.has(key)) throw new JsonRefused('a key twice in one object');
    if (nextUnit(reader) !== 0x3a) throw notJson();
    reader.at++;
    members.set(key, readValue(reader));
  });
  return members;
}

function readArray(reader: Reader): string {
  const elements: string[] = [];
  readList(reader, 0x5d, () => elements.push(writeTree(readValue(reader))));
  return `[${elements.join(',')}]`;
}

function readList(reader: Reader, close: number, readOne: () => void): void {
  if (++reader.depth > MAX_DEPTH) throw new JsonRefused(`nested deeper than ${MAX_DEPTH}`);
  reader.at++;
  if (nextUnit(reader) !== close) {
    readOne();
    while (nextUnit(reader) === 0x2c) {
      reader.at++;
      readOne();
    }
  }
  if (nextUnit(reader) !== close) throw notJson();
  reader.at++;
  reader.depth--;
}

/** A string, decoded. */
function readString(reader: Reader): string {
  const { text, at: start } = reader;
  let isPlain = true;
  for (let at = start + 1; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22) {
      reader.at = at + 1;
      return isPlain ? text.slice(start + 1, at) : decodeString(text.slice(start, at + 1));
    }
    if (unit !== 0x5c) continue;
    isPlain = false;
    at++;
  }
  throw notJson();
}

function decodeString(literal: string): string {
  let value: string;
  try {
    value = JSON.parse(literal) as string;
  } catch {
    throw notJson();
  }
  if (!value.isWellFormed()) throw new JsonRefused('half a surrogate pair');
  return value;
}

/** A number or a literal, as it is written. */
function readWord(reader: Reader): string {
  const start = reader.at;
  while (isWordUnit(reader.text.charCodeAt(reader.at))) reader.at++;
  if (reader.at === start) throw notJson();
  return reader.text.slice(start, reader.at);
}

/** Letters, digits, `+`, `-` and `.`; false for NaN, beyond the end. */
function isWordUnit(unit: number): boolean {
  return (
    (unit >= 0x30 && unit <= 0x39) ||
    (unit >= 0x61 && unit <= 0x7a) ||
    unit === 0x2b ||
    unit === 0x2d ||
    unit === 0x2e ||
    unit === 0x45
  );
}

/** The next that is not white space. */
function nextUnit(reader: Reader): number {
  for (; reader.at < reader.text.length; reader.at++) {
    const unit = reader.text.charCodeAt(reader.at);
    if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return unit;
  }
  return END;
}

/** As Go writes it: the line separators are escaped, `<`, `>` and `&` are not. */
function writeString(text: string): string {
  return JSON.stringify(text).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}

/** UTF-16 puts surrogates before U+E000; UTF-8 does not. */
function compareAsUtf8(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at++) {
    const [a, b] = [one.charCodeAt(at), other.charCodeAt(at)];
    if (a !== b) return rankUnit(a) - rankUnit(b);
  }
  return one.length - other.length;
}

function rankUnit(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
