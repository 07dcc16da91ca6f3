/** Ports of `check` that say yes to everything, one by one to be replaced. */
import type { Ports } from '../../../src/check.ts';
import type { Delegate, DelegationRequest } from '../../../src/delegation/delegation.ts';
import type { Inbound, Outbound } from '../../../src/policy/decision.ts';
import type { Asked, Policy } from '../../../src/policy/policy.ts';
import { indexResources, type Resource } from '../../../src/resource.ts';
import { deny, ok, type Result } from '../../../src/result.ts';
import type { Denial } from '../../../src/verdict.ts';
import { ACTOR, alice, DELEGATION_TOKEN, ledger, NOW_MS, outbound } from './facts.ts';

export const ORIGIN = 'https://app.example';
export const DECISION_ID = '00000000-0000-4000-8000-00000000d1d1';

/** Answers both questions with these, and remembers what it was asked. */
export function fakePolicy(
  inbound: Result<null | Inbound> = ok(null),
  out: Result<Outbound> = ok(outbound),
): Policy & { readonly inputs: unknown[]; readonly asked: Asked[] } {
  const inputs: unknown[] = [];
  const asked: Asked[] = [];
  const said: Result<Inbound> = inbound.ok ? ok(inbound.value ?? { logOnly: [] }) : inbound;
  const take = (one: Asked): void => {
    asked.push(one);
    inputs.push(JSON.parse(one.input));
  };
  return {
    revision: 'r1',
    digest: 'd1',
    inputs,
    asked,
    ask: async (one) => {
      take(one);
      return { inbound: said, outbound: said.ok ? out : null, inboundMs: 3, outboundMs: 1 };
    },
    askInbound: async (one) => {
      take(one);
      return said;
    },
    askEach: async (_asked, _members, each) => ok([...each].map(() => said)),
    evaluate: async () => ok(undefined),
    has: () => false,
    declaredArguments: () => null,
    close: async () => {},
  };
}

/** Of which no question is expected but those given. */
export function strictPolicy(answers: Partial<Policy>): Policy {
  const unasked = async (): Promise<never> => {
    throw new Error('policy was asked');
  };
  return { ...fakePolicy(), ask: unasked, askInbound: unasked, askEach: unasked, ...answers };
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

export interface PortsSpec extends Partial<Omit<Ports, 'resources' | 'policy'>> {
  readonly resources?: readonly Resource[];
  readonly policy?: Policy | null;
}

export function fakePorts({ resources = [ledger], policy = fakePolicy(), ...rest }: PortsSpec = {}): Ports {
  return {
    resources: indexResources(resources),
    verify: async () => ok(alice),
    policy: () => policy,
    delegate: { exchange: fakeDelegate(), mint: null },
    facade: null,
    limits: { maxBytes: 65_536, maxDepth: 64, maxMembers: 64 },
    allowedOrigins: new Set([ORIGIN]),
    views: () => null,
    approvals: () => null,
    policyHeaders: [],
    tokenHeader: 'authorization',
    now: () => NOW_MS,
    clock: () => performance.now(),
    newId: () => DECISION_ID,
    sealer: null,
    ...rest,
  };
}
