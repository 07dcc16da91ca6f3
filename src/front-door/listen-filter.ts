/** What a `subscriptions/listen` asks for, taken apart by backend and put together again from what they agreed to. */

import { LISTS } from '../catalog/view.ts';
import { findResourceOwner } from '../check/resource-owner.ts';
import { isObject } from '../mcp/message.ts';
import type { Result } from '../result.ts';
import { VisitRefused } from './handler.ts';
import type { FrontDoorPorts, Member, Visit } from './visit.ts';

export interface Filter {
  readonly toolsListChanged?: boolean;
  readonly promptsListChanged?: boolean;
  readonly resourcesListChanged?: boolean;
  readonly resourceSubscriptions?: readonly string[];
  /** Of the extension `io.modelcontextprotocol/tasks`. */
  readonly taskIds?: readonly string[];
}

/** Task ids as a client knows them, which say whose they are. */
export interface TaskIds {
  /** Refused: what is no id of ours, and one that was made for another visitor. */
  readonly fromClient: (visit: Visit, taskId: string) => Result<{ readonly backend: string; readonly taskId: string }>;
  readonly toClient: (visit: Visit, member: Member, taskId: string) => string;
}

export interface Part {
  readonly member: Member;
  /** In the backend's own words. */
  readonly filter: Filter;
}

interface Context {
  readonly visit: Visit;
  readonly ports: Pick<FrontDoorPorts, 'members' | 'views'>;
  readonly tasks: TaskIds;
}

/** One part for each backend that has one. Throws VisitRefused for a task that is not this visitor's, or nobody's. */
export function splitFilter(asked: Filter, { visit, ports, tasks }: Context): Part[] {
  const { members, views } = ports;
  const uris = Map.groupBy(asked.resourceSubscriptions ?? [], (uri) => findResourceOwner(members, views, uri));
  const taskIds = (asked.taskIds ?? []).map((taskId) => {
    const task = tasks.fromClient(visit, taskId);
    if (!task.ok) throw new VisitRefused(task.denial);
    if (!members.some(({ resource }) => resource.name === task.value.backend)) throw new VisitRefused({ reason: 'task_unknown' });
    return task.value;
  });
  return members.flatMap((member): Part[] => {
    const view = views(member.resource.name);
    if (view?.eras.modern !== true) return [];
    const lists = LISTS.filter((list) => {
      const capability = view.capabilities[list];
      return asked[`${list}ListChanged`] === true && isObject(capability) && capability.listChanged === true;
    });
    const own = uris.get(member) ?? [];
    const ownTasks = taskIds.flatMap((task) => (task.backend === member.resource.name ? [task.taskId] : []));
    const filter: Filter = {
      ...Object.fromEntries(lists.map((list) => [`${list}ListChanged`, true])),
      ...(own.length === 0 ? {} : { resourceSubscriptions: own }),
      ...(ownTasks.length === 0 ? {} : { taskIds: ownTasks }),
    };
    return isEmptyFilter(filter) ? [] : [{ member, filter }];
  });
}

/** What of it was asked for: nothing else reaches the client, whatever a backend says that it agrees to. */
export function restrictFilter(honored: unknown, asked: Filter): Filter {
  if (!isObject(honored)) return {};
  const both = (name: 'resourceSubscriptions' | 'taskIds'): Filter => {
    const said = honored[name];
    const kept = Array.isArray(said) ? (asked[name] ?? []).filter((one) => said.includes(one)) : [];
    return kept.length === 0 ? {} : { [name]: kept };
  };
  const lists = LISTS.map((list) => `${list}ListChanged` as const).filter(
    (name) => asked[name] === true && honored[name] === true,
  );
  return { ...Object.fromEntries(lists.map((name) => [name, true])), ...both('resourceSubscriptions'), ...both('taskIds') };
}

/** What is subscribed to, or lies within it. */
export function coversUri({ resourceSubscriptions = [] }: Filter, uri: unknown): boolean {
  return (
    typeof uri === 'string' && resourceSubscriptions.some((one) => uri === one || uri.startsWith(`${one.replace(/\/$/, '')}/`))
  );
}

/** What the client is told that it gets. Lists the catalog watches for every backend, whatever they agreed to. */
export function mergeFilters(
  asked: Filter,
  agreed: ReadonlyMap<string, Filter>,
  { visit, tasks }: Omit<Context, 'ports'>,
): Filter {
  const uris = new Set([...agreed.values()].flatMap(({ resourceSubscriptions = [] }) => resourceSubscriptions));
  const resourceSubscriptions = (asked.resourceSubscriptions ?? []).filter((uri) => uris.has(uri));
  const taskIds = (asked.taskIds ?? []).filter((taskId) => {
    const task = tasks.fromClient(visit, taskId);
    return task.ok && agreed.get(task.value.backend)?.taskIds?.includes(task.value.taskId) === true;
  });
  return {
    ...Object.fromEntries(
      LISTS.filter((list) => asked[`${list}ListChanged`] === true).map((list) => [`${list}ListChanged`, true]),
    ),
    ...(resourceSubscriptions.length === 0 ? {} : { resourceSubscriptions }),
    ...(taskIds.length === 0 ? {} : { taskIds }),
  };
}

export function isEmptyFilter(filter: Filter): boolean {
  return Object.keys(filter).length === 0;
}
