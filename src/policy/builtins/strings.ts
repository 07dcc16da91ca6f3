/**
 * strings.any_prefix_match, any_suffix_match, count and split_n, and indexof_n. Offsets count code points.
 * A set as argument arrives as an array, which all of these treat alike. Searches are linear (KMP): the
 * text and the pattern may both be the caller's.
 */
import { byCodePoint, type Family, integer, isText, isTextList } from './arguments.ts';

export const strings: Family = {
  'strings.any_prefix_match': (texts, prefixes) => anyStartsWithAny(textsOf(texts), textsOf(prefixes)),
  'strings.any_suffix_match': (texts, suffixes) =>
    anyStartsWithAny(textsOf(texts)?.map(reverse), textsOf(suffixes)?.map(reverse)),
  'strings.count': (text, part) => {
    if (!isText(text) || !isText(part)) return undefined;
    return part === '' ? [...text].length + 1 : occurrences(text, part, false).length;
  },
  'strings.split_n': (text, delimiter, count) => {
    const n = integer('strings.split_n', count);
    if (!isText(text) || !isText(delimiter) || n === undefined) return undefined;
    const parts = delimiter === '' ? [...text] : text.split(delimiter);
    return n < 0 ? parts.slice(n) : parts.slice(0, n);
  },
  indexof_n: (text, part) => {
    if (!isText(text) || !isText(part) || part === '') return undefined;
    return codePointOffsets(text, occurrences(text, part, true));
  },
};

function textsOf(value: unknown): readonly string[] | undefined {
  if (isText(value)) return [value];
  return isTextList(value) ? value : undefined;
}

/** Strings that share a prefix sort together, right after it: one search per prefix. */
function anyStartsWithAny(texts: readonly string[] | undefined, prefixes: readonly string[] | undefined): boolean | undefined {
  if (texts === undefined || prefixes === undefined) return undefined;
  const sorted = [...texts].sort(byCodePoint);
  return prefixes.some((prefix) => sorted[firstNotBefore(sorted, prefix)]?.startsWith(prefix));
}

function firstNotBefore(sorted: readonly string[], wanted: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (byCodePoint(sorted[middle] ?? '', wanted) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function reverse(text: string): string {
  return [...text].reverse().join('');
}

/** Where `part` begins in `text`, counted in elements: UTF-16 units of a string. `part` is not empty. */
export function occurrences(text: ArrayLike<string>, part: ArrayLike<string>, overlapping: boolean): number[] {
  const found: number[] = [];
  const border = borders(part);
  for (let i = 0, matched = 0; i < text.length; i += 1) {
    while (matched > 0 && text[i] !== part[matched]) matched = border[matched - 1] ?? 0;
    if (text[i] === part[matched]) matched += 1;
    if (matched < part.length) continue;
    found.push(i - matched + 1);
    matched = overlapping ? (border[matched - 1] ?? 0) : 0;
  }
  return found;
}

/** For each prefix of `part`, the length of its longest proper border (Knuth, Morris, Pratt). */
function borders(part: ArrayLike<string>): Uint32Array {
  const border = new Uint32Array(part.length);
  for (let i = 1, length = 0; i < part.length; i += 1) {
    while (length > 0 && part[i] !== part[length]) length = border[length - 1] ?? 0;
    if (part[i] === part[length]) length += 1;
    border[i] = length;
  }
  return border;
}

function codePointOffsets(text: string, units: readonly number[]): number[] {
  let passed = 0;
  let points = 0;
  return units.map((unit) => {
    for (; passed < unit; passed += 1) {
      const code = text.charCodeAt(passed);
      if (code < 0xdc00 || code > 0xdfff) points += 1;
    }
    return points;
  });
}
