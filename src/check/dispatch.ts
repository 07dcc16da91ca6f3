/**
 * How an allowed request reaches its backend: with the ids that the backend knows, no longer than the token lives, and by way
 * of ext_proc or the front door where Envoy cannot do alone what is to be done.
 */
import { createHash } from 'node:crypto';
import { isIdentityHeader } from '../delegation/headers.ts';
import type { HeaderLine, HttpFacts } from '../http.ts';
import { LISTS } from '../mcp/lists.ts';
import { encodeSentinel, type Operation } from '../mcp/operation.ts';
import type { Resource } from '../resource.ts';
import type { Sealer } from '../seal.ts';
import type { Principal } from '../token/principal.ts';
import type { Answer, Facts } from './authorize.ts';
import {
  BACKEND_HEADER,
  PLAN_HEADER,
  PLAN_LIFETIME_MS,
  type PlanFacts,
  type ProcessingPlan,
  sealPlan,
  type VisitPlan,
} from './plan.ts';
import { backendSession, type Route } from './route.ts';

/** Enough to say what a request was about; a header has to hold them. */
const MAX_PLAN_TARGETS = 8;
/** How long Envoy waits for the front door to end a stream whose token has expired. */
const CLEAN_END_MS = 1000;

export type Forward = Extract<Answer, { kind: 'forward' }>;

export interface Dispatched {
  readonly facts: Facts;
  readonly principal: Principal;
  /** Where the request came in. */
  readonly entrance: Resource;
  readonly route: Route;
}

export interface DispatchPorts {
  readonly sealer: Sealer;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Request headers that the policy may see. */
  readonly policyHeaders: readonly string[];
}

/** What ext_proc is to do with the request and its answer. */
type Processing = Pick<ProcessingPlan, 'splice' | 'filtersList' | 'bindsSession' | 'sealsTasks' | 'marks'>;

/** @param forward what was decided: the delegation token, and headers to take off. */
export function dispatchToBackend(forward: Forward, dispatched: Dispatched, backend: Resource, ports: DispatchPorts): Forward {
  const { entrance, facts } = dispatched;
  const isBehindDoor = entrance !== backend;
  const own = [...sessionHeaders(dispatched), ...nameHeaders(dispatched), ...lifeHeaders(dispatched, ports.now())];
  if (isBehindDoor) own.push([BACKEND_HEADER, backend.name]);
  const remove = [...forward.remove, ...sessionRemoved(dispatched)];
  const responseHeaders = [...forward.responseHeaders, ...sessionEcho(dispatched)];
  const processing = processingOf(dispatched, isBehindDoor ? backend.name : null);
  if (processing === null) return withoutConflict({ kind: 'forward', set: [...forward.set, ...own], remove, responseHeaders });

  const plan: ProcessingPlan = {
    kind: 'process',
    expiresAt: ports.now() + PLAN_LIFETIME_MS,
    facts: planFacts(dispatched, ports),
    backend: backend.name,
    set: forward.set,
    ...processing,
  };
  // What the token would have overwritten, the client's own credentials, goes now.
  const overwritten = forward.set.map(([name]) => name).filter((name) => facts.http.headers.has(name));
  const set = [...own, [PLAN_HEADER, sealPlan(ports.sealer, plan)] as const];
  return withoutConflict({ kind: 'forward', set, remove: [...remove, ...overwritten], responseHeaders });
}

/** Where nothing is processed: straight to the backend. */
export function dispatchStraight(forward: Forward, dispatched: Dispatched, now: number): Forward {
  return withoutConflict({ ...forward, set: [...forward.set, ...lifeHeaders(dispatched, now)] });
}

/** To the front door's own listener, with what it needs to ask the backends on behalf of the caller. */
export function dispatchToFrontDoor(
  dispatched: Dispatched,
  subjectToken: string,
  responseHeaders: readonly HeaderLine[],
  ports: DispatchPorts,
): Forward {
  const { facts, entrance, route } = dispatched;
  const plan: VisitPlan = {
    kind: 'visit',
    expiresAt: ports.now() + PLAN_LIFETIME_MS,
    facts: planFacts(dispatched, ports),
    subjectToken,
    bodySha256: bodyHash(facts.http.body),
    session: route.session,
  };
  const set = [
    // The front door ends its streams itself, and cleanly: Envoy must not be faster.
    ...lifeHeaders(dispatched, ports.now() - CLEAN_END_MS),
    [BACKEND_HEADER, entrance.name] as const,
    [PLAN_HEADER, sealPlan(ports.sealer, plan)] as const,
  ];
  const remove = [...facts.http.headers.keys()].filter(isIdentityHeader);
  return withoutConflict({ kind: 'forward', set, remove, responseHeaders: [...responseHeaders, ...sessionEcho(dispatched)] });
}

