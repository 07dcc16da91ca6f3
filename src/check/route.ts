/**
 * Which backend a request is for, and what it says there: ids that the client was given are opened, names at the front door
 * lose their prefix. An id of somebody else's ends here. The body is not touched: what is to be put where is part of the
 * answer.
 */
import { toolFacts } from '../catalog/tool-facts.ts';
import type { Views } from '../catalog/view.ts';
import { type HttpFacts, singleHeader } from '../http.ts';
import { readMarkedId } from '../mcp/marks.ts';
import type { Target } from '../mcp/methods.ts';
import type { Operation } from '../mcp/operation.ts';
import { findPlace, type Path, type Place } from '../mcp/spans.ts';
import type { Member, Resource } from '../resource.ts';
import { deny, ok, type Result } from '../result.ts';
import type { Sealer } from '../seal.ts';
import type { Principal } from '../token/principal.ts';
import type { Denial } from '../verdict.ts';
import type { Splice } from './plan.ts';
import { findResourceOwner } from './resource-owner.ts';
import { type BackendSession, openSession, principalKey, type Session } from './session.ts';
import { openTask } from './task.ts';

export interface Route {
  /** Null: it concerns several, or none. */
  readonly backend: Resource | null;
  /** As the backend is to read it, and as policy judges it. */
  readonly operation: Operation;
  readonly splice: Splice | null;
  readonly session: Session | null;
}

export interface Routed {
  readonly http: HttpFacts;
  readonly resource: Resource;
  readonly operation: Operation;
  readonly principal: Principal;
}

/** Where the name of the one object stands that a request is about. */
const NAMED_AT: Readonly<Record<string, Path>> = {
  'tools/call': ['params', 'name'],
  'prompts/get': ['params', 'name'],
  'completion/complete': ['params', 'ref', 'name'],
  'resources/read': ['params', 'uri'],
  'resources/subscribe': ['params', 'uri'],
  'resources/unsubscribe': ['params', 'uri'],
  'tasks/get': ['params', 'taskId'],
  'tasks/cancel': ['params', 'taskId'],
  'tasks/result': ['params', 'taskId'],
  'tasks/update': ['params', 'taskId'],
};

/** What an agent's own gateway may put before the names it got from us, as in `target___tool`. */
const CLIENT_PREFIX = /^.+?___(?=.)/s;

/** @param sealer null where nothing is processed: then ids are the backend's own. */
export function findRoute(routed: Routed, sealer: Sealer | null, views: Views): Result<Route> {
  const { resource, operation } = routed;
  if (sealer === null) return ok({ backend: resource, operation, splice: null, session: null });
  const session = findSession(routed, sealer);
  if (!session.ok) return session;
  const found = { ...routed, sealer, session: session.value };
  if (operation.kind === 'response') return findAsker(found);
  if (operation.method === 'subscriptions/listen' && resource.members.length === 0) return findListened(found);
  const [target] = operation.targets;
  const at = operation.method === null ? undefined : NAMED_AT[operation.method];
  if (target === undefined || at === undefined) {
    const backend = resource.members.length === 0 ? resource : null;
    return ok({ backend, operation, splice: null, session: session.value });
  }
  if (target.type === 'task') return findTask(found, target, at);
  return resource.members.length === 0
    ? ok({ backend: resource, operation, splice: null, session: session.value })
    : findNamed(found, target, at, views);
}

interface Found extends Routed {
  readonly sealer: Sealer;
  readonly session: Session | null;
}

/** The session that a legacy request belongs to; the modern era has none, whatever a header says. */
function findSession({ http, resource, operation, principal }: Routed, sealer: Sealer): Result<Session | null> {
  const id = singleHeader(http.headers, 'mcp-session-id');
  if (operation.era === 'modern' || id === undefined) return ok(null);
  if (id === null) return deny({ reason: 'header_invalid' });
  const session = openSession(sealer, id);
  if (session === null || session.resource !== resource.name) return deny({ reason: 'session_unknown' });
  return session.principal === principalKey(principal) ? ok(session) : deny({ reason: 'session_forbidden' });
}

/** At the front door a reply goes to the backend that asked: it is named in the id that we made of its own. */
function findAsker({ http, resource, operation, session }: Found): Result<Route> {
  if (resource.members.length === 0) return ok({ backend: resource, operation, splice: null, session });
  const place = findPlace(textOf(http), ['id'], 'whole');
  const id: unknown = place === null ? null : JSON.parse(place.from);
  const marked = typeof id === 'string' ? readMarkedId(id) : null;
  const member = resource.members.find((one) => one.resource.name === marked?.mark);
  if (place === null || marked === null || member === undefined) return deny({ reason: 'target_unknown' });
  const route = { backend: member.resource, operation, splice: { ...place, to: marked.rest }, session };
  return backendSession(route) === undefined ? deny({ reason: 'target_unknown' }) : ok(route);
}

