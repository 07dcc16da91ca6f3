/**
 * What every family of built-ins shares: the caps on hostile work, the shapes of an argument, and an
 * order and an equality for JSON values. An argument arrives parsed by JSON.parse, so a number is a
 * double: an integer beyond 2^53 may already be another one, and where that could change an answer we
 * refuse it (throw) instead of guessing. A wrong type is no error: as in OPA, the call is undefined.
 */

export type Builtin = (...args: readonly unknown[]) => unknown;
export type Family = Readonly<Record<string, Builtin>>;
export type JsonObject = Readonly<Record<string, unknown>>;

/** Caps on what one call may produce or spend. OPA has none: it relies on a deadline, we are synchronous. */
export const limits = {
  /** elements of an array or set we build */
  items: 65_536,
  /** UTF-16 units of a string we build */
  text: 1_048_576,
  /** nesting of a value we walk */
  depth: 200,
  /** characters of a regular expression or glob */
  pattern: 1_024,
  /** instructions of a compiled regular expression */
  regexProgram: 10_000,
  /** instructions times characters of text, for one search */
  regexWork: 16_000_000,
  /** milliseconds of processor time for all searches of one call */
  regexMs: 250,
} as const;

/** Ends the evaluation: the answer would cost too much, or could not be exact. */
export function refuse(builtin: string, why: string): never {
  throw new Error(`${builtin}: ${why}`);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

export function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

export function isTextList(value: unknown): value is readonly string[] {
  return isList(value) && value.every(isText);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !isList(value) && !isSet(value);
}

/** Sets only come from wire.ts: JSON has none. */
export function isSet(value: unknown): value is ReadonlySet<unknown> {
  return value instanceof Set;
}

/** An integer we can trust; undefined when it is none; refused when JSON.parse may have rounded it. */
export function integer(builtin: string, value: unknown): number | undefined {
  if (typeof value !== 'number' || !Number.isInteger(value)) return undefined;
  if (!Number.isSafeInteger(value)) refuse(builtin, 'integers beyond 2^53 do not arrive exactly');
  return value;
}

/** A JSON number in its own digits: JSON.stringify writes it as it stands. */
export function exactNumber(digits: bigint | string): unknown {
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
  return rawJSON(String(digits));
}

/** Sets an own property even for "__proto__". */
export function put(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

/** Compares as Go does: by code point, which UTF-16 units do not above U+FFFF. */
export function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return surrogatesLast(x) - surrogatesLast(y);
  }
  return a.length - b.length;
}

function surrogatesLast(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** The same text for equal values, and for no others. */
export function canonical(builtin: string, value: unknown, depth = 0): string {
  if (depth > limits.depth) refuse(builtin, `values nested deeper than ${limits.depth}`);
  const inner = (item: unknown): string => canonical(builtin, item, depth + 1);
  if (isList(value)) return `[${value.map(inner).join()}]`;
  if (isSet(value)) return `set(${[...value].map(inner).sort().join()})`;
  if (isObject(value)) {
    const member = (key: string) => `${JSON.stringify(key)}:${canonical(builtin, value[key], depth + 1)}`;
    return `{${Object.keys(value).sort().map(member).join()}}`;
  }
  if (typeof value === 'number') integer(builtin, value);
  return JSON.stringify(value);
}
