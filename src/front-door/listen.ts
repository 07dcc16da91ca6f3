/**
 * `subscriptions/listen` at the front door (MCP 2026-07-28): one subscription of the client's, served by one at every backend
 * that speaks this revision and has a part in it. Resources go to the backend that owns them, tasks to the one in their id.
 *
 * That a list changed is told by the backend's own subscription where it has agreed to tell, else by the catalog. Backends of
 * older revisions have no subscriptions that an answer to one request could carry: resources of theirs are not acknowledged.
 */

import { readJsonText } from '../mcp/json.ts';
import { ANSWER_LIMITS } from '../mcp/lists.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import { VERSION } from '../version.ts';
import { SERVER_INFO } from './client.ts';
import type { ServerEvent } from './events.ts';
import { parseExact, plainValue, rawToken } from './exact-json.ts';
import { type Handler, VisitRefused } from './handler.ts';
import { createListNotices, listOfNotice, noticeMethod } from './list-notices.ts';
import {
  coversUri,
  type Filter,
  isEmptyFilter,
  mergeFilters,
  type Part,
  restrictFilter,
  splitFilter,
  type TaskIds,
} from './listen-filter.ts';
import { followMember } from './member-stream.ts';
import { ACCEPT_BOTH, JSON_TYPE, requestText } from './messages.ts';
import { beginLife, pause, STREAM_TIMES, type StreamLife, type StreamTimes } from './stream-life.ts';
import type { FrontDoorPorts, Member, Visit } from './visit.ts';

const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';
const METHOD = 'subscriptions/listen';
const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';
const RESOURCE_UPDATED = 'notifications/resources/updated';

interface Subscription {
  readonly visit: Visit;
  readonly ports: FrontDoorPorts;
  readonly life: StreamLife;
  readonly tasks: TaskIds;
  /** The client's own id, as a raw JSON token: of the request, and of the subscription. */
  readonly id: string;
  readonly meta: unknown;
  /** What each backend agreed to, while its stream is open. */
  readonly agreed: Map<string, Filter>;
  /** Called at each change of it. */
  readonly progress: (member: Member) => void;
  /** After our own acknowledgement nothing new can be agreed to. */
  readonly acknowledged: Promise<void>;
}

export function createListenHandler(tasks: TaskIds, times: StreamTimes = STREAM_TIMES): Handler {
  return async (visit, ports, reply) => {
    const { id } = visit.operation;
    const params = parseExact(Buffer.from(visit.http.body).toString())?.params;
    if (id === null || !isObject(params)) throw new VisitRefused({ reason: 'params_invalid' });
    const asked = plainValue(params.notifications) as Filter;
    const parts = splitFilter(asked, { visit, ports, tasks });
    const waiting = new Set(parts.map(({ member }) => member));
    const [known, acknowledged] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const life = beginLife(visit, reply, times);
    const subscription: Subscription = {
      visit,
      ports,
      life,
      tasks,
      id,
      meta: params._meta,
      agreed: new Map(),
      progress: (member) => {
        waiting.delete(member);
        if (waiting.size === 0) known.resolve();
      },
      acknowledged: acknowledged.promise,
    };
    if (parts.length === 0) known.resolve();
    for (const part of parts) void followMember(memberSubscription(subscription, part), life.signal);
    await Promise.race([known.promise, pause(times.graceMs, life.signal)]);

    const honored = mergeFilters(asked, subscription.agreed, { visit, tasks });
    life.begin();
    const stop = isEmptyFilter(honored) ? () => {} : tellOfLists(subscription, asked);
    await life.write(notice(subscription, ACKNOWLEDGED, { notifications: honored })).catch(() => {});
    acknowledged.resolve();
    if (isEmptyFilter(honored)) life.end();
    await life.over;
    stop();
    await life.close(farewell(subscription));
  };
}

