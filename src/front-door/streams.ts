/**
 * GET at the front door (MCP up to 2025-11-25, Streamable HTTP): one stream to the client, and in it the stream of every
 * backend that the session reaches. Ids of events and of the backends' requests are marked; the last event that a client saw
 * resumes the backend that it came from, the others begin afresh.
 *
 * That a list changed is told once: by the backend's own stream where it has one and says that it tells, because a list may
 * be one of this session alone; else by the catalog, which also speaks for backends without a stream.
 */
import type { List, Views } from '../catalog/view.ts';
import type { BackendSession } from '../check/session.ts';
import { singleHeader } from '../http.ts';
import { readJsonText } from '../mcp/json.ts';
import { ANSWER_LIMITS, findListIn } from '../mcp/lists.ts';
import { markIds, readMark, writeMark } from '../mcp/marks.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import { splice } from '../mcp/spans.ts';
import { replaceTaskIds } from '../mcp/task-ids.ts';
import type { ServerEvent } from './events.ts';
import { type Handler, VisitRefused } from './handler.ts';
import { createListNotices, listOfNotice, noticeMethod } from './list-notices.ts';
import type { TaskIds } from './listen-filter.ts';
import { followMember } from './member-stream.ts';
import { EVENTS_TYPE, notificationText } from './messages.ts';
import { beginLife, pause, STREAM_TIMES, type StreamLife, type StreamTimes } from './stream-life.ts';
import type { FrontDoorPorts, Member, Visit } from './visit.ts';

interface Source {
  readonly member: Member;
  readonly name: string;
  readonly session: BackendSession;
  readonly lastId: string | null;
}

/** What goes to the client of one event; `answers`: it ends a request whose stream was resumed. */
interface Passed {
  readonly text: string | null;
  readonly answers: boolean;
}

interface Merge {
  readonly visit: Visit;
  readonly ports: FrontDoorPorts;
  readonly tasks: TaskIds;
  readonly life: StreamLife;
  /** Names of the backends whose stream is open. */
  readonly open: Set<string>;
  /** What each said that has no stream. */
  readonly refusals: Map<string, number | null>;
  /** Called at each change of the two. */
  readonly progress: () => void;
}

export function createStreamHandler(tasks: TaskIds, times: StreamTimes = STREAM_TIMES): Handler {
  return async (visit, ports, reply) => {
    const sources = findSources(visit, ports.members);
    if (sources === null)
      throw new VisitRefused({ reason: 'method_not_allowed', message: 'Without a session there is no stream.' });
    const life = beginLife(visit, reply, times);
    const known = Promise.withResolvers<void>();
    const merge: Merge = {
      visit,
      ports,
      tasks,
      life,
      open: new Set(),
      refusals: new Map(),
      progress: () => {
        if (merge.open.size > 0 || merge.refusals.size === sources.length) known.resolve();
      },
    };
    merge.progress();
    for (const source of sources) void followMember(memberStream(merge, source), life.signal);
    // A backend may send its head with the first event only; the client gets ours without it.
    await Promise.race([known.promise, pause(times.graceMs, life.signal)]);
    const statuses = [...merge.refusals.values()];
    if (sources.length > 0 && statuses.length === sources.length && statuses.every((status) => status === 404)) {
      life.end();
      throw new VisitRefused({ reason: 'session_unknown' });
    }
    life.begin();
    const stop = tellOfLists(merge);
    await life.over;
    stop();
    await life.close();
  };
}

/** Null where there is no session to have a stream of. */
function findSources({ session, http }: Visit, members: readonly Member[]): Source[] | null {
  if (session === null) return null;
  const sent = singleHeader(http.headers, 'last-event-id');
  const mark = sent ? readMark(sent) : null;
  const sources = members.flatMap((member): Source[] => {
    const { name } = member.resource;
    const own = Object.hasOwn(session.backends, name) ? session.backends[name] : undefined;
    if (own === undefined || own.id === null) return [];
    return [{ member, name, session: own, lastId: mark?.mark === name ? mark.rest : null }];
  });
  if (sent !== undefined && sent !== '' && !sources.some(({ lastId }) => lastId !== null)) {
    throw new VisitRefused({ reason: 'header_invalid', message: 'Last-Event-ID is of no stream in this session.' });
  }
  return sources;
}

