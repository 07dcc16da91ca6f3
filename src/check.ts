/**
 * THE function: what one HTTP request may do, from the bytes Envoy saw to what Envoy is told. It has no effects of its own;
 * each arrives as a port, and what we observe is computed from the verdict.
 */
import { publicAnswer } from './answer.ts';
import {
  type Asked,
  type AuthorizePorts,
  authorize,
  denied,
  type Facts,
  newFacts,
  stopwatch,
  type Verdict,
} from './authorize.ts';
import { inTime } from './deadline.ts';
import type { HttpFacts } from './http.ts';
import type { JsonLimits } from './mcp/json.ts';
import { readOperation } from './mcp/operation.ts';
import type { Resource, Resources } from './resource.ts';
import { deny, ok, type Result } from './result.ts';
import { readBearer } from './token/bearer.ts';
import type { Verifier } from './token/verifier.ts';

export interface Ports extends AuthorizePorts {
  readonly resources: Resources;
  readonly verify: Verifier['verify'];
  readonly limits: JsonLimits;
}

/** @param deadlineMs when the answer must be there, epoch milliseconds. */
export async function check(http: HttpFacts, ports: Ports, deadlineMs: number): Promise<Verdict> {
  const facts = newFacts(http, ports.newId());
  const open = publicAnswer(http, ports.resources, ports.allowedOrigins);
  if (open !== null) {
    facts.resource = open.resource;
    return { outcome: 'allow', reason: open.reason, answer: { kind: 'respond', response: open.response }, facts };
  }
  const asked = await identify(facts, ports, deadlineMs); // who asks what of which server
  if (!asked.ok) return denied(asked.denial, facts, ports);
  return authorize(asked.value, ports, deadlineMs, facts); // may they, and with which token
}

/** The way of a request that needs a token, step by step; every step can end it. */
async function identify(facts: Facts, ports: Ports, deadlineMs: number): Promise<Result<Asked>> {
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
