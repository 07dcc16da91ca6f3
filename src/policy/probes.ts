/**
 * A policy is asked before it is put in force: both rules, about a few requests of nobody in particular. One that loops, traps or
 * says what is no decision is refused then, and not with the first call. It is warm afterwards.
 */

import { PolicyRefused } from '../bundle/refusal.ts';
import { isObject } from '../mcp/message.ts';
import { ok, type Result } from '../result.ts';
import { readOutbound } from './decision.ts';
import { ENTRYPOINTS } from './engine.ts';
import { inputText, type PolicyInput } from './input.ts';
import type { Policy } from './policy.ts';

/** A first question may wait for a processor that compiles and starts threads besides. */
const PROBE_MS = 30_000;
const WARM_MS = 50;
const WARM_ROUNDS = 250;
const WARM_AT_ONCE = 8;

type Probed = Pick<Policy, 'ask' | 'askInbound' | 'evaluate'>;

/** Rejects with PolicyRefused. */
export async function probe(policy: Probed, maxTtlSeconds: number, now: () => number): Promise<void> {
  for (const one of PROBES) {
    const asked = { input: inputText(one), caller: 'probe', deadlineMs: now() + PROBE_MS };
    const inbound = await policy.askInbound(asked);
    judge(inbound, ENTRYPOINTS.inbound);
    const outbound = await policy.evaluate(ENTRYPOINTS.outbound, asked);
    judge(outbound.ok ? readProbed(outbound.value, inbound.ok, maxTtlSeconds) : outbound, ENTRYPOINTS.outbound);
  }
  const until = performance.now() + WARM_MS;
  for (let round = 0; round < WARM_ROUNDS && performance.now() < until; round++) await warm(policy, now() + PROBE_MS, round);
}

/** What the second rule says where the first says no is never used; all it must be is a yes or a no. */
function readProbed(value: unknown, isAllowed: boolean, maxTtlSeconds: number): Result<unknown> {
  if (isAllowed || value === undefined || !isObject(value) || value.allow !== true) return readOutbound(value, maxTtlSeconds);
  return ok(null);
}

function judge(result: Result<unknown>, entrypoint: string): void {
  if (result.ok) return;
  const { reason, cause } = result.denial;
  const why = typeof cause === 'string' ? `${reason}, ${cause}` : reason;
  if (reason === 'policy_timeout' || reason === 'deadline_exceeded')
    throw new PolicyRefused('timeout', `${entrypoint} was asked on trial: ${why}`);
  if (reason === 'policy_invalid' || reason === 'policy_failed' || reason === 'policy_memory')
    throw new PolicyRefused('answer_invalid', `${entrypoint} was asked on trial: ${why}`);
}

/** From several callers, so that every thread gets some. */
async function warm(policy: Probed, deadlineMs: number, round: number): Promise<void> {
  const text = inputText(PROBES[round % PROBES.length] as PolicyInput);
  await Promise.all(
    Array.from({ length: WARM_AT_ONCE }, (_, caller) => policy.ask({ input: text, caller: `probe ${caller}`, deadlineMs })),
  );
}

const PRINCIPAL: PolicyInput['principal'] = {
  issuer: 'https://probe.invalid',
  subject: 'probe',
  clientId: 'probe',
  scopes: [],
  audience: [],
  actor: [],
  claims: {},
  expiresAt: 0,
  tokenId: null,
  binding: null,
};

const REQUEST: PolicyInput['request'] = {
  method: 'POST',
  host: 'probe.invalid',
  path: '/mcp',
  sourceIp: '192.0.2.1',
  sourcePrincipal: null,
  time: '2026-01-01T00:00:00Z',
  headers: {},
  context: {},
};

function input(mcp: Partial<PolicyInput['mcp']>): PolicyInput {
  return {
    version: 1,
    mcp: {
      era: 'legacy',
      revision: '2025-11-25',
      kind: 'request',
      method: null,
      targets: [],
      tool: null,
      arguments: null,
      backend: 'probe',
      ...mcp,
    },
    principal: PRINCIPAL,
    tool: { title: null, annotations: {}, known: false },
    request: REQUEST,
  };
}

const PROBES: readonly PolicyInput[] = [
  input({ kind: 'http', method: 'GET' }),
  input({ method: 'initialize' }),
  input({ method: 'tools/list', era: 'modern', revision: '2026-07-28' }),
  input({
    method: 'tools/call',
    targets: [{ type: 'tool', name: 'probe' }],
    tool: 'probe',
    arguments: { text: '', number: 0, list: [], object: {} },
  }),
  input({ kind: 'response' }),
];