function memberSubscription(subscription: Subscription, { member, filter }: Part): Parameters<typeof followMember>[0] {
  const { visit, ports, life, agreed, progress, id, meta, acknowledged } = subscription;
  const { name } = member.resource;
  /** What the client was told that this backend does; undefined until it was told. */
  let promised: Filter | undefined;
  const accept = async (honored: Filter): Promise<void> => {
    agreed.set(name, honored);
    progress(member);
    await acknowledged;
    const isAgain = promised !== undefined;
    promised ??= honored;
    // Whatever was updated while nobody listened was not told.
    for (const uri of isAgain ? (promised.resourceSubscriptions ?? []) : []) {
      await life.write(notice(subscription, RESOURCE_UPDATED, { uri }));
    }
  };
  return {
    lastId: null,
    maxEventBytes: ports.maxAnswerBytes,
    open: (_last, signal) =>
      ports.ask(visit, member, {
        method: 'POST',
        headers: {
          'content-type': JSON_TYPE,
          accept: ACCEPT_BOTH,
          'mcp-protocol-version': visit.operation.revision,
          'mcp-method': METHOD,
        },
        body: requestText(id, METHOD, JSON.stringify({ _meta: meta, notifications: filter })),
        signal,
      }),
    take: async (event) => {
      const message = readNotice(event);
      if (message === null) return;
      const { method, params } = message;
      if (method === ACKNOWLEDGED) {
        await accept(restrictFilter(plainValue(params.notifications), filter));
        return;
      }
      const honored = agreed.get(name);
      const passed = honored === undefined ? null : passOn(subscription, member, honored, message);
      if (passed !== null) await life.write(notice(subscription, method, passed));
    },
    onOpen: () => {},
    onEnd: () => {
      agreed.delete(name);
      progress(member);
      return promised !== undefined;
    },
    onNone: () => progress(member),
    onTrouble: (cause) => ports.onUnreachable(visit, member, cause),
  };
}

/** Null: the end of the subscription, or nothing. */
function readNotice({ data }: ServerEvent): { readonly method: string; readonly params: JsonObject } | null {
  if (data === '') return null;
  const message = readJsonText(data, ANSWER_LIMITS).ok ? parseExact(data) : null;
  if (message === null) throw new Error('an event carries what is no JSON-RPC message');
  const { method, params = {} } = message;
  return typeof method === 'string' && message.id === undefined && isObject(params) ? { method, params } : null;
}

/** The params that go to the client; null for what it did not ask for, which no server may send it. */
function passOn(
  { visit, tasks }: Subscription,
  member: Member,
  honored: Filter,
  { method, params }: { readonly method: string; readonly params: JsonObject },
): JsonObject | null {
  const list = listOfNotice(method);
  if (list !== null) return honored[`${list}ListChanged`] === true ? params : null;
  if (method === RESOURCE_UPDATED) return coversUri(honored, params.uri) ? params : null;
  const { taskId } = params;
  if (!method.startsWith('notifications/tasks') || typeof taskId !== 'string') return null;
  return honored.taskIds?.includes(taskId) ? { ...params, taskId: tasks.toClient(visit, member, taskId) } : null;
}

function tellOfLists(subscription: Subscription, asked: Filter): () => void {
  const { ports, life, agreed } = subscription;
  const notices = createListNotices((list) => life.write(notice(subscription, noticeMethod(list), {})));
  return ports.onListChanged((backend, list) => {
    if (asked[`${list}ListChanged`] === true && agreed.get(backend)?.[`${list}ListChanged`] !== true) notices.tell(list);
  });
}

/** A notification as this subscription's: every one carries the id that the client gave it. */
function notice({ id }: Subscription, method: string, params: JsonObject): string {
  const meta = isObject(params._meta) ? params._meta : {};
  const stamped = { ...params, _meta: { ...meta, [SUBSCRIPTION_ID]: rawToken(id) } };
  return `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', method, params: stamped })}\n\n`;
}

/** The result of the request is the end of the subscription. */
function farewell({ id }: Subscription): string {
  const meta = { [SUBSCRIPTION_ID]: rawToken(id), [SERVER_INFO]: { name: 'mcp-ext-authz', version: VERSION } };
  const message = { jsonrpc: '2.0', id: rawToken(id), result: { resultType: 'complete', _meta: meta } };
  return `event: message\ndata: ${JSON.stringify(message)}\n\n`;
}
