/** Ports of `check` that say yes to everything, one by one to be replaced. */
import type { Ports } from '../../../src/check.ts';
import type { Delegate, DelegationRequest } from '../../../src/delegation/delegation.ts';
import type { Outbound } from '../../../src/policy/decision.ts';
import type { Policy } from '../../../src/policy/policy.ts';
import { indexResources, type Resource } from '../../../src/resource.ts';
import { deny, ok, type Result } from '../../../src/result.ts';
import type { Denial } from '../../../src/verdict.ts';
import { ACTOR, alice, DELEGATION_TOKEN, ledger, NOW_MS, outbound } from './facts.ts';

export const ORIGIN = 'https://app.example';
export const DECISION_ID = '00000000-0000-4000-8000-00000000d1d1';

/** Answers both questions with these, and remembers what it was asked. */
export function fakePolicy(
  inbound: Result<null> = ok(null),
  out: Result<Outbound> = ok(outbound),
): Policy & { readonly inputs: unknown[] } {
  const inputs: unknown[] = [];
  return {
    revision: 'r1',
    inputs,
    ask: (input) => {
      inputs.push(JSON.parse(input));
      return { inbound: () => inbound, outbound: () => out };
    },
    askEach: (_input, _members, each) => ok([...each].map(() => inbound)),
  };
}

/** For policies that are asked of no list. */
export function noLists(): never {
  throw new Error('asked of a list');
}

export function refusing(denial: Denial): Policy {
  return fakePolicy(deny(denial));
}

/** Gives a token for whatever is asked, and remembers what that was. */
export function fakeDelegate(): Delegate & { readonly requests: DelegationRequest[] } {
  const requests: DelegationRequest[] = [];
  const make: Delegate = (request) => {
    requests.push(request);
    const { audience, scopes, ttlSeconds } = request.outbound;
    return ok({
      token: DELEGATION_TOKEN,
      tokenId: 'delegation-jti',
      audience,
      scope: scopes.join(' '),
      expiresAt: NOW_MS / 1000 + ttlSeconds,
      actor: ACTOR,
    });
  };
  return Object.assign(make, { requests });
}

export interface PortsSpec extends Partial<Omit<Ports, 'resources'>> {
  readonly resources?: readonly Resource[];
}

export function fakePorts({ resources = [ledger], ...rest }: PortsSpec = {}): Ports {
  return {
    resources: indexResources(resources),
    verify: async () => ok(alice),
    policy: fakePolicy(),
    delegate: { exchange: fakeDelegate(), mint: null },
    limits: { maxBytes: 65_536, maxDepth: 64, maxMembers: 64 },
    allowedOrigins: new Set([ORIGIN]),
    policyHeaders: [],
    tokenHeader: 'authorization',
    now: () => NOW_MS,
    clock: () => performance.now(),
    newId: () => DECISION_ID,
    ...rest,
  };
}
