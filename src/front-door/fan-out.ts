/**
 * What concerns every backend of a session: notifications of the client, its log level, the end of the session. Each backend
 * gets the message as the client wrote it, with its own session id, and a limited time.
 */

import type { BackendSession } from '../check/session.ts';
import { METHOD_NOT_FOUND } from '../reasons.ts';
import { bodyText } from './client.ts';
import { heldSession, sessionHeaders, within } from './conversation.ts';
import { type Handler, type Reply, VisitRefused } from './handler.ts';
import { type Answer, errorText, readAnswer, resultText } from './messages.ts';
import { BackendRefused, type BackendRequest, type FrontDoorPorts, type Member, type Visit } from './visit.ts';

/** What the client sends on in its session to one backend. */
interface Leg {
  readonly visit: Visit;
  readonly ports: FrontDoorPorts;
  readonly member: Member;
  readonly held: BackendSession;
  readonly signal: AbortSignal;
}

/** Runs `work` for every backend of the session; null where it failed, which is told unless policy said so. */
async function toEach<T>(
  visit: Visit,
  ports: FrontDoorPorts,
  reply: Reply,
  timeoutMs: number,
  work: (leg: Leg) => Promise<T>,
): Promise<(T | null)[]> {
  const legs = ports.members.flatMap((member): Leg[] => {
    const held = heldSession({ visit, member });
    const signal = AbortSignal.any([reply.signal, AbortSignal.timeout(timeoutMs)]);
    return held === null ? [] : [{ visit, ports, member, held, signal }];
  });
  return Promise.all(
    legs.map(async (leg) => {
      try {
        return await within(leg.signal, work(leg));
      } catch (cause) {
        if (!(cause instanceof BackendRefused) && !reply.signal.aborted) ports.onUnreachable(visit, leg.member, cause);
        return null;
      }
    }),
  );
}

function send(
  { visit, ports, member, held, signal }: Leg,
  rest: Pick<BackendRequest, 'method' | 'body'>,
): Promise<globalThis.Response> {
  const { 'content-type': type, ...headers } = sessionHeaders(held);
  const typed = rest.body === undefined || type === undefined ? headers : { ...headers, 'content-type': type };
  return ports.ask(visit, member, { ...rest, headers: typed, signal });
}

/** 202 whatever came of it: nobody waits for a notification. */
export function createNotify(timeoutMs: number): Handler {
  return async (visit, ports, reply) => {
    const body = bodyText(visit);
    // Of a request of some backend's: which one, the token does not say, but one without a session asks nothing.
    const needsSession = visit.operation.method === 'notifications/progress';
    await toEach(visit, ports, reply, timeoutMs, async (leg) => {
      if (!needsSession || leg.held.id !== null) await expectSuccess(await send(leg, { method: 'POST', body }));
    });
    reply.status(202);
  };
}

/** Done where one backend did it. */
export function createSetLevel(timeoutMs: number): Handler {
  return async (visit, ports, reply) => {
    const { era } = visit.operation;
    const id = visit.operation.id as string;
    const body = bodyText(visit);
    const answers = await toEach(visit, ports, reply, timeoutMs, async (leg): Promise<Answer> => {
      return readAnswer(await send(leg, { method: 'POST', body }), { id, maxBytes: ports.maxAnswerBytes });
    });
    const isTaken = answers.some((answer) => answer?.kind === 'result');
    const refused = answers.find((answer) => answer?.kind === 'error' && answer.code !== METHOD_NOT_FOUND);
    if (isTaken) reply.json(resultText(id, '{}'));
    else if (refused?.kind === 'error') reply.json(errorText(id, refused.code, refused.message));
    else throw new VisitRefused({ reason: 'method_unknown', message: 'No backend takes a log level.', read: { era } });
  };
}

/** A backend that keeps no session has nothing to end; one that does not let clients end theirs is no failure. */
export function createEnd(timeoutMs: number): Handler {
  return async (visit, ports, reply) => {
    if (visit.session === null) throw new VisitRefused({ reason: 'header_invalid', message: 'There is no session to end.' });
    const statuses = await toEach(visit, ports, reply, timeoutMs, async (leg) => {
      if (leg.held.id === null) return undefined;
      const response = await send(leg, { method: 'DELETE' });
      return response.status === 404 || response.status === 405 ? cancelled(response) : expectSuccess(response);
    });
    const ended = statuses.filter((status) => status !== undefined);
    if (ended.length > 0 && ended.every((status) => status === 404)) throw new VisitRefused({ reason: 'session_unknown' });
    reply.status(204);
  };
}

async function expectSuccess(response: globalThis.Response): Promise<number> {
  await response.body?.cancel();
  if (!response.ok) throw new Error(`answered ${response.status}`);
  return response.status;
}

async function cancelled(response: globalThis.Response): Promise<number> {
  await response.body?.cancel();
  return response.status;
}
