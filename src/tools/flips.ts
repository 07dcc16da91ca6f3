/**
 * What another policy would have decided otherwise, in groups: from what to what, for which backend and tool. Bounded: of each
 * group some examples and some subjects are kept and the rest counted, and there are only so many groups.
 */
import { DIRECTIONS, type Direction } from '../policy/flips.ts';
import type { Judged, Said } from './judge.ts';
import { type RecordedSaid, type RecordedToken, tokenOf } from './recorded.ts';
import { shortVerdict } from './verdict-text.ts';

/** As the shadow policy's metric has them. */
export const KINDS = DIRECTIONS;

export type Kind = Direction;

/** What policy said of one decision: recorded, or by a policy that was asked. */
export interface Answer {
  readonly inbound: Pick<RecordedSaid, 'allow'> & { readonly reason: string };
  readonly outbound: (Pick<RecordedSaid, 'allow'> & { readonly reason: string }) | null;
  readonly token: RecordedToken | null;
}

export interface Change {
  readonly kind: Kind;
  readonly from: string;
  readonly to: string;
}

export interface Flip extends Change {
  readonly id: string;
  readonly backend: string;
  readonly what: string;
  readonly subject: string;
  /** Something of the input was erased, and what was compared with is the record. */
  readonly uncertain: boolean;
}

export interface Group extends Change {
  readonly backend: string;
  readonly what: string;
  readonly uncertain: boolean;
  count: number;
  readonly examples: string[];
  readonly subjects: string[];
  /** There were more subjects than are kept. */
  moreSubjects: boolean;
}

export function answerOf({ inbound, outbound, token }: Judged): Answer {
  return {
    inbound: shorten(inbound),
    outbound: outbound === null ? null : shorten(outbound),
    token: token === null ? null : tokenOf(token),
  };
}

function shorten({ allow, reason }: Said): Answer['inbound'] {
  return { allow, reason };
}

/** Null where both say the same. */
export function compare(before: Answer, after: Answer): Change | null {
  // Where outbound was never asked, by the pin of a tool for one, there is nothing to compare its answer with.
  const asked = before.inbound.allow && before.outbound === null;
  const from = before.outbound ?? before.inbound;
  const to = asked ? after.inbound : (after.outbound ?? after.inbound);
  if (from.allow !== to.allow)
    return { kind: from.allow ? 'allow_to_deny' : 'deny_to_allow', from: wordOf(from), to: wordOf(to) };
  if (from.reason !== to.reason) return { kind: 'reason', from: wordOf(from), to: wordOf(to) };
  return asked ? null : compareTokens(before.token, after.token);
}

function wordOf(said: Answer['inbound']): string {
  return shortVerdict(said as Said);
}

/** A long audience or scope is cut short in the log. */
const CUT = 256;

function compareTokens(before: RecordedToken | null, after: RecordedToken | null): Change | null {
  if (before === null || after === null) return null;
  const changed = (['audience', 'scope', 'ttlSeconds'] as const).filter((name) => {
    const [was, is] = [before[name], after[name]];
    if (was === null || String(was).slice(0, CUT) === String(is).slice(0, CUT)) return false;
    return name !== 'scope' || setText(before.scope) !== setText(after.scope);
  });
  const parts = [
    ...changed.map((name) => [`${NAMES[name]} ${before[name]}`, `${NAMES[name]} ${after[name]}`] as const),
    ...compareResources(before.resource, after.resource),
    ...compareHeaders(before.headers, after.headers),
  ];
  if (parts.length === 0) return null;
  return { kind: 'token', from: parts.map(([was]) => was).join(', '), to: parts.map(([, is]) => is).join(', ') };
}

type Part = readonly [was: string, is: string];

function compareResources(was: string | null | undefined, is: string | null | undefined): Part[] {
  if (was === undefined || is === undefined || was === is) return [];
  return [[`resource ${was ?? 'none'}`, `resource ${is ?? 'none'}`]];
}

/** By name only: a value may be another for every caller, and then there would be no group. */
function compareHeaders(before: RecordedToken['headers'], after: RecordedToken['headers']): Part[] {
  if (before === undefined || after === undefined) return [];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  const show = (has: boolean, name: string): string => (has ? `header ${name}` : `no header ${name}`);
  return names
    .filter((name) => before[name] !== after[name])
    .map((name) => {
      const [had, has] = [Object.hasOwn(before, name), Object.hasOwn(after, name)];
      return [show(had, name), had && has ? `header ${name} of another value` : show(has, name)];
    });
}

/** A scope is a set (RFC 6749 section 3.3). */
function setText(scope: string | null): string {
  return [...new Set(scope?.split(' '))].sort().join(' ');
}

const NAMES = { audience: 'audience', scope: 'scope', ttlSeconds: 'lifetime' } as const;

export interface Flips {
  readonly add: (flip: Flip) => void;
  /** The largest first, by kind. */
  readonly groups: () => Group[];
  readonly count: (kind: Kind) => number;
  /** Flips that cannot be told from the effect of what was erased. */
  readonly uncertain: () => number;
  /** Of groups beyond the limit. */
  readonly ungrouped: () => number;
}

const MAX_GROUPS = 2000;
const MAX_SUBJECTS = 20;

export function createFlips(maxExamples: number): Flips {
  const groups = new Map<string, Group>();
  const counts: Record<Kind, number> = { allow_to_deny: 0, deny_to_allow: 0, reason: 0, token: 0 };
  let [uncertain, ungrouped] = [0, 0];

  function groupOf({ kind, from, to, backend, what, uncertain: doubtful }: Flip): Group | null {
    const key = JSON.stringify([kind, from, to, backend, what, doubtful]);
    const known = groups.get(key);
    if (known !== undefined) return known;
    if (groups.size === MAX_GROUPS) return null;
    const fresh = {
      kind,
      from,
      to,
      backend,
      what,
      uncertain: doubtful,
      count: 0,
      examples: [],
      subjects: [],
      moreSubjects: false,
    };
    groups.set(key, fresh);
    return fresh;
  }

  function add(flip: Flip): void {
    if (flip.uncertain) uncertain++;
    else counts[flip.kind]++;
    const group = groupOf(flip);
    if (group === null) {
      ungrouped++;
      return;
    }
    group.count++;
    if (group.examples.length < maxExamples) group.examples.push(flip.id);
    if (group.subjects.includes(flip.subject)) return;
    if (group.subjects.length < MAX_SUBJECTS) group.subjects.push(flip.subject);
    else group.moreSubjects = true;
  }

  return {
    add,
    groups: () => [...groups.values()].sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || b.count - a.count),
    count: (kind) => counts[kind],
    uncertain: () => uncertain,
    ungrouped: () => ungrouped,
  };
}