/** A task belongs to who began it, like a session. */
function findTask({ http, resource, operation, principal, sealer, session }: Found, target: Target, at: Path): Result<Route> {
  // What any server says of any task (SEP-2663), an unknown one too.
  if (operation.era === 'modern' && !operation.asTask) return deny(WITHOUT_TASKS);
  const task = openTask(sealer, target.name);
  const backend = [resource, ...resource.members.map((member) => member.resource)].find(({ name }) => name === task?.backend);
  if (task === null || backend === undefined) return deny({ reason: 'task_unknown' });
  if (task.principal !== principalKey(principal)) return deny({ reason: 'task_forbidden' });
  return ok({ backend, ...renamed(http, operation, { ...target, name: task.id }, at), session });
}

const WITHOUT_TASKS: Denial = {
  reason: 'capability_missing',
  data: { requiredCapabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } } },
};

/** A stream of modern notifications: the tasks that it is about are the caller's own. */
function findListened({ http, resource, operation, principal, sealer, session }: Found): Result<Route> {
  const targets: Target[] = [];
  for (const target of operation.targets) {
    const task = target.type === 'task' ? openTask(sealer, target.name) : null;
    if (target.type === 'task' && task?.backend !== resource.name) return deny({ reason: 'task_unknown' });
    if (task !== null && task.principal !== principalKey(principal)) return deny({ reason: 'task_forbidden' });
    targets.push(task === null ? target : { ...target, name: task.id });
  }
  const ids = targets.filter(({ type }) => type === 'task').map(({ name }) => name);
  if (ids.length === 0) return ok({ backend: resource, operation, splice: null, session });
  const place = findPlace(textOf(http), ['params', 'notifications', 'taskIds']) as Place;
  const splice = { ...place, to: JSON.stringify(ids) };
  return ok({ backend: resource, operation: { ...operation, targets }, splice, session });
}

/** Which backend has the tool, the prompt or the resource. */
function findNamed(found: Found, target: Target, at: Path, views: Views): Result<Route> {
  const { http, resource, operation, session } = found;
  if (target.type === 'tool' || target.type === 'prompt') {
    const owner = findPrefixed(target.name, resource.members, (backend, name) => toolFacts(backend, views, name).known);
    if (owner === null) return deny({ reason: 'target_unknown' });
    return ok({ backend: owner.backend, ...renamed(http, operation, { ...target, name: owner.name }, at), session });
  }
  const owner = findResourceOwner(resource.members, views, target.name);
  return owner === null ? deny({ reason: 'target_unknown' }) : ok({ backend: owner.resource, operation, splice: null, session });
}

/** Prefixes of a client's own that are looked behind: one for each gateway in a row. */
const MAX_CLIENT_PREFIXES = 4;

/**
 * `enterprise_ledger_listAccounts`, or that with prefixes of the client's own in front. Where a name can be read in several
 * ways, the tool that is known decides.
 */
function findPrefixed(
  name: string,
  members: readonly Member[],
  isKnown: (backend: Resource, name: string) => boolean,
): { readonly backend: Resource; readonly name: string } | null {
  const found: { readonly backend: Resource; readonly name: string }[] = [];
  let candidate = name;
  for (let at = 0; at <= MAX_CLIENT_PREFIXES; at++) {
    const owner = members.find(({ prefix }) => candidate.startsWith(`${prefix}_`) && candidate.length > prefix.length + 1);
    if (owner !== undefined) found.push({ backend: owner.resource, name: candidate.slice(owner.prefix.length + 1) });
    const rest = candidate.replace(CLIENT_PREFIX, '');
    if (rest === candidate) break;
    candidate = rest;
  }
  return found.find((one) => isKnown(one.backend, one.name)) ?? found[0] ?? null;
}

function renamed(http: HttpFacts, operation: Operation, target: Target, at: Path): Pick<Route, 'operation' | 'splice'> {
  const place = findPlace(textOf(http), at);
  if (place === null) throw new Error('the name was read and is not found again');
  return {
    operation: { ...operation, targets: [target], tool: operation.tool === null ? null : target.name },
    splice: { ...place, to: JSON.stringify(target.name).slice(1, -1) },
  };
}

function textOf({ body }: HttpFacts): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
}

/** What the backend knows of the session; undefined where it was not there when the session began. */
export function backendSession({ session, backend }: Pick<Route, 'session' | 'backend'>): BackendSession | undefined {
  if (session === null || backend === null || !Object.hasOwn(session.backends, backend.name)) return undefined;
  return session.backends[backend.name];
}

/**
 * Whether the front door has to take it: it concerns several backends, or one that does not speak the client's era, or that
 * knows nothing of the session.
 */
export function isForFrontDoor({ resource, operation }: Routed, route: Route, views: Views): boolean {
  if (resource.members.length === 0) return false;
  if (route.backend === null) return true;
  return operation.era === 'modern' ? views(route.backend.name)?.eras.modern !== true : backendSession(route) === undefined;
}
