/**
 * The front door, tied to the configuration in force: what it asks a backend on behalf of a visitor is read, judged, logged
 * and given a delegation token of its own, as if it had come through Envoy.
 */

import type { Catalog } from '../catalog/catalog.ts';
import type { Response } from '../check/answer.ts';
import { authorize, denied, type Facts, newFacts, type Verdict } from '../check/authorize.ts';
import { bodyHash } from '../check/dispatch.ts';
import { openPlan, PLAN_HEADER } from '../check/plan.ts';
import { findRoute } from '../check/route.ts';
import { principalKey, sealSession } from '../check/session.ts';
import { openTask, sealTask } from '../check/task.ts';
import { judgeVisible } from '../check/visible.ts';
import { BRIDGED_METHODS, createBridgeHandler, type Resolve } from '../front-door/bridge.ts';
import { type Handler, type Handlers, VisitRefused } from '../front-door/handler.ts';
import { createHandlers } from '../front-door/handlers.ts';
import { createListenHandler } from '../front-door/listen.ts';
import type { TaskIds } from '../front-door/listen-filter.ts';
import { plain, serveFrontDoor } from '../front-door/server.ts';
import { createStreamHandler } from '../front-door/streams.ts';
import { BackendRefused, type BackendRequest, type FrontDoorPorts, type Visit } from '../front-door/visit.ts';
import type { Headers, HttpFacts } from '../http.ts';
import { singleHeader } from '../http.ts';
import type { HttpListener } from '../http-server.ts';
import { LISTS, type ListRow, listDenial } from '../mcp/lists.ts';
import { readOperation } from '../mcp/operation.ts';
import { httpOf } from '../processing/plan-facts.ts';
import type { Member, Resource } from '../resource.ts';
import { deny, ok } from '../result.ts';
import type { Sealer } from '../seal.ts';
import { describeCause } from '../telemetry/redact.ts';
import type { Denial } from '../verdict.ts';
import type { Live, Observers } from './ports.ts';

export interface FrontDoorServiceOptions extends Observers {
  readonly listen: string;
  readonly live: () => Live;
  readonly catalog: Catalog;
  /** Called once for each request to a backend, before it is made; throws where it cannot be recorded. */
  readonly observe: (verdict: Verdict, elapsedMs: number) => void;
  /** Called once for each visit that is refused after its Check. */
  readonly onRefused: (verdict: Verdict) => void;
}

/** A visit, with the token that the visitor came with. */
type Admitted = Visit & { readonly subjectToken: string };

/** For one backend to answer, and for one question to policy and authorization server. */
const ASK_WITHIN_MS = 5000;
const CLOSE_WITHIN_MS = 2000;

export function serveVisitors(options: FrontDoorServiceOptions): Promise<HttpListener> {
  const { live, log } = options;
  return serveFrontDoor({
    listen: options.listen,
    get maxBodyBytes() {
      return live().config.mcp.maxBodyBytes;
    },
    closeWithinMs: CLOSE_WITHIN_MS,
    openVisit: (headers, body) => admit(headers, body, live()),
    ports: () => portsOf(options),
    allowedOrigins: () => live().ports.allowedOrigins,
    handlers: handlersOf(live),
    onRefused: (visit, denial) => options.onRefused(refusedVerdict(visit, denial, live().ports)),
    onFailure: ({ decisionId }, cause) =>
      log('error', 'the front door failed', { decision_id: decisionId, cause: describeCause(cause) }),
  });
}

/** Under an id of its own; the request id joins it with the Check. */
function refusedVerdict(
  { http, resource, entrance = resource, operation, principal }: Visit & { readonly entrance?: Resource },
  denial: Denial,
  ports: Live['ports'],
): Verdict {
  const facts = { ...newFacts(http, ports.newId()), entrance, resource, operation, principal };
  return denied(denial, facts, ports);
}

/** Of one backend's list. The client has those of the others all the same, and the status that goes with them. */
function unlistedVerdict(visit: Visit, { resource }: Member, cause: string, ports: Live['ports']): Verdict {
  const verdict = refusedVerdict({ ...visit, entrance: visit.resource, resource }, listDenial(cause), ports);
  const { answer } = verdict;
  return answer.kind === 'forward'
    ? verdict
    : { ...verdict, answer: { ...answer, response: { ...answer.response, status: 200 } } };
}

const STRANGER = plain(403, 'only what the gateway let pass is served here');

/** Only what carries a plan of ours, for these very bytes. */
function admit(headers: Headers, body: Uint8Array, { ports }: Live): Admitted | Response {
  const sealed = singleHeader(headers, PLAN_HEADER);
  const plan = ports.sealer && typeof sealed === 'string' ? openPlan(ports.sealer, 'visit', sealed, ports.now()) : null;
  const resource = ports.resources.all.find(({ name }) => name === plan?.facts.resource);
  if (plan === null || resource === undefined || bodyHash(body) !== plan.bodySha256) return STRANGER;
  const { facts, subjectToken, session } = plan;
  // What the policy saw of the headers comes with the plan, the rest of them as Envoy sent it on.
  const http = { ...httpOf(facts), headers: new Map([...headers, ...facts.http.headers]), body };
  const operation = readOperation(http, ports.limits);
  if (!operation.ok) return STRANGER;
  return {
    decisionId: facts.decisionId,
    http,
    resource,
    operation: operation.value,
    principal: facts.principal,
    session,
    subjectToken,
  };
}

