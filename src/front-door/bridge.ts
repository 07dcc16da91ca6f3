/**
 * A request for one object of one backend that does not speak the client's era, or keeps sessions of which the client holds
 * none: asked in the backend's words, answered in the client's.
 *
 * Limits. A session made for a request ends with it: what the backend keeps in it is lost, and nothing it asks can reach the
 * client, so it is promised neither elicitation nor sampling nor roots. A legacy client cannot go on where a backend of
 * 2026-07-28 wants more input, nor get its log messages, nor cancel but by closing the connection. Only requests that one
 * answer ends are carried: no subscriptions, no tasks.
 */
import { METHOD_NOT_FOUND } from '../reasons.ts';
import { type Leg, openLeg } from './bridge-leg.ts';
import { passesOn, type Wording, wordAnswer } from './bridge-words.ts';
import type { Contact } from './conversation.ts';
import { AnswerInvalid, readEvents } from './events.ts';
import { parseExact } from './exact-json.ts';
import { type Handler, type Reply, type ReplyStream, VisitRefused } from './handler.ts';
import { type Answer, EVENTS_TYPE, eventText, mediaType, readAnswer, readMessage } from './messages.ts';
import { pause } from './stream-life.ts';
import { BackendRefused, type Member, type Visit } from './visit.ts';

/** Which backend a request is for, and the message with that backend's own name for what it asks for. */
export type Resolve = (visit: Visit) => { readonly member: Member; readonly body: string };

export const BRIDGED_METHODS = ['tools/call', 'prompts/get', 'resources/read', 'completion/complete'] as const;

interface Call {
  readonly contact: Contact;
  readonly leg: Leg;
  readonly reply: Reply;
  readonly body: string;
  /** Raw JSON token. */
  readonly id: string;
  readonly method: string;
  readonly wording: Wording;
  readonly signal: AbortSignal;
}

const HANDSHAKE_MS = 10_000;
const RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;
/** Streams in a row that brought nothing. */
const MAX_RESUMPTIONS = 5;

export function createBridgeHandler(resolve: Resolve): Handler {
  return async (visit, ports, reply) => {
    const { id, method, era } = visit.operation;
    if (id === null || !BRIDGED_METHODS.some((known) => known === method))
      throw new VisitRefused({ reason: 'method_unknown', read: { era } });
    const { member, body } = resolve(visit);
    const contact: Contact = {
      visit,
      ports,
      member,
      signal: AbortSignal.any([reply.signal, AbortSignal.timeout(HANDSHAKE_MS)]),
    };
    if (isTask(body)) throw limited('The backend cannot keep a task for a client that holds no session with it.');
    await guard(contact, reply, async () => {
      const leg = await openLeg(contact, body);
      const wording: Wording = { client: era, backend: leg.backend };
      const { signal, stop } = beginCall(leg, reply);
      try {
        await carry({ contact, leg, reply, body, id, method: method as string, wording, signal });
      } finally {
        await stop();
        await leg.end();
      }
    });
  };
}

/** Tasks of 2025-11-25 belong to the session that began them. */
function isTask(body: string): boolean {
  const { params } = parseExact(body) ?? {};
  return (params as { readonly task?: unknown } | undefined)?.task !== undefined;
}

/** The request's own signal: the client's departure is told to the backend first, and then ends the request. */
function beginCall(leg: Leg, reply: Reply): { readonly signal: AbortSignal; readonly stop: () => Promise<void> } {
  const call = new AbortController();
  let cancelling = Promise.resolve();
  const leave = (): void => {
    cancelling = leg.cancel().finally(() => call.abort());
  };
  reply.signal.addEventListener('abort', leave, { once: true });
  if (reply.signal.aborted) leave();
  return {
    signal: call.signal,
    stop: async () => {
      reply.signal.removeEventListener('abort', leave);
      await cancelling;
    },
  };
}

/** What goes wrong is the backend's; but a client that left is not told so. */
async function guard({ visit, ports, member }: Contact, reply: Reply, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    if (reply.signal.aborted) return;
    if (cause instanceof VisitRefused || cause instanceof BackendRefused) throw cause;
    ports.onUnreachable(visit, member, cause);
    throw new VisitRefused({ reason: 'backend_unavailable', cause });
  }
}

function limited(message: string): VisitRefused {
  return new VisitRefused({ reason: 'bridge_limited', message });
}

async function carry(call: Call): Promise<void> {
  const { leg, reply, contact, id, signal, wording } = call;
  const response = await leg.send(signal);
  if (!response.ok || mediaType(response) !== EVENTS_TYPE) {
    const answer = await readAnswer(response, { id, maxBytes: contact.ports.maxAnswerBytes });
    const isUnknown = wording.client === 'modern' && answer.kind === 'error' && answer.code === METHOD_NOT_FOUND;
    reply.json(word(call, answer), isUnknown ? { status: 404 } : {});
    return;
  }
  const stream = reply.stream();
  const answer = await followAnswer(call, response, stream);
  await stream.write(eventText(word(call, answer)));
  stream.end();
}

function word({ id, method, wording }: Call, answer: Answer): string {
  const text = wordAnswer(answer, id, method, wording);
  if (text === null) throw limited('The backend wants more input, which this client cannot be asked for.');
  return text;
}

/** How far the answer's stream was read. */
interface Cursor {
  lastId: string | null;
  retryMs: number;
  /** Streams in a row without an event. */
  fruitless: number;
}

/** Passes on what comes before the answer. A stream that the backend ends early is taken up again, as its clients would. */
async function followAnswer(call: Call, first: globalThis.Response, stream: ReplyStream): Promise<Answer> {
  const { leg, reply, signal } = call;
  const cursor: Cursor = { lastId: null, retryMs: RETRY_MS, fruitless: 0 };
  let response = first;
  while (cursor.fruitless++ < MAX_RESUMPTIONS) {
    const answer = await readUntilAnswer(call, response, cursor, stream);
    if (answer !== null) return answer;
    if (cursor.lastId === null || leg.resume === null || reply.signal.aborted) break;
    await pause(cursor.retryMs, signal);
    response = await leg.resume(cursor.lastId, signal);
  }
  throw new AnswerInvalid('the event stream ended without the answer');
}

/** Null: it is not in this stream. */
async function readUntilAnswer(
  call: Call,
  response: globalThis.Response,
  cursor: Cursor,
  stream: ReplyStream,
): Promise<Answer | null> {
  if (response.body === null || mediaType(response) !== EVENTS_TYPE) throw new AnswerInvalid(`answered ${response.status}`);
  for await (const { id, data, retry } of readEvents(response.body, call.contact.ports.maxAnswerBytes)) {
    cursor.fruitless = 0;
    cursor.lastId = id ?? cursor.lastId;
    cursor.retryMs = Math.min(retry ?? cursor.retryMs, MAX_RETRY_MS);
    const answer = data === '' ? null : readMessage(data, call.id);
    if (answer !== null) return answer;
    if (data !== '') await pass(call, data, stream);
  }
  return null;
}

async function pass({ leg, body, wording }: Call, text: string, stream: ReplyStream): Promise<void> {
  const message = parseExact(text);
  if (message === null) throw new AnswerInvalid('an event carries what is no message');
  const { id, method } = message;
  if (typeof method !== 'string') return;
  if (id !== undefined) await leg.refuse(JSON.stringify(id), method);
  else if (passesOn(message, body, wording)) await stream.write(eventText(text));
}
