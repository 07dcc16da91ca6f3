/**
 * Strict JSON (RFC 8259, I-JSON RFC 7493): bytes in, one value out, and nothing two parsers could read differently.
 * Refused: invalid UTF-8, a byte order mark, trailing bytes, depth beyond the limit, a key twice in one object (also when
 * the two differ only in case, compatibility form or invisible characters), lone surrogates, integers a double cannot hold,
 * overflow.
 *
 * A scan over the text looks for what JSON.parse lets pass; the grammar itself is left to JSON.parse. On text that
 * JSON.parse accepts the scan is exact; on other text it only has to end.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { Reason } from '../reasons.ts';
import { deny, ok, type Result } from '../result.ts';
import { foldedForms } from './keys.ts';

export interface JsonLimits {
  readonly maxBytes: number;
  /** Arrays and objects inside one another; the outermost is 1. */
  readonly maxDepth: number;
  /** Members of one object; without a limit where who wrote the document is trusted. */
  readonly maxMembers?: number;
}

/** Where a member's value stands in the text, `[start, end)` in UTF-16 units. */
export type Span = readonly [start: number, end: number];

export interface JsonDocument {
  readonly value: unknown;
  readonly text: string;
  /** Spans of the values of a root object's members, by key. */
  readonly members: ReadonlyMap<string, Span>;
}

/** @param echoed the root member whose number is only ever repeated as it was written, so that it may be any integer. */
export function readJson(bytes: Uint8Array, limits: JsonLimits, echoed: string | null = null): Result<JsonDocument> {
  if (bytes.byteLength > limits.maxBytes) return deny({ reason: 'body_too_large' });
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ascii = isAscii(buffer);
  if (!ascii && !isUtf8(buffer)) return deny({ reason: 'json_invalid' });
  const text = buffer.toString(ascii ? 'latin1' : 'utf8');
  const scanned = scan(text, limits, echoed);
  if (typeof scanned === 'string') return deny({ reason: scanned });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The error quotes the text, and causes are logged.
    return deny({ reason: 'json_invalid' });
  }
  const { members, ambiguity } = scanned;
  return ambiguity === null ? ok({ value, text, members }) : deny({ reason: ambiguity });
}

interface Frame {
  /** Folded keys seen in this object; null for an array. */
  readonly keys: Set<string> | null;
  expectKey: boolean;
}

interface Scan {
  readonly text: string;
  readonly maxDepth: number;
  readonly maxMembers: number;
  readonly echoed: string | null;
  readonly stack: Frame[];
  readonly members: Map<string, Span>;
  /** The root member being read, and where its value starts. */
  member: string | null;
  memberStart: number;
  /** What two parsers could read differently; it is one only if the text is JSON at all. */
  ambiguity: 'json_duplicate_key' | 'json_number_imprecise' | null;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

function scan(
  text: string,
  { maxDepth, maxMembers = Number.POSITIVE_INFINITY }: JsonLimits,
  echoed: string | null,
): Scan | Reason {
  const state: Scan = {
    text,
    maxDepth,
    maxMembers,
    echoed,
    stack: [],
    members: new Map(),
    member: null,
    memberStart: 0,
    ambiguity: null,
  };
  for (let at = 0; at < text.length; ) {
    const next = step(state, at);
    if (typeof next === 'string') return next;
    at = next;
  }
  return state;
}

/** Takes one token and says where the next starts, or what is wrong with it. */
function step(state: Scan, at: number): number | Reason {
  const unit = state.text.charCodeAt(at);
  switch (unit) {
    case QUOTE:
      return takeString(state, at);
    case OPEN_OBJECT:
    case OPEN_ARRAY:
      if (state.stack.length >= state.maxDepth) return 'json_too_deep';
      state.stack.push({ keys: unit === OPEN_OBJECT ? new Set() : null, expectKey: true });
      return at + 1;
    case CLOSE_OBJECT:
    case CLOSE_ARRAY:
      closeMember(state, at);
      state.stack.pop();
      return at + 1;
    case COMMA:
      closeMember(state, at);
      expectKey(state, true);
      return at + 1;
    case COLON:
      expectKey(state, false);
      if (state.stack.length === 1) state.memberStart = at + 1;
      return at + 1;
    default:
      return unit === MINUS || isDigit(unit) ? takeNumber(state, at) : at + 1;
  }
}

function expectKey({ stack }: Scan, expected: boolean): void {
  const frame = stack[stack.length - 1];
  if (frame) frame.expectKey = expected;
}

function takeString(state: Scan, at: number): number | Reason {
  const end = endOfString(state.text, at);
  if (end < 0) return 'json_invalid';
  const frame = state.stack[state.stack.length - 1];
  if (!frame?.keys || !frame.expectKey) return end;
  const key = readKey(state.text.slice(at, end));
  if (key === null) return 'json_invalid';
  for (const form of foldedForms(key)) {
    if (frame.keys.has(form)) state.ambiguity ??= 'json_duplicate_key';
    frame.keys.add(form);
  }
  if (frame.keys.size > state.maxMembers) return 'json_too_wide';
  if (state.stack.length === 1) state.member = key;
  return end;
}

function takeNumber(state: Scan, at: number): number {
  const end = endOfNumber(state.text, at);
  const isEchoed = state.stack.length === 1 && state.member !== null && state.member === state.echoed;
  if (!isEchoed && !isExact(state.text.slice(at, end))) state.ambiguity ??= 'json_number_imprecise';
  return end;
}

function closeMember(state: Scan, end: number): void {
  if (state.stack.length !== 1 || state.member === null) return;
  state.members.set(state.member, trimmed(state.text, state.memberStart, end));
  state.member = null;
}

/** The index after the closing quote; negative if there is none, or at a surrogate without its other half. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) return at + 1;
    if (unit !== BACKSLASH) continue;
    const length = escapeLength(text, at);
    if (length < 0) return -1;
    at += length - 1;
  }
  return -1;
}

/** Length of the escape at a backslash; a surrogate pair counts as one, half a pair is negative. */
function escapeLength(text: string, at: number): number {
  if (text[at + 1] !== 'u') return 2;
  const escaped = Number.parseInt(text.slice(at + 2, at + 6), 16);
  if (!(escaped >= 0xd800 && escaped <= 0xdfff)) return 6;
  return escaped < 0xdc00 && /^\\u[dD][c-fC-F]/.test(text.slice(at + 6, at + 10)) ? 12 : -1;
}

function readKey(literal: string): string | null {
  if (!literal.includes('\\')) return literal.slice(1, -1);
  try {
    return JSON.parse(literal) as string;
  } catch {
    return null;
  }
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

function endOfNumber(text: string, start: number): number {
  let end = start + 1;
  while (isNumberUnit(text.charCodeAt(end))) end++;
  return end;
}

/** A digit, a sign, a point or an exponent. */
function isNumberUnit(unit: number): boolean {
  return isDigit(unit) || unit === 0x2e || unit === MINUS || unit === 0x2b || unit === 0x45 || unit === 0x65;
}

/** Every parser reads the same number: no overflow, and an integer literal that a double holds exactly. */
function isExact(literal: string): boolean {
  const value = Number(literal);
  if (Number.isSafeInteger(value) || Number.isNaN(value)) return true; // NaN: no number at all, JSON.parse says so
  return Number.isFinite(value) && !/^-?\d+$/.test(literal);
}

function trimmed(text: string, start: number, end: number): Span {
  let from = start;
  let to = end;
  while (from < to && isSpace(text.charCodeAt(from))) from++;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
  return [from, to];
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09;
}
