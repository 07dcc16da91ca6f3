/**
 * What one operation of a known principal may do: both questions to policy, and the delegation token that goes with a yes.
 * A Check comes here once it knows who asks; so does every request that the sidecar itself makes to a backend. No effects
 * of its own; each arrives as a port, and what we observe is computed from the verdict.
 */

import type { Approvals } from '../catalog/approvals.ts';
import { judgePin } from '../catalog/pin.ts';
import { toolFacts } from '../catalog/tool-facts.ts';
import type { Views } from '../catalog/view.ts';
import type { Delegate, Delegation } from '../delegation/delegation.ts';
import { delegationHeaders } from '../delegation/headers.ts';
import type { HttpFacts } from '../http.ts';
import type { Operation } from '../mcp/operation.ts';
import type { Outbound } from '../policy/decision.ts';
import { inputText } from '../policy/input.ts';
import type { Policy } from '../policy/policy.ts';
import { type Outcome, type Reason, reasonRow } from '../reasons.ts';
import type { Resource, ToolFacts } from '../resource.ts';
import { deny, ok, type Result } from '../result.ts';
import type { Principal } from '../token/principal.ts';
import type { Denial } from '../verdict.ts';
import { corsHeaders, type Response, refusal } from './answer.ts';
import { inputFor, type PolicyAsked, saidBy } from './question.ts';
import { principalKey } from './session.ts';

export interface AuthorizePorts {
  /** The policy in force, or null while there is none; taken once for a request. */
  readonly policy: () => Policy | null;
  readonly delegate: Readonly<Record<'exchange' | 'mint', Delegate | null>>;
  readonly allowedOrigins: ReadonlySet<string>;
  /** What the backends said of themselves. */
  readonly views: Views;
  /** Tools as they were approved; null where they are not pinned. */
  readonly approvals: () => Approvals | null;
  /** Request headers that the policy may see. */
  readonly policyHeaders: readonly string[];
  /** The header that carries the delegation token. */
  readonly tokenHeader: string;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Milliseconds, monotonic, for stage durations. */
  readonly clock: () => number;
  readonly newId: () => string;
}

/** Who asks what of which server, read and verified. */
export interface Asked {
  readonly http: HttpFacts;
  readonly resource: Resource;
  readonly operation: Operation;
  readonly principal: Principal;
  readonly subjectToken: string;
}

export type Stage = 'read' | 'verify' | 'inbound' | 'outbound' | 'delegate';

/** What was learnt on the way; null for what was not reached. */
export interface Facts {
  readonly decisionId: string;
  readonly http: HttpFacts;
  /** Where the request came in: the front door, or the backend itself. */
  entrance: Resource | null;
  /** Which backend it is for; the entrance, as long as that is not known. */
  resource: Resource | null;
  operation: Operation | null;
  /** Of the tool that is called. */
  tool: ToolFacts | null;
  principal: Principal | null;
  /** Revision of the policy that was asked. */
  revision: string | null;
  /** What policy was asked and what it said; null where it was not asked. */
  asked: PolicyAsked | null;
  outbound: Outbound | null;
  delegation: Delegation | null;
  /** Milliseconds each stage took. */
  readonly stages: Partial<Record<Stage, number>>;
}

/** What Envoy is told: let the request go on with these headers, or answer it with this response. */
export type Answer =
  | {
      readonly kind: 'forward';
      readonly set: readonly (readonly [name: string, value: string])[];
      readonly remove: readonly string[];
      readonly responseHeaders: readonly (readonly [name: string, value: string])[];
    }
  | { readonly kind: 'respond'; readonly response: Response };

export interface Verdict {
  readonly outcome: Outcome;
  readonly reason: Reason;
  readonly answer: Answer;
  readonly facts: Readonly<Facts>;
  /** What could be read of a message that was refused unread. */
  readonly read?: Denial['read'];
  /** For the log only. */
  readonly cause?: unknown;
}

/** @param deadlineMs when the answer must be there, epoch milliseconds. */
export async function authorize(
  asked: Asked,
  ports: AuthorizePorts,
  deadlineMs: number,
  facts: Facts = newFacts(asked.http, ports.newId()),
): Promise<Verdict> {
  facts.resource = asked.resource;
  facts.operation = asked.operation;
  facts.tool = toolFacts(asked.resource, ports.views, asked.operation.tool);
  facts.principal = asked.principal;
  const allowed = await walk(asked, facts.tool, facts, ports, deadlineMs);
  if (!allowed.ok) return denied(allowed.denial, facts, ports);
  return { outcome: 'allow', reason: 'allowed', answer: allowed.value, facts };
}

