/**
 * What two policies say of the same request, compared: the one in force, and a candidate beside it. Only what policy said
 * counts, not what became of the request afterwards. Pure.
 */
import { type Reason, reasonRow } from '../reasons.ts';
import type { Result } from '../result.ts';
import type { Outbound } from './decision.ts';

/** How a candidate would change an answer. */
export const DIRECTIONS = ['allow_to_deny', 'deny_to_allow', 'reason', 'token'] as const;
export type Direction = (typeof DIRECTIONS)[number];

export interface Said {
  readonly allow: boolean;
  readonly reason: Reason;
}

/** What the policy in force said; `outbound` is null where it was not asked which token to make. */
export interface LiveWord {
  readonly inbound: Said;
  readonly outbound: Said | null;
  readonly token: Outbound | null;
}

/** What the candidate answered; `outbound` is null where inbound did not allow. */
export interface CandidateWord {
  readonly inbound: Result<unknown>;
  readonly outbound: Result<Outbound> | null;
}

export type TokenMember = 'audience' | 'scope' | 'ttl_seconds' | 'resource' | 'headers';

export interface Comparison {
  /** `error`: the candidate could not be asked, or gave no answer. */
  readonly outcome: Direction | 'same' | 'error';
  readonly live: Said;
  readonly candidate: Said;
  /** Members of the token that differ; none but for `token`. */
  readonly changed: readonly TokenMember[];
  readonly liveToken: Outbound | null;
  readonly candidateToken: Outbound | null;
}

const ALLOWED: Said = { allow: true, reason: 'allowed' };

export function compareWords(live: LiveWord, candidate: CandidateWord): Comparison {
  const isInboundOnly = live.inbound.allow && live.outbound === null;
  const liveSaid = live.inbound.allow && live.outbound !== null ? live.outbound : live.inbound;
  const candidateSaid = isInboundOnly ? said(candidate.inbound) : saidInAll(candidate);
  const [liveToken, candidateToken] = isInboundOnly ? [null, null] : [live.token, tokenOf(candidate)];
  const changed = liveToken && candidateToken ? changedMembers(liveToken, candidateToken) : [];
  const outcome = judge(liveSaid, candidateSaid, changed.length > 0);
  return { outcome, live: liveSaid, candidate: candidateSaid, changed, liveToken, candidateToken };
}

/** A live policy that broke has refused, and that is compared as any refusal: the candidate may be what mends it. */
function judge(live: Said, candidate: Said, isOtherToken: boolean): Comparison['outcome'] {
  if (reasonRow(candidate.reason).outcome === 'error') return 'error';
  if (live.allow !== candidate.allow) return live.allow ? 'allow_to_deny' : 'deny_to_allow';
  if (!live.allow) return live.reason === candidate.reason ? 'same' : 'reason';
  return isOtherToken ? 'token' : 'same';
}

function said(result: Result<unknown>): Said {
  return result.ok ? ALLOWED : { allow: false, reason: result.denial.reason };
}

function saidInAll({ inbound, outbound }: CandidateWord): Said {
  return inbound.ok && outbound !== null ? said(outbound) : said(inbound);
}

function tokenOf({ inbound, outbound }: CandidateWord): Outbound | null {
  return inbound.ok && outbound?.ok ? outbound.value : null;
}

function changedMembers(live: Outbound, candidate: Outbound): TokenMember[] {
  const changed: Record<TokenMember, boolean> = {
    audience: live.audience !== candidate.audience,
    // A scope is a set (RFC 6749 section 3.3).
    scope: setText(live.scopes) !== setText(candidate.scopes),
    ttl_seconds: live.ttlSeconds !== candidate.ttlSeconds,
    resource: live.resource !== candidate.resource,
    headers: setText(Object.entries(live.headers).map(lineText)) !== setText(Object.entries(candidate.headers).map(lineText)),
  };
  return (Object.keys(changed) as TokenMember[]).filter((member) => changed[member]);
}

function setText(members: readonly string[]): string {
  return JSON.stringify([...new Set(members)].sort());
}

function lineText([name, value]: [string, string]): string {
  return `${name}: ${value}`;
}
