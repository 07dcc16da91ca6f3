/**
 * A decision as it is written in the head of a rule, read as the sidecar reads one. For members that only an evaluation knows
 * stands something that would be right, so that nothing is said of them.
 */
import { readInbound, readOutbound } from '../policy/decision.ts';
import { POLICY_REASONS } from '../reasons.ts';
import { MAX_TTL_SECONDS } from './engine.ts';

export interface WrittenMember {
  readonly name: string;
  /** Absent where it is not known. */
  readonly value?: unknown;
}

interface WrittenFault {
  readonly member: string;
  readonly text: string;
}

const RIGHT: Readonly<Record<string, unknown>> = {
  message: 'm',
  required_scopes: ['s'],
  log_only: [],
  audience: 'https://backend.invalid',
  scope: 's',
  ttl_seconds: 1,
  resource: 'https://backend.invalid',
  headers: {},
};

const SAID: Readonly<Record<string, string>> = {
  scope: '"scope" has to be there: scopes with one space between them',
  ttl_seconds: `"ttl_seconds" has to be there: a whole number from 1 to what the configuration allows, ${MAX_TTL_SECONDS} at most`,
  audience: '"audience" has to be there: a text that is not empty',
};

/** Null where the sidecar takes it, or might. */
export function findWrittenFault(entrypoint: string, members: readonly WrittenMember[]): WrittenFault | null {
  const decision = Object.fromEntries(members.map(({ name, value }) => [name, value ?? RIGHT[name]]));
  const { reason } = decision;
  // That one is told already.
  if (typeof reason === 'string' && !POLICY_REASONS.has(reason)) return null;
  const faults = answersOf(decision).map((answer) => readFault(entrypoint, answer));
  return faults.includes(null) ? null : (faults[0] ?? null);
}

/** Whether it allows may be unknown, and so may be its reason. */
function answersOf(decision: Readonly<Record<string, unknown>>): Record<string, unknown>[] {
  const { allow, reason } = decision;
  const allows = allow === undefined ? (reason === undefined ? [true, false] : [reason === 'allowed']) : [allow];
  return allows.map((one) => ({ ...decision, allow: one, reason: reason ?? (one === true ? 'allowed' : 'policy_denied') }));
}

function readFault(entrypoint: string, answer: Record<string, unknown>): WrittenFault | null {
  const read = entrypoint.startsWith('mcp/outbound/') ? readOutbound(answer, MAX_TTL_SECONDS) : readInbound(answer);
  if (read.ok || read.denial.reason !== 'policy_invalid') return null;
  const member = /^the decision's (\S+) is/.exec(String(read.denial.cause))?.[1] ?? 'reason';
  return { member, text: describe(member, answer) };
}

function describe(member: string, { allow, reason }: Record<string, unknown>): string {
  if (member === 'reason')
    return allow === true
      ? '"reason" has to be "allowed" where "allow" is true'
      : '"reason" cannot be "allowed" where "allow" is false';
  if (member === 'required_scopes')
    return allow === true
      ? '"required_scopes" does not go with "allow": true'
      : `"required_scopes" has to be a list of scopes${reason === 'insufficient_scope' ? ', and to be there with this reason' : ''}`;
  return SAID[member] ?? `"${member}" is missing or of the wrong shape`;
}