function memberStream(merge: Merge, source: Source): Parameters<typeof followMember>[0] {
  const { visit, ports, life, open, refusals, progress } = merge;
  const { member, name, session, lastId } = source;
  let isAnswered = false;
  return {
    lastId,
    maxEventBytes: ports.maxAnswerBytes,
    open: (last, signal) =>
      ports.ask(visit, member, {
        method: 'GET',
        headers: {
          accept: EVENTS_TYPE,
          'mcp-session-id': session.id as string,
          'mcp-protocol-version': session.revision,
          ...(last === null ? {} : { 'last-event-id': last }),
        },
        signal,
      }),
    take: async (event) => {
      const { text, answers } = markEvent(merge, member, event);
      isAnswered ||= answers;
      if (text !== null) await life.write(text);
    },
    onOpen: () => {
      open.add(name);
      refusals.delete(name);
      progress();
    },
    onEnd: () => {
      open.delete(name);
      if (open.size > 0 && !isAnswered) return true;
      // All that was resumed is told; or the client comes back by itself, and with its last event.
      life.end();
      return false;
    },
    onNone: (status) => {
      refusals.set(name, status);
      progress();
    },
    onTrouble: (cause) => ports.onUnreachable(visit, member, cause),
  };
}

/** Throws where it carries what is no message. */
function markEvent({ visit, ports, tasks }: Merge, member: Member, { data, id, retry }: ServerEvent): Passed {
  const { name } = member.resource;
  const marked = data === '' ? null : markMessage(data, name, (taskId) => tasks.toClient(visit, member, taskId));
  const list = listOfNotice(marked?.message.method);
  const text = list !== null && !tellsItself(ports.views, name, list) ? '' : (marked?.text ?? '');
  const answers = marked !== null && marked.message.method === undefined;
  if (text === '' && id === null) return { text: null, answers };
  const lines = ['event: message'];
  if (id !== null) lines.push(`id: ${writeMark(name, id)}`);
  if (retry !== null) lines.push(`retry: ${retry}`);
  // White space between a message's parts may be a line's end.
  return { text: `${lines.join('\n')}\ndata: ${text.replaceAll('\n', ' ')}\n\n`, answers };
}

function markMessage(text: string, mark: string, seal: (taskId: string) => string): { text: string; message: JsonObject } {
  const read = readJsonText(text, ANSWER_LIMITS);
  if (!read.ok || !isObject(read.value.value)) throw new Error('an event carries what is no JSON-RPC message');
  if (holdsList(read.value.value)) return { text: '', message: read.value.value };
  const edits = [...markIds(read.value, mark), ...replaceTaskIds(read.value, seal)];
  return { text: splice(text, edits), message: read.value.value };
}

/** A list that the front door itself asked for in the client's session, taken up again: nobody has judged it for the client. */
function holdsList({ result }: JsonObject): boolean {
  return isObject(result) && findListIn(result) !== undefined && !Object.hasOwn(result, 'content');
}

/** Of a backend that the catalog knows nothing of, its own word is all there is. */
function tellsItself(views: Views, member: string, list: List): boolean {
  const view = views(member);
  const capability = view?.capabilities[list];
  return view === null || (isObject(capability) && capability.listChanged === true);
}

function tellOfLists({ ports, life, open }: Merge): () => void {
  const notices = createListNotices((list) => life.write(`event: message\ndata: ${notificationText(noticeMethod(list))}\n\n`));
  return ports.onListChanged((backend, list) => {
    if (!open.has(backend) || !tellsItself(ports.views, backend, list)) notices.tell(list);
  });
}
