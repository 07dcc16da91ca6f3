/**
 * Strict JSON (RFC 8259, I-JSON RFC 7493): bytes in, one value out, and nothing two parsers could read differently.
 * Refused: invalid UTF-8, a byte order mark, trailing bytes, depth beyond the limit, a key twice in one object (also when
 * the two differ only in case, compatibility form or invisible characters), lone surrogates, numbers that a double does not
 * hold as they are written.
 *
 * The grammar is left to JSON.parse. A scan over the text looks for what it lets pass, and for members that it has taken
 * for one: the text then has more colons than the value has members. On text that is not JSON the scan only has to end.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { Reason } from '../reasons.ts';
import { deny, ok, type Result } from '../result.ts';
import { foldedForms, isPlain } from './keys.ts';
import { type Span, scan } from './scan.ts';

export interface JsonLimits {
  readonly maxBytes: number;
  /** Arrays and objects inside one another; the outermost is 1. */
  readonly maxDepth: number;
  /** Members of one object; without a limit where who wrote the document is trusted. */
  readonly maxMembers?: number;
  /** Numbers that a double does not hold pass: where they are only handed on as they were written. */
  readonly takesAnyNumber?: boolean;
}

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
  return readJsonText(buffer.toString(ascii ? 'latin1' : 'utf8'), limits, echoed);
}

/** The same of text that was decoded strictly. Its size is the caller's to bound. */
export function readJsonText(
  text: string,
  limits: Omit<JsonLimits, 'maxBytes'>,
  echoed: string | null = null,
): Result<JsonDocument> {
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
  const isRefused = scanned.isImprecise && limits.takesAnyNumber !== true;
  return isRefused ? deny({ reason: 'json_number_imprecise' }) : ok({ value, text, members: scanned.members });
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
