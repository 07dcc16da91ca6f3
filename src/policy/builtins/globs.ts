/**
 * regex.globs_match: whether some string matches both globs, where a glob is characters, ".", [sets] and
 * the flags "*" and "+". The algorithm of yashtewari/glob-intersection, which OPA calls, step by step;
 * remembering what was tried makes it polynomial.
 */
import { type Family, isText, refuse } from './arguments.ts';

const name = 'regex.globs_match';
const maxTokens = 200;

type Range = readonly [low: number, high: number];

interface Token {
  readonly kind: 'character' | 'dot' | 'set';
  readonly ranges: readonly Range[];
  readonly flag: '' | '+' | '*';
}

type Glob = readonly Token[];

export const globs: Family = {
  [name]: (left, right) => {
    if (!isText(left) || !isText(right)) return undefined;
    const a = parse(left);
    const b = parse(right);
    if (a === undefined || b === undefined) return undefined;
    const trimmed = trim(a, b);
    return trimmed !== undefined && intersect(...trimmed);
  },
};

/** Undefined when malformed. */
function parse(glob: string): Glob | undefined {
  const tokens: Token[] = [];
  const element = /(?:\\(?<escaped>.)|\[(?<set>(?:\\.|[^\\\]])*)\]|(?<plain>[^\\[\]+*]))(?<flag>[+*]?)/suy;
  while (element.lastIndex < glob.length) {
    const token = readToken(element.exec(glob)?.groups);
    if (token === undefined) return undefined;
    simplify(tokens, token);
    if (tokens.length > maxTokens) refuse(name, `globs longer than ${maxTokens}`);
  }
  return tokens;
}

function readToken({ escaped, set, plain, flag }: Partial<Record<string, string>> = {}): Token | undefined {
  const ranges = set === undefined ? single(escaped ?? plain) : readSet(set);
  const kind = set !== undefined ? 'set' : plain === '.' ? 'dot' : 'character';
  return ranges && { kind, ranges, flag: flag === '+' || flag === '*' ? flag : '' };
}

function single(character: string | undefined): readonly Range[] | undefined {
  const code = character?.codePointAt(0);
  return code === undefined ? undefined : [[code, code]];
}

/** The inside of [...]: characters and ranges; a "-" must stand between two, and is escaped otherwise. */
function readSet(text: string): readonly Range[] | undefined {
  const ranges: Range[] = [];
  const member = /(?:\\(.)|([^\\-]))(?:-(?:\\(.)|([^\\-])))?/suy;
  while (member.lastIndex < text.length) {
    const [, escaped, plain, escapedEnd, plainEnd] = member.exec(text) ?? [];
    const low = (escaped ?? plain)?.codePointAt(0);
    if (low === undefined) return undefined;
    const high = (escapedEnd ?? plainEnd)?.codePointAt(0) ?? low;
    if (high < low) return undefined;
    ranges.push([low, high]);
  }
  return merge(ranges);
}

function merge(ranges: readonly Range[]): readonly Range[] {
  const merged: Range[] = [];
  for (const [low, high] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last && low <= last[1] + 1) merged[merged.length - 1] = [last[0], Math.max(last[1], high)];
    else merged.push([low, high]);
  }
  return merged;
}

/** Appends a token, or joins it with an equal flagged neighbour: t+t* is t+. */
function simplify(tokens: Token[], token: Token): void {
  const last = tokens.at(-1);
  if (!last?.flag || !token.flag || !equal(last, token)) tokens.push(token);
  else if (token.flag === '+') tokens[tokens.length - 1] = token;
}

function equal(a: Token, b: Token): boolean {
  return a.kind === b.kind && (a.kind === 'dot' || String(a.ranges) === String(b.ranges));
}

function match(a: Token | undefined, b: Token | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  if (a.kind === 'dot' || b.kind === 'dot') return true;
  return a.ranges.some((x) => b.ranges.some((y) => x[0] <= y[1] && y[0] <= x[1]));
}

/** Drops what both begin and end with, but for one token each; undefined when those differ. */
function trim(a: Glob, b: Glob): [Glob, Glob] | undefined {
  const plain = (i: number, j: number): boolean => a[i]?.flag === '' && b[j]?.flag === '';
  let start = 0;
  for (; plain(start, start); start += 1) if (!match(a[start], b[start])) return undefined;
  start = Math.max(start - 1, 0);
  let i = a.length - 1;
  let j = b.length - 1;
  for (; i >= start && j >= start && plain(i, j); i -= 1, j -= 1) {
    if (!match(a[i], b[j])) return undefined;
  }
  const kept = i < a.length - 1 ? 1 : 0;
  return [a.slice(start, i + 1 + kept), b.slice(start, j + 1 + kept)];
}

function intersect(left: Glob, right: Glob): boolean {
  const known = new Map<string, boolean>();
  const normal = (a: Glob, i: number, b: Glob, j: number): boolean => {
    const key = `${a === left} ${i} ${j}`;
    const answer = known.get(key) ?? walk(a, i, b, j);
    known.set(key, answer);
    return answer;
  };
  const walk = (a: Glob, i: number, b: Glob, j: number): boolean => {
    let at = 0;
    while (a[i + at]?.flag === '' && b[j + at]?.flag === '') {
      if (!match(a[i + at], b[j + at])) return false;
      at += 1;
    }
    const [x, y] = [a[i + at], b[j + at]];
    if (x === undefined || y === undefined) return x === y;
    return x.flag ? flagged(a, i + at, b, j + at) : flagged(b, j + at, a, i + at);
  };
  const flagged = (a: Glob, i: number, b: Glob, j: number): boolean => (a[i]?.flag === '+' ? plus(a, i, b, j) : star(a, i, b, j));
  const plus = (plussed: Glob, p: number, other: Glob, o: number): boolean =>
    match(plussed[p], other[o]) &&
    (star(plussed, p, other, o + 1) || (other[o]?.flag !== '' && normal(plussed, p + 1, other, o)));
  const star = (starred: Glob, s: number, other: Glob, o: number): boolean => {
    const next = starred[s + 1];
    for (let i = o; i < other.length; i += 1) {
      if (match(other[i], next) && normal(starred, s + 1, other, i)) return true;
      if (!match(other[i], starred[s])) return false;
    }
    return next === undefined;
  };
  return normal(left, 0, right, 0);
}
