/** semver.compare and semver.is_valid: Semantic Versioning 2.0.0, with one leading "v" tolerated. */
import { type Family, isText } from './arguments.ts';

interface Version {
  readonly numbers: readonly bigint[];
  readonly preRelease: readonly string[];
}

const int64Max = 2n ** 63n - 1n;
const identifiers = /^[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*$/;
const decimal = /^[0-9]+$/;

export const semver: Family = {
  'semver.is_valid': (version) => isText(version) && parse(version) !== undefined,
  'semver.compare': (left, right) => {
    if (!isText(left) || !isText(right)) return undefined;
    const a = parse(left);
    const b = parse(right);
    return a && b && compare(a, b);
  },
};

function parse(text: string): Version | undefined {
  const [release, metadata] = cut(text.startsWith('v') ? text.slice(1) : text, '+');
  if (metadata !== undefined && !identifiers.test(metadata)) return undefined;
  const [core, label] = cut(release, '-');
  const preRelease = label?.split('.') ?? [];
  if (label !== undefined && !identifiers.test(label)) return undefined;
  if (preRelease.some((part) => decimal.test(part) && hasLeadingZero(part))) return undefined;
  const parts = core.split('.');
  if (parts.length !== 3 || !parts.every(isNumeric)) return undefined;
  const numbers = parts.map(BigInt);
  return numbers.every((number) => number <= int64Max) ? { numbers, preRelease } : undefined;
}

function cut(text: string, mark: string): [string, string | undefined] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function isNumeric(part: string): boolean {
  return part.length <= 19 && decimal.test(part) && !hasLeadingZero(part);
}

function hasLeadingZero(part: string): boolean {
  return part.length > 1 && part.startsWith('0');
}

function compare(a: Version, b: Version): number {
  for (const [i, number] of a.numbers.entries()) {
    const other = b.numbers[i] ?? 0n;
    if (number !== other) return number < other ? -1 : 1;
  }
  const released = Number(a.preRelease.length === 0) - Number(b.preRelease.length === 0);
  return released !== 0 ? released : comparePreRelease(a.preRelease, b.preRelease);
}

/** Section 11.4: field by field, numbers before words, and more fields win when all before are equal. */
function comparePreRelease(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i += 1) {
    const order = compareIdentifier(a[i], b[i]);
    if (order !== 0) return order;
  }
  return 0;
}

function compareIdentifier(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  const aNumeric = decimal.test(a);
  if (aNumeric !== decimal.test(b)) return aNumeric ? -1 : 1;
  if (aNumeric && a.length !== b.length) return a.length < b.length ? -1 : 1;
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