export function bodyHash(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('base64url');
}

/** Envoy removes last: a name we set must not be among those we remove. */
function withoutConflict(forward: Forward): Forward {
  const ours = new Set(forward.set.map(([name]) => name));
  return { ...forward, remove: [...new Set(forward.remove)].filter((name) => !ours.has(name)) };
}

function processingOf({ facts, route }: Dispatched, behindDoor: string | null): Processing | null {
  const { operation, splice } = route;
  const { method, era } = operation;
  // A stream that is taken up again may repeat the answer to a request that was cut off.
  const isReplay = method === 'GET' && facts.http.headers.has('last-event-id');
  const processing: Processing = {
    splice,
    filtersList: isReplay || (method !== null && LISTS.has(method)),
    bindsSession: method === 'initialize',
    sealsTasks: isReplay || operation.asTask || method?.startsWith('tasks/') === true || aboutTasks(operation),
    marks: era === 'legacy' ? behindDoor : null,
  };
  const { filtersList, bindsSession, sealsTasks } = processing;
  return behindDoor !== null || splice !== null || filtersList || bindsSession || sealsTasks ? processing : null;
}

function aboutTasks({ targets }: Operation): boolean {
  return targets.some(({ type }) => type === 'task');
}

/** The backend's own session id in place of the one that the client holds. */
function sessionHeaders({ route, entrance }: Dispatched): HeaderLine[] {
  const session = backendSession(route);
  if (session === undefined) return [];
  const headers: HeaderLine[] = session.id === null ? [] : [['mcp-session-id', session.id]];
  // Behind the front door each has agreed with us on a version of its own.
  if (entrance !== route.backend) headers.push(['mcp-protocol-version', session.revision]);
  return headers;
}

/**
 * Headers that mean nothing to the backend: of another era, or in front of one that keeps no sessions; and what would have
 * it repeat an answer where nobody looks for one.
 */
function sessionRemoved({ facts, route }: Dispatched): string[] {
  const removed = backendSession(route)?.id == null ? ['mcp-session-id'] : [];
  if (route.operation.method !== 'GET') removed.push('last-event-id');
  return removed.filter((name) => facts.http.headers.has(name));
}

/** Backends repeat their id in every answer; the client must go on with its own. */
function sessionEcho({ facts, route }: Dispatched): HeaderLine[] {
  const held = facts.http.headers.get('mcp-session-id')?.[0];
  return route.session === null || held === undefined ? [] : [['mcp-session-id', held.trim()]];
}

function nameHeaders({ facts, route }: Dispatched): HeaderLine[] {
  const name = route.operation.targets[0]?.name;
  if (route.splice === null || name === undefined || !facts.http.headers.has('mcp-name')) return [];
  return [['mcp-name', encodeSentinel(name)]];
}

/** Opens a stream on which the client says nothing more. */
export function onlyListens({ method }: Operation): boolean {
  return method === 'GET' || method === 'subscriptions/listen';
}

/**
 * A stream that only listens ends with the token that opened it. Envoy takes integers from 1 on; 0 would be no limit at all.
 * Calls are left alone: clients wait for ever for an answer that is cut off.
 */
function lifeHeaders({ route, principal }: Dispatched, now: number): HeaderLine[] {
  if (!onlyListens(route.operation)) return [];
  return [['x-envoy-upstream-rq-timeout-ms', String(Math.max(1, Math.floor(principal.expiresAt * 1000 - now)))]];
}

function planFacts({ facts, entrance, route, principal }: Dispatched, { policyHeaders }: DispatchPorts): PlanFacts {
  const { headers, body: _, ...http } = facts.http;
  return {
    decisionId: facts.decisionId,
    resource: entrance.name,
    http: { ...http, headers: policyHeaders.flatMap((name) => headersNamed(headers, name)) },
    operation: { ...route.operation, arguments: null, targets: route.operation.targets.slice(0, MAX_PLAN_TARGETS) },
    principal,
  };
}

function headersNamed(headers: HttpFacts['headers'], name: string): [string, readonly string[]][] {
  const values = headers.get(name);
  return values === undefined ? [] : [[name, values]];
}
