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
import { inputText, type PolicyInput, policyInput } from '../policy/input.ts';
import type { Policy } from '../policy/policy.ts';
import { type Outcome, type Reason, reasonRow } from '../reasons.ts';
import type { Resource, ToolFacts } from '../resource.ts';
import { deny, ok, type Result } from '../result.ts';
import type { Principal } from '../token/principal.ts';
import type { Denial } from '../verdict.ts';
import { corsHeaders, type Response, refusal } from './answer.ts';

export interface AuthorizePorts {
  /** The policy in force, or null while there is none. */
  readonly policy: Policy | null;
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

export interface Said {
  readonly allow: boolean;
  readonly reason: Reason;
  /** What rules that only watch would have refused. */
  readonly logOnly?: readonly { readonly rule: string; readonly reason: Reason; readonly message?: string }[];
}

/** What policy was asked and what it said. */
export interface PolicyAsked {
  readonly input: PolicyInput;
  readonly revision: string;
  readonly inbound: Said;
  /** Null where it was not asked. */
  outbound: Said | null;
}

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
  const lap = stopwatch(facts, ports.clock);

  const { policy } = ports;
  if (policy === null) return deny({ reason: 'policy_undefined' });
  facts.revision = policy.revision;
  const input = policyInput(http, resource, operation, principal, tool, ports.policyHeaders);
  const questions = policy.ask(inputText(input));
  const inbound = questions.inbound(); // is it allowed
  lap('inbound');
  const said: PolicyAsked = { input, revision: policy.revision, inbound: saidBy(inbound), outbound: null };
  facts.asked = said;
  if (!inbound.ok) return inbound;
  const changed =
    operation.tool === null ? null : judgePin(resource, operation.tool, ports.views(resource.name), ports.approvals());
  if (changed !== null) return deny({ reason: changed }); // is it still the tool that was approved
  const outbound = questions.outbound(); // with which authority
  lap('outbound');
  said.outbound = saidBy(outbound);
  if (!outbound.ok) return outbound;
  facts.outbound = outbound.value;

  if (ports.now() >= deadlineMs) return deny({ reason: 'deadline_exceeded' });
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
export function authorizeAny(asked: readonly Asked[], ports: AuthorizePorts, facts: Facts): Result<null> {
  const { policy } = ports;
  if (policy === null) return deny({ reason: 'policy_undefined' });
  facts.revision = policy.revision;
  const lap = stopwatch(facts, ports.clock);
  let first: Result<null> = deny({ reason: 'policy_undefined' });
  for (const [index, { http, resource, operation, principal }] of asked.entries()) {
    const tool = toolFacts(resource, ports.views, operation.tool);
    const input = policyInput(http, resource, operation, principal, tool, ports.policyHeaders);
    const answer = policy.ask(inputText(input)).inbound();
    if (!answer.ok && index > 0) continue;
    first = answer;
    facts.asked = { input, revision: policy.revision, inbound: saidBy(answer), outbound: null };
    if (answer.ok) break;
  }
  lap('inbound');
  return first;
}

function saidBy(answer: Result<unknown>): Said {
  return answer.ok ? { allow: true, reason: 'allowed' } : { allow: false, reason: answer.denial.reason };
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
