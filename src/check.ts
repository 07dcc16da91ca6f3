/**
 * THE function: what one HTTP request may do, from the bytes Envoy saw to what Envoy is told. It has no effects of its own;
 * each arrives as a port, and what we observe is computed from the verdict.
 */

import { toolFacts } from './catalog/tool-facts.ts';
import { corsHeaders, type PublicAnswer, publicAnswer } from './check/answer.ts';
import {
  type Asked,
  type AuthorizePorts,
  authorize,
  authorizeAny,
  denied,
  type Facts,
  newFacts,
  stopwatch,
  type Verdict,
} from './check/authorize.ts';
import { dispatchStraight, dispatchToBackend, dispatchToFrontDoor, onlyListens } from './check/dispatch.ts';
import { findRoute, isForFrontDoor, type Route } from './check/route.ts';
import { inTime } from './deadline.ts';
import type { Facade } from './facade/facade.ts';
import type { HttpFacts } from './http.ts';
import type { JsonLimits } from './mcp/json.ts';
import { readOperation } from './mcp/operation.ts';
import { reasonRow } from './reasons.ts';
import type { Resource, Resources } from './resource.ts';
import { deny, ok, type Result } from './result.ts';
import type { Sealer } from './seal.ts';
import { readBearer } from './token/bearer.ts';
import type { Verifier } from './token/verifier.ts';

export interface Ports extends AuthorizePorts {
  readonly resources: Resources;
  readonly verify: Verifier['verify'];
  /** Answers clients that take us for the authorization server; null where that is off. */
  readonly facade: Facade | null;
  readonly limits: JsonLimits;
  /** Seals what leaves us and comes back; null where answers are not processed. */
  readonly sealer: Sealer | null;
}

/** @param deadlineMs when the answer must be there, epoch milliseconds. */
export async function check(http: HttpFacts, ports: Ports, deadlineMs: number): Promise<Verdict> {
  const facts = newFacts(http, ports.newId());
  const open = publicAnswer(http, ports.resources, ports.allowedOrigins) ?? ports.facade?.(http, deadlineMs) ?? null;
  if (open !== null) return answered(await open, facts);
  const asked = await identify(facts, ports, deadlineMs); // who asks what
  if (!asked.ok) return denied(asked.denial, facts, ports);
  const route = findRoute(asked.value, ports.sealer, ports.views); // of which server
  if (!route.ok) return denied(route.denial, facts, ports);
  return isForFrontDoor(asked.value, route.value, ports.views)
    ? visit(asked.value, route.value, facts, ports, deadlineMs)
    : forward(asked.value, route.value, facts, ports, deadlineMs); // may they, with which token, and how it gets there
}

/** To the one backend that it is for. */
async function forward(asked: Asked, route: Route, facts: Facts, ports: Ports, deadlineMs: number): Promise<Verdict> {
  const backend = route.backend as Resource;
  const { sealer } = ports;
  const verdict = await authorize({ ...asked, resource: backend, operation: route.operation }, ports, deadlineMs, facts);
  if (verdict.answer.kind !== 'forward') return verdict;
  const dispatched = { facts, principal: asked.principal, entrance: asked.resource, route };
  const answer =
    sealer === null
      ? dispatchStraight(verdict.answer, dispatched, ports.now())
      : dispatchToBackend(verdict.answer, dispatched, backend, { ...ports, sealer });
  return { ...verdict, answer };
}

/** To the front door, which asks the backends it concerns; each of its questions is authorized on its own. */
async function visit(asked: Asked, route: Route, facts: Facts, ports: Ports, deadlineMs: number): Promise<Verdict> {
  const { resource, principal, subjectToken } = asked;
  facts.operation = route.operation;
  const concerned = route.backend === null ? resource.members.map((member) => member.resource) : [route.backend];
  facts.resource = route.backend ?? resource;
  facts.tool = toolFacts(facts.resource, ports.views, route.operation.tool);
  const allowed = await authorizeAny(
    concerned.map((backend) => ({ ...asked, resource: backend, operation: route.operation })),
    ports,
    facts,
    deadlineMs,
  );
  if (!allowed.ok) return denied(allowed.denial, facts, ports);
  const dispatched = { facts, principal, entrance: resource, route };
  const answer = dispatchToFrontDoor(dispatched, subjectToken, corsHeaders(facts.http, ports.allowedOrigins), {
    ...ports,
    sealer: ports.sealer as Sealer,
  });
  return { outcome: 'allow', reason: 'allowed', answer, facts };
}

function answered({ reason, resource, response, cause }: PublicAnswer, facts: Facts): Verdict {
  facts.resource = resource;
  return { outcome: reasonRow(reason).outcome, reason, answer: { kind: 'respond', response }, facts, cause };
}

/** The way of a request that needs a token, step by step; every step can end it. */
async function identify(facts: Facts, ports: Ports, deadlineMs: number): Promise<Result<Asked>> {
  const { http } = facts;
  const lap = stopwatch(facts, ports.clock);

  const resource = findResource(http, ports); // which server
  if (!resource.ok) return resource;
  facts.entrance = resource.value;
  facts.resource = resource.value;

  const operation = readOperation(http, ports.limits); // what is asked
  if (operation.ok) {
    facts.operation = operation.value;
    facts.tool = toolFacts(resource.value, ports.views, operation.value.tool);
  }
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
  // It would end as it begins: what clocks may differ by is for calls.
  if (onlyListens(operation.value) && principal.value.expiresAt * 1000 <= ports.now()) return deny({ reason: 'token_expired' });

  return ok({
    http,
    resource: resource.value,
    operation: operation.value,
    principal: principal.value,
    subjectToken: token.value,
  });
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
