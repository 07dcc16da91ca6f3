/**
 * THE function: what one HTTP request may do, from the bytes Envoy saw to what Envoy is told. It has no effects of its own;
 * each arrives as a port, and what we observe is computed from the verdict.
 */
import { corsHeaders, type PublicAnswer, publicAnswer, type Response, refusal } from './answer.ts';
import { inTime } from './deadline.ts';
import type { Delegate, Delegation } from './delegation/delegation.ts';
import { delegationHeaders } from './delegation/headers.ts';
import type { Facade } from './facade/facade.ts';
import type { HttpFacts } from './http.ts';
import type { JsonLimits } from './mcp/json.ts';
import { type Operation, readOperation } from './mcp/operation.ts';
import type { Outbound } from './policy/decision.ts';
import { inputText, policyInput } from './policy/input.ts';
import type { Policy } from './policy/policy.ts';
import { type Outcome, type Reason, reasonRow } from './reasons.ts';
import type { Resource, Resources } from './resource.ts';
import { deny, ok, type Result } from './result.ts';
import { readBearer } from './token/bearer.ts';
import type { Principal } from './token/principal.ts';
import type { Verifier } from './token/verifier.ts';
import type { Denial } from './verdict.ts';

export interface Ports {
  readonly resources: Resources;
  readonly verify: Verifier['verify'];
  /** The policy in force, or null while there is none. */
  readonly policy: Policy | null;
  readonly delegate: Readonly<Record<'exchange' | 'mint', Delegate | null>>;
  /** Answers clients that take us for the authorization server; null where that is off. */
  readonly facade: Facade | null;
  readonly limits: JsonLimits;
  readonly allowedOrigins: ReadonlySet<string>;
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

export type Stage = 'read' | 'verify' | 'inbound' | 'outbound' | 'delegate';

/** What was learnt on the way; null for what was not reached. */
export interface Facts {
  readonly decisionId: string;
  readonly http: HttpFacts;
  resource: Resource | null;
  operation: Operation | null;
  principal: Principal | null;
  /** Revision of the policy that was asked. */
  revision: string | null;
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
export async function check(http: HttpFacts, ports: Ports, deadlineMs: number): Promise<Verdict> {
  const facts = newFacts(http, ports.newId());
  const open = publicAnswer(http, ports.resources, ports.allowedOrigins) ?? ports.facade?.(http, deadlineMs) ?? null;
  if (open !== null) return answered(await open, facts);
  const allowed = await walk(facts, ports, deadlineMs);
  if (!allowed.ok) return denied(allowed.denial, facts, ports);
  return { outcome: 'allow', reason: 'allowed', answer: allowed.value, facts };
}

function answered({ reason, resource, response, cause }: PublicAnswer, facts: Facts): Verdict {
  facts.resource = resource;
  return { outcome: reasonRow(reason).outcome, reason, answer: { kind: 'respond', response }, facts, cause };
}

/** The way of a request that needs a token, step by step; every step can end it. */
async function walk(facts: Facts, ports: Ports, deadlineMs: number): Promise<Result<Answer>> {
  const { http } = facts;
  const lap = stopwatch(facts, ports.clock);

  const resource = findResource(http, ports); // which server
  if (!resource.ok) return resource;
  facts.resource = resource.value;

  const operation = readOperation(http, ports.limits); // what is asked
  if (operation.ok) facts.operation = operation.value;
  const token = readBearer(http); // on whose word
  lap('read');
  if (!token.ok)
    return operation.ok ? token : deny({ ...token.denial, ...(operation.denial.read && { read: operation.denial.read }) });
  if (!operation.ok) return operation;

  const verifying = ports.verify(token.value, resource.value); // by whom
  const principal = verifying instanceof Promise ? await inTime(verifying, deadlineMs - ports.now(), tooLate) : verifying;
  lap('verify');
  if (!principal.ok) return principal;
  facts.principal = principal.value;

  const { policy } = ports;
  if (policy === null) return deny({ reason: 'policy_undefined' });
  facts.revision = policy.revision;
  const questions = policy.ask(
    inputText(policyInput(http, resource.value, operation.value, principal.value, ports.policyHeaders)),
  );
  const inbound = questions.inbound(); // is it allowed
  lap('inbound');
  if (!inbound.ok) return inbound;
  const outbound = questions.outbound(); // with which authority
  lap('outbound');
  if (!outbound.ok) return outbound;
  facts.outbound = outbound.value;

  if (ports.now() >= deadlineMs) return deny({ reason: 'deadline_exceeded' });
  const delegation = await delegate(token.value, facts, ports, deadlineMs);
  lap('delegate');
  if (!delegation.ok) return delegation;
  facts.delegation = delegation.value;

  const headers = delegationHeaders(http.headers, delegation.value, ports.tokenHeader, outbound.value.headers);
  return ok({ kind: 'forward', ...headers, responseHeaders: corsHeaders(http, ports.allowedOrigins) });
}

function tooLate(): Result<never> {
  return deny({ reason: 'deadline_exceeded', cause: 'while the token was verified' });
}

/** What any caller must get right before the message is even read. */
function findResource(http: HttpFacts, { resources, allowedOrigins }: Ports): Result<Resource> {
  const resource = resources.byPath.get(http.path);
  if (resource === undefined) return deny({ reason: 'resource_unknown' });
  const origins = http.headers.get('origin') ?? [];
  if (origins.some((origin) => !allowedOrigins.has(origin))) return deny({ reason: 'origin_forbidden' });
  return http.query === '' ? ok(resource) : deny({ reason: 'query_forbidden' });
}

function delegate(
  subjectToken: string,
  facts: Facts,
  ports: Ports,
  deadlineMs: number,
): Result<Delegation | null> | Promise<Result<Delegation>> {
  const { resource, principal, outbound } = facts as { resource: Resource; principal: Principal; outbound: Outbound };
  if (resource.delegation === 'none') return ok(null);
  const make = ports.delegate[resource.delegation];
  return make === null
    ? deny({ reason: resource.delegation === 'mint' ? 'mint_failed' : 'exchange_unavailable' })
    : make({ subjectToken, principal, outbound, backend: resource.name, deadlineMs });
}

/** The verdict for a denial, also for one that never reached `check` (overload, a request that cannot be read). */
export function denied(denial: Denial, facts: Facts, { allowedOrigins }: Pick<Ports, 'allowedOrigins'>): Verdict {
  return {
    outcome: reasonRow(denial.reason).outcome,
    reason: denial.reason,
    answer: { kind: 'respond', response: refusal(denial, { ...facts, allowedOrigins }) },
    facts,
    ...(denial.read && { read: denial.read }),
    cause: denial.cause,
  };
}

export function newFacts(http: HttpFacts, decisionId: string): Facts {
  return {
    decisionId,
    http,
    resource: null,
    operation: null,
    principal: null,
    revision: null,
    outbound: null,
    delegation: null,
    stages: {},
  };
}

function stopwatch(facts: Facts, clock: () => number): (stage: Stage) => void {
  let last = clock();
  return (stage) => {
    const now = clock();
    facts.stages[stage] = now - last;
    last = now;
  };
}
