/**
 * Which of two revisions is the older one, as far as they say so themselves: by a time (ISO 8601) at the beginning, by numbers,
 * dotted ones part by part, and by what follows where these are equal. What is before a number has to be the same in both:
 * `42`, `v1.10.2`, `17-3f9c2d1`, `2026-11-21-3`, `release-8`.
 */

const NONE: ReadonlySet<string> = new Set();

/**
 * Below 0 where `a` is older than `b`; null where nothing in them says so.
 * @param beside revisions of the same policy: where theirs have a hash, one that happens to be all digits is no number.
 */
export function compareRevisions(a: string, b: string, beside: Iterable<string> = NONE): number | null {
  const [timeA, timeB] = [readTime(a), readTime(b)];
  const hashes = findHashes(beside);
  if (timeA === null && timeB === null) return compareTexts(maskHashes(a, hashes), maskHashes(b, hashes));
  if (timeA === null || timeB === null) return null;
  const difference = timeA.time - timeB.time;
  if (difference !== 0) return difference;
  // The masks go by place, and both have as many parts in front.
  return compareTexts(maskHashes(a, hashes).slice(timeA.length), maskHashes(b, hashes).slice(timeB.length));
}

const BETWEEN = /[^0-9A-Za-z]+/;
const HASH = /^(?=.*[a-f])[0-9a-f]{7,40}$/i;
const DIGITS = /^\d{7,40}$/;

/** Place and length of what can only be the hash of a commit. */
function findHashes(revisions: Iterable<string>): ReadonlySet<string> {
  const found = new Set<string>();
  for (const revision of revisions)
    for (const [at, part] of revision.split(BETWEEN).entries()) if (HASH.test(part)) found.add(`${at}:${part.length}`);
  return found;
}

/** With a letter behind each that makes it no number. */
function maskHashes(revision: string, hashes: ReadonlySet<string>): string {
  let at = 0;
  return hashes.size === 0
    ? revision
    : revision.replace(/[0-9A-Za-z]+|[^0-9A-Za-z]+/g, (part) => {
        if (BETWEEN.test(part)) at++;
        return DIGITS.test(part) && hashes.has(`${at}:${part.length}`) ? `${part}x` : part;
      });
}

/** A commit's hash may begin with digits too: what follows a number must not be a letter. */
const NUMBER = /^\d{1,30}(?:\.\d{1,30}){0,7}(?![0-9A-Za-z.])/;
const WORD = /^[0-9A-Za-z.]+/;

function compareTexts(a: string, b: string): number | null {
  return compareFrom(a.replace(/^v(?=\d)/, ''), b.replace(/^v(?=\d)/, ''));
}

function compareFrom(a: string, b: string): number | null {
  const [before] = /^[^0-9]*/.exec(a) as RegExpExecArray;
  if (before.length === a.length || !b.startsWith(before)) return null;
  const [restA, restB] = [a.slice(before.length), b.slice(before.length)];
  const [numberA, numberB] = [NUMBER.exec(restA)?.[0], NUMBER.exec(restB)?.[0]];
  if (numberA !== undefined && numberB !== undefined) {
    const order = compareParts(numberA.split('.').map(BigInt), numberB.split('.').map(BigInt));
    return order ?? compareFrom(restA.slice(numberA.length), restB.slice(numberB.length));
  }
  const [word] = WORD.exec(restA) as RegExpExecArray;
  return word === WORD.exec(restB)?.[0] ? compareFrom(restA.slice(word.length), restB.slice(word.length)) : null;
}

function compareParts(a: readonly bigint[], b: readonly bigint[]): number | null {
  const differences = Array.from({ length: Math.max(a.length, b.length) }, (_, at) => (a[at] ?? 0n) - (b[at] ?? 0n));
  const first = differences.find((difference) => difference !== 0n);
  return first === undefined ? null : first < 0n ? -1 : 1;
}

const TIME =
  /^(\d{4})-(\d{2})-(\d{2})(T(\d{2}):?(\d{2})(:?(\d{2})(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2}(?![0-9A-Za-z]))?)?(?![0-9A-Za-z])/;
const COMPACT_TIME = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})(Z?)(?![0-9A-Za-z])/;

/** Without a zone it is UTC. @returns epoch milliseconds, and how long the text of it is. */
function readTime(revision: string): { readonly time: number; readonly length: number } | null {
  const compact = COMPACT_TIME.exec(revision);
  const match = compact ?? TIME.exec(revision);
  if (match === null) return null;
  const time = compact === null ? timeOf(match) : Date.parse(compact[0].replace(COMPACT_TIME, '$1-$2-$3T$4:$5:$6Z'));
  return Number.isNaN(time) ? null : { time, length: match[0].length };
}

function timeOf([
  ,
  year,
  month,
  day,
  clock,
  hour = '00',
  minute = '00',
  ,
  second = '00',
  fraction = '',
  zone = 'Z',
]: RegExpExecArray) {
  const offset = zone.replace(/^([+-]\d{2})(\d{2})$/, '$1:$2');
  return Date.parse(
    clock === undefined ? `${year}-${month}-${day}` : `${year}-${month}-${day}T${hour}:${minute}:${second}${fraction}${offset}`,
  );
}
