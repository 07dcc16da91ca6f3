/**
 * Strict JSON (RFC 8259, I-JSON RFC 7493): bytes in, one value out, and nothing two parsers could read differently.
 * Refused: invalid UTF-8, a byte order mark, trailing bytes, depth beyond the limit, a key twice in one object (also when
 * the two differ only in case, compatibility form or invisible characters), lone surrogates, integers a double cannot hold,
 * overflow.
 *
 * The grammar is left to JSON.parse. A scan over the text looks for what it lets pass, and for members that it has taken
 * for one: the text then has more colons than the value has members. On text that is not JSON the scan only has to end.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { Reason } from '../reasons.ts';
import { deny, ok, type Result } from '../result.ts';
import { foldedForms, isPlain } from './keys.ts';

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
  const scanned = scan(text, limits.maxDepth, echoed);
  if (typeof scanned === 'string') return deny({ reason: scanned });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The error quotes the text, and causes are logged.
    return deny({ reason: 'json_invalid' });
  }
  const members = countMembers(value, limits.maxMembers ?? Number.POSITIVE_INFINITY);
  if (typeof members === 'string') return deny({ reason: members });
  if (members !== scanned.colons) return deny({ reason: 'json_duplicate_key' });
  return scanned.isImprecise ? deny({ reason: 'json_number_imprecise' }) : ok({ value, text, members: scanned.members });
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

interface Scan {
  readonly text: string;
  readonly echoed: string | null;
  readonly members: Map<string, Span>;
  depth: number;
  /** Outside of strings: one for each member. */
  colons: number;
  isImprecise: boolean;
  /** The last string in the root; its key, if a colon follows. */
  literalStart: number;
  literalEnd: number;
  /** The root's member being read, and where its value starts. */
  member: string | null;
  memberStart: number;
}

function scan(text: string, maxDepth: number, echoed: string | null): Scan | Reason {
  const state: Scan = {
    text,
    echoed,
    members: new Map(),
    depth: 0,
    colons: 0,
    isImprecise: false,
    literalStart: 0,
    literalEnd: 0,
    member: null,
    memberStart: 0,
  };
  for (let at = 0; at < text.length; ) {
    at = passToken(state, at);
    if (at < 0) return 'json_invalid';
    if (state.depth > maxDepth) return 'json_too_deep';
  }
  return state;
}

/** Takes note of one token and says where the next starts; negative where none can. */
function passToken(state: Scan, at: number): number {
  const unit = state.text.charCodeAt(at);
  switch (unit) {
    case QUOTE:
      return passString(state, at);
    case OPEN_OBJECT:
    case OPEN_ARRAY:
      state.depth++;
      break;
    case COLON:
      state.colons++;
      if (state.depth === 1) openMember(state, at + 1);
      break;
    case COMMA:
      closeMember(state, at);
      break;
    case CLOSE_OBJECT:
    case CLOSE_ARRAY:
      closeMember(state, at);
      state.depth--;
      break;
    default:
      if (unit === MINUS || isDigit(unit)) return passNumber(state, at);
  }
  return at + 1;
}

function passString(state: Scan, at: number): number {
  const end = endOfString(state.text, at);
  if (state.depth === 1) {
    state.literalStart = at;
    state.literalEnd = end;
  }
  return end;
}

function passNumber(state: Scan, at: number): number {
  const end = endOfNumber(state.text, at);
  const isEchoed = state.depth === 1 && state.member !== null && state.member === state.echoed;
  if (!isEchoed && !isExact(state.text, at, end)) state.isImprecise = true;
  return end;
}

function openMember(state: Scan, at: number): void {
  state.member = readKey(state.text.slice(state.literalStart, state.literalEnd));
  state.memberStart = at;
}

function closeMember(state: Scan, end: number): void {
  if (state.depth !== 1 || state.member === null) return;
  state.members.set(state.member, trimmed(state.text, state.memberStart, end));
  state.member = null;
}

/** Members of all objects in it, or what is wrong with one of them. */
function countMembers(value: unknown, maxMembers: number): number | Reason {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (!Array.isArray(value)) {
    const keys = Object.keys(value);
    if (keys.length > maxMembers) return 'json_too_wide';
    if (haveSameForm(keys)) return 'json_duplicate_key';
    count = keys.length;
  }
  for (const inner of Array.isArray(value) ? value : Object.values(value)) {
    const within = countMembers(inner, maxMembers);
    if (typeof within === 'string') return within;
    count += within;
  }
  return count;
}

/** Whether some parser would take two of these, which differ, for one. */
function haveSameForm(keys: readonly string[]): boolean {
  if (keys.length < 2 || keys.every(isPlain)) return false;
  const seen = new Set<string>();
  for (const key of keys) {
    for (const form of foldedForms(key)) {
      if (seen.has(form)) return true;
      seen.add(form);
    }
  }
  return false;
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
function isExact(text: string, start: number, end: number): boolean {
  const literal = text.slice(start, end);
  const isInteger = /^-?\d+$/.test(literal);
  if (isInteger && literal.length < 16) return true;
  const value = Number(literal);
  if (Number.isSafeInteger(value) || Number.isNaN(value)) return true; // NaN: no number at all, JSON.parse says so
  return Number.isFinite(value) && !isInteger;
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