function portsOf(options: FrontDoorServiceOptions): FrontDoorPorts {
  const { live, catalog, metrics, log } = options;
  const { config, ports } = live();
  const { processing, frontDoor } = config;
  const door = ports.resources.all.find(({ name }) => name === frontDoor?.name);
  if (processing === undefined || door === undefined) throw new Error('the configuration has no front door');
  return {
    members: door.members,
    ask: (visit, member, request) => ask(visit as Admitted, member, request, options),
    keep: async (visit, { resource }, method, items) => {
      const reader = { ...visit, resource };
      const kept = await judgeVisible(reader, LISTS.get(method) as ListRow, items, {
        ...ports,
        showsStepUp: processing.stepUpItems === 'show',
      });
      if (kept.ok) countItems(resource, method, kept.value);
      return kept;
    },
    views: catalog.views,
    sealSession: (session) => sealSession(ports.sealer as Sealer, session),
    onUnreachable: ({ decisionId }, { resource }, cause) => {
      metrics.frontDoorFailures.inc({ backend: resource.name });
      log('warn', 'a backend behind the front door is left out', {
        backend: resource.name,
        decision_id: decisionId,
        cause: describeCause(cause),
      });
    },
    onInvalidList: (visit, member, { message }) => options.onRefused(unlistedVerdict(visit, member, message, ports)),
    onClash: (_visit, { resource }, kept, name) =>
      log('warn', 'two backends have the same resource', { backend: resource.name, kept: kept.resource.name, name }),
    onListChanged: catalog.onListChanged,
    maxAnswerBytes: processing.maxAnswerBytes,
    maxListItems: processing.maxListItems,
  };

  function countItems({ name }: Resource, method: string, kept: readonly boolean[]): void {
    const shown = kept.filter(Boolean).length;
    const list = LISTS.get(method)?.member ?? method;
    metrics.listItems.inc({ backend: name, list, outcome: 'shown' }, shown);
    metrics.listItems.inc({ backend: name, list, outcome: 'hidden' }, kept.length - shown);
  }
}

async function ask(
  visit: Admitted,
  { resource }: Member,
  request: BackendRequest,
  { live, observe }: FrontDoorServiceOptions,
): Promise<globalThis.Response> {
  const { ports, stream } = live();
  const http = askedOf(visit, request, ports.policyHeaders);
  const operation = readOperation(http, ports.limits);
  if (!operation.ok) throw new BackendRefused(operation.denial.reason);
  // What ends a session or a call may still be said.
  const isEnd = request.method === 'DELETE' || operation.value.method === 'notifications/cancelled';
  if (!isEnd && visit.principal.expiresAt * 1000 <= ports.now()) throw new BackendRefused('token_expired');
  const facts: Facts = { ...newFacts(http, ports.newId()), entrance: visit.resource };
  const { principal, subjectToken } = visit;
  const start = ports.clock();
  const asked = { http, resource, operation: operation.value, principal, subjectToken };
  const verdict = await authorize(asked, ports, ports.now() + ASK_WITHIN_MS, facts);
  observe(verdict, ports.clock() - start);
  if (verdict.answer.kind !== 'forward') throw new BackendRefused(verdict.reason);
  const { method, headers, body, signal } = request;
  const set = Object.fromEntries(verdict.answer.set);
  return stream(resource.url as string, { method, headers: { ...headers, ...set }, body, signal });
}

/** The visit's facts about one request that is made for it. */
function askedOf({ http }: Visit, { method, headers, body = '' }: BackendRequest, policyHeaders: readonly string[]): HttpFacts {
  const bytes = Buffer.from(body);
  const seen = policyHeaders.flatMap((name) => {
    const lines = http.headers.get(name);
    return lines === undefined ? [] : [[name, lines] as const];
  });
  const own = Object.entries(headers).map(([name, value]) => [name, [value]] as const);
  return { ...http, method, headers: new Map([...seen, ...own]), body: bytes, statedSize: bytes.byteLength, partialBody: false };
}

function handlersOf(live: () => Live): Handlers {
  const tasks = taskIds(live);
  const bridge = createBridgeHandler(resolver(live));
  const unbridged: Handler = async () => {
    throw new VisitRefused({ reason: 'bridge_limited' });
  };
  return new Map<string, Handler>([
    ...createHandlers(),
    ...UNBRIDGED.map((method) => [method, unbridged] as const),
    ...BRIDGED_METHODS.map((method) => [method, bridge] as const),
    ['GET', createStreamHandler(tasks)],
    ['subscriptions/listen', createListenHandler(tasks)],
  ]);
}

/** What is for one backend and means something in a session with it only. */
const UNBRIDGED = [
  'resources/subscribe',
  'resources/unsubscribe',
  'tasks/get',
  'tasks/cancel',
  'tasks/result',
  'tasks/update',
  'tasks/list',
];

function resolver(live: () => Live): Resolve {
  return (visit) => {
    const { sealer, views } = live().ports;
    const route = findRoute(visit, sealer, views);
    if (!route.ok) throw new VisitRefused(route.denial);
    const { backend, splice } = route.value;
    const member = visit.resource.members.find(({ resource }) => resource === backend);
    if (member === undefined) throw new VisitRefused({ reason: 'target_unknown' });
    const body = Buffer.from(visit.http.body);
    if (splice === null) return { member, body: body.toString('utf8') };
    return { member, body: body.toString('utf8', 0, splice.start) + splice.to + body.toString('utf8', splice.end) };
  };
}

function taskIds(live: () => Live): TaskIds {
  const sealer = (): Sealer => live().ports.sealer as Sealer;
  return {
    fromClient: ({ principal }, sealed) => {
      const task = openTask(sealer(), sealed);
      if (task === null) return deny({ reason: 'task_unknown' });
      if (task.principal !== principalKey(principal)) return deny({ reason: 'task_forbidden' });
      return ok({ backend: task.backend, taskId: task.id });
    },
    toClient: ({ principal }, { resource }, id) =>
      sealTask(sealer(), { principal: principalKey(principal), backend: resource.name, id }),
  };
}
