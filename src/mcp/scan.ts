/**
 * What JSON.parse lets pass and does not tell: where the root's members stand, how deep it goes, how many members there are,
 * numbers that a double does not hold. Exact on text that is JSON; on other text it ends in one pass.
 */
import type { Reason } from '../reasons.ts';

/** Where a member's value stands in the text, `[start, end)` in UTF-16 units. */
export type Span = readonly [start: number, end: number];

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

export interface Scan {
  readonly text: string;
  readonly echoed: string | null;
  readonly members: Map<string, Span>;
  depth: number;
  /** Outside of strings: one for each member. */
  colons: number;
  isImprecise: boolean;
  /** The last string in the root, its key if a colon follows; empty once it was taken for one. */
  literalStart: number;
  literalEnd: number;
  /** The root's member being read, and where its value starts. */
  member: string | null;
  memberStart: number;
}

/** @param echoed the root member whose number may be any integer. */
export function scan(text: string, maxDepth: number, echoed: string | null): Scan | Reason {
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
      if (state.depth === 1 && !openMember(state, at + 1)) return -1;
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

/** False where no key stands before the colon. A key is read once: read for each colon it would cost quadratic time. */
function openMember(state: Scan, at: number): boolean {
  if (state.literalEnd === 0) return false;
  state.member = readKey(state.text.slice(state.literalStart, state.literalEnd));
  state.memberStart = at;
  state.literalEnd = 0;
  return true;
}

function closeMember(state: Scan, end: number): void {
  if (state.depth !== 1 || state.member === null) return;
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

/**
 * Every parser reads the same number: an integer that a double holds exactly, or a decimal whose digits are those of the
 * double nearest to it.
 */
function isExact(text: string, start: number, end: number): boolean {
  const literal = text.slice(start, end);
  const isInteger = /^-?\d+$/.test(literal);
  if (isInteger && literal.length < 16) return true;
  const value = Number(literal);
  if (Number.isNaN(value)) return true; // no number at all, JSON.parse says so
  if (isInteger) return Number.isSafeInteger(value);
  return Number.isFinite(value) && digitsOf(literal) === digitsOf(String(value));
}

/** The significant digits of a number, without sign, point, exponent and the zeros around them. */
function digitsOf(literal: string): string {
  const [mantissa = ''] = literal.split(/[eE]/, 1);
  const digits = mantissa.replace(/[-.]/g, '');
  let start = 0;
  let end = digits.length;
  while (start < end && digits[start] === '0') start++;
  while (end > start && digits[end - 1] === '0') end--;
  return digits.slice(start, end);
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