/** Step by step; every step can end it. */
async function walk(
  asked: Asked,
  tool: ToolFacts,
  facts: Facts,
  ports: AuthorizePorts,
  deadlineMs: number,
): Promise<Result<Answer>> {
  const { http, resource, operation, principal } = asked;
  const policy = ports.policy();
  if (policy === null) return deny({ reason: 'policy_undefined' });
  facts.revision = policy.revision;
  const input = inputFor(policy, asked, tool, ports.policyHeaders);
  const caller = principalKey(principal);
  const { inbound, outbound, ...took } = await policy.ask({ input: inputText(input), caller, deadlineMs });
  facts.asked = { input, revision: policy.revision, inbound: saidBy(inbound), outbound: null };
  facts.stages.inbound = took.inboundMs;
  if (!inbound.ok || outbound === null) return inbound.ok ? deny({ reason: 'policy_undefined' }) : inbound; // is it allowed
  const changed =
    operation.tool === null ? null : judgePin(resource, operation.tool, ports.views(resource.name), ports.approvals());
  if (changed !== null) return deny({ reason: changed }); // is it still the tool that was approved
  facts.asked = { ...facts.asked, outbound: saidBy(outbound) };
  facts.stages.outbound = took.outboundMs;
  if (!outbound.ok) return outbound; // with which authority
  facts.outbound = outbound.value;

  if (ports.now() >= deadlineMs) return deny({ reason: 'deadline_exceeded' });
  const lap = stopwatch(facts, ports.clock);
  const delegation = await delegate(asked, outbound.value, ports, deadlineMs);
  lap('delegate');
  if (!delegation.ok) return delegation;
  facts.delegation = delegation.value;

  const headers = delegationHeaders(http.headers, delegation.value, ports.tokenHeader, outbound.value.headers);
  return ok({ kind: 'forward', ...headers, responseHeaders: corsHeaders(http, ports.allowedOrigins) });
}

/**
 * What one of several backends would allow: for messages that are for all of them, of which each is asked on its own later.
 * The verdict is the first yes, or the first no.
 */
export async function authorizeAny(
  asked: readonly Asked[],
  ports: AuthorizePorts,
  facts: Facts,
  deadlineMs: number,
): Promise<Result<null>> {
  const policy = ports.policy();
  if (policy === null) return deny({ reason: 'policy_undefined' });
  facts.revision = policy.revision;
  const lap = stopwatch(facts, ports.clock);
  // All at once: a policy that is replaced meanwhile still answers what it was asked before.
  const answers = await Promise.all(
    asked.map(async (one) => {
      const input = inputFor(policy, one, toolFacts(one.resource, ports.views, one.operation.tool), ports.policyHeaders);
      const inbound = await policy.askInbound({ input: inputText(input), caller: principalKey(one.principal), deadlineMs });
      return { input, inbound };
    }),
  );
  lap('inbound');
  const decisive = answers.find(({ inbound }) => inbound.ok) ?? answers[0];
  if (decisive === undefined) return deny({ reason: 'policy_undefined' });
  const { input, inbound } = decisive;
  facts.asked = { input, revision: policy.revision, inbound: saidBy(inbound), outbound: null };
  return inbound.ok ? ok(null) : inbound;
}

function delegate(
  { resource, principal, subjectToken }: Asked,
  outbound: Outbound,
  ports: AuthorizePorts,
  deadlineMs: number,
): Result<Delegation | null> | Promise<Result<Delegation>> {
  if (resource.delegation === 'none') return ok(null);
  const make = ports.delegate[resource.delegation];
  return make === null
    ? deny({ reason: resource.delegation === 'mint' ? 'mint_failed' : 'exchange_unavailable' })
    : make({ subjectToken, principal, outbound, backend: resource.name, deadlineMs });
}

/** The verdict for a denial, also for one that never reached policy (overload, a request that cannot be read). */
export function denied(denial: Denial, facts: Facts, { allowedOrigins }: Pick<AuthorizePorts, 'allowedOrigins'>): Verdict {
  return {
    outcome: reasonRow(denial.reason).outcome,
    reason: denial.reason,
    answer: {
      kind: 'respond',
      response: refusal(denial, { ...facts, resource: facts.entrance ?? facts.resource, allowedOrigins }),
    },
    facts,
    ...(denial.read && { read: denial.read }),
    cause: denial.cause,
  };
}

export function newFacts(http: HttpFacts, decisionId: string): Facts {
  return {
    decisionId,
    http,
    entrance: null,
    resource: null,
    operation: null,
    tool: null,
    principal: null,
    revision: null,
    asked: null,
    outbound: null,
    delegation: null,
    stages: {},
  };
}

export function stopwatch(facts: Facts, clock: () => number): (stage: Stage) => void {
  let last = clock();
  return (stage) => {
    const now = clock();
    facts.stages[stage] = now - last;
    last = now;
  };
}
