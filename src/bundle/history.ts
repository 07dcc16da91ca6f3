/**
 * Which revisions were in force, so that policy does not go back by itself: whoever can answer for the bundle server, or has an
 * old signed bundle, could bring back a rule that was taken away. Pure; the store keeps it.
 */

export interface Activation {
  readonly revision: string;
  /** SHA-256 of the archive, in hex. */
  readonly digest: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** The last is in force. */
export type History = readonly Activation[];

/** `same`: it is the one in force, to the byte. */
export type Standing = 'new' | 'same' | 'older' | 'reused';

const MAX_KEPT = 1000;

export function judgeRevision(history: History, { revision, digest }: Pick<Activation, 'revision' | 'digest'>): Standing {
  const inForce = history.at(-1);
  if (inForce === undefined) return 'new';
  if (inForce.revision === revision && inForce.digest === digest) return 'same';
  const before = history.findLast((one) => one.revision === revision);
  if (before !== undefined && before.digest !== digest) return 'reused';
  // The latest that can be compared: one between them that cannot be must open no way back.
  const orders = history.map((one) => compareRevisions(revision, one.revision));
  const order = orders.findLast((one) => one !== null);
  if (order != null) return order < 0 ? 'older' : 'new';
  return before === undefined ? 'new' : 'older';
}

export function withActivation(history: History, activation: Activation): History {
  return [...history, activation].slice(-MAX_KEPT);
}

/**
 * Below 0 where `a` is older than `b`; null where nothing in them says so. Compared are times (ISO 8601) and numbers at the
 * beginning, dotted ones part by part, whatever follows after a separator: `42`, `v1.10.2`, `17-3f9c2d1`.
 */
export function compareRevisions(a: string, b: string): number | null {
  const [timeA, timeB] = [readTime(a), readTime(b)];
  if (timeA !== null && timeB !== null) return orNull(timeA - timeB);
  const [numbersA, numbersB] = [readNumbers(a), readNumbers(b)];
  if (timeA !== null || timeB !== null || numbersA === null || numbersB === null) return null;
  return compareParts(numbersA, numbersB);
}

function compareParts(a: readonly bigint[], b: readonly bigint[]): number | null {
  const differences = Array.from({ length: Math.max(a.length, b.length) }, (_, at) => (a[at] ?? 0n) - (b[at] ?? 0n));
  const first = differences.find((difference) => difference !== 0n);
  return first === undefined ? null : first < 0n ? -1 : 1;
}

function orNull(difference: number): number | null {
  return difference === 0 ? null : difference;
}

const TIME = /^(\d{4})-(\d{2})-(\d{2})(T(\d{2}):?(\d{2})(:?(\d{2})(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/;
const COMPACT_TIME = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z?$/;

/** Without a zone it is UTC. */
function readTime(revision: string): number | null {
  const text = revision.replace(COMPACT_TIME, '$1-$2-$3T$4:$5:$6Z');
  const match = TIME.exec(text);
  if (match === null) return null;
  const [, year, month, day, clock, hour = '00', minute = '00', , second = '00', fraction = '', zone = 'Z'] = match;
  const offset = zone.replace(/^([+-]\d{2})(\d{2})$/, '$1:$2');
  const time = Date.parse(
    clock === undefined ? `${year}-${month}-${day}` : `${year}-${month}-${day}T${hour}:${minute}:${second}${fraction}${offset}`,
  );
  return Number.isNaN(time) ? null : time;
}

/** A commit's hash may begin with digits too: what follows the number must not be a letter. */
function readNumbers(revision: string): bigint[] | null {
  const match = /^v?(\d{1,30}(?:\.\d{1,30}){0,7})(?![0-9A-Za-z.])/.exec(revision);
  return match?.[1]?.split('.').map(BigInt) ?? null;
}
