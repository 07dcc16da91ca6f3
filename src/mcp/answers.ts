/**
 * A backend's answer on its way to the client: one JSON body, or server-sent events as they come. Lists show what the caller
 * may use, ids carry the mark of their backend, task ids are sealed. A message that needs none of it goes on byte for byte.
 *
 * In place of a list that cannot be shown goes one JSON-RPC error, and nothing more after it. Anything else that a rule
 * needs to read and nobody can is thrown as AnswerUnreadable: it never passes unread.
 */
import type { Reason } from '../reasons.ts';
import type { Result } from '../result.ts';
import { AnswerUnreadable, createEventRewriter, type EventChange, type ServerSentEvent, writeEvent } from './events.ts';
import { type JsonDocument, readJson, readJsonText } from './json.ts';
import { type ListRules, type ListWatch, watchLists } from './list-answer.ts';
import { ANSWER_LIMITS } from './lists.ts';
import { markIds, writeMark } from './marks.ts';
import { isObject } from './message.ts';
import { splice } from './spans.ts';
import { replaceTaskIds } from './task-ids.ts';

export interface AnswerRules {
  /** As the header has it; null: none. */
  readonly contentType: string | null;
  /** Of a JSON body, or of one event. */
  readonly maxBytes: number;
  readonly list: ListRules | null;
  /** The backend's name, before the ids of its requests and events. */
  readonly marks: string | null;
  readonly sealTask: ((taskId: string) => string) | null;
}

export interface AnswerRewriter {
  /** What goes on in place of a piece; one after the other. */
  readonly push: (piece: Uint8Array, isLast: boolean) => Promise<Buffer>;
  /** Nothing goes on any more: a list that was asked for and has not come is told of. */
  readonly abandon: (what: string) => void;
}

export type AnswerKind = 'json' | 'events' | 'other';

type Change = 'keep' | 'drop' | { readonly text: string };

interface Answer {
  readonly rules: AnswerRules;
  readonly list: ListWatch | null;
}

const NOTHING = Buffer.alloc(0);

/** What a media type means to an MCP client. */
export function kindOfAnswer(contentType: string | null): AnswerKind {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'application/json') return 'json';
  return type === 'text/event-stream' ? 'events' : 'other';
}

/**
 * What is neither JSON nor events is no message and passes; where a list was asked for, its error goes out as JSON, and
 * where one may be repeated it is thrown.
 */
export function createAnswerRewriter(rules: AnswerRules): AnswerRewriter {
  if (rules.list === null && rules.marks === null && rules.sealTask === null)
    return { push: async (piece) => toBuffer(piece), abandon: () => {} };
  const answer: Answer = { rules, list: rules.list === null ? null : watchLists(rules.list) };
  return { push: pushOf(answer), abandon: (what) => answer.list?.end(what) };
}

type Push = AnswerRewriter['push'];

function pushOf(answer: Answer): Push {
  const kind = kindOfAnswer(answer.rules.contentType);
  if (kind === 'events') return rewriteEvents(answer);
  if (kind === 'json') return rewriteBody(answer);
  const { list } = answer;
  if (list === null) return async (piece) => toBuffer(piece);
  if (!list.isAsked) return async (piece) => refuseAny(piece);
  return async () => {
    list.refuse('neither JSON nor events');
    return Buffer.from(list.takeRefusal() ?? '');
  };
}

function toBuffer(piece: Uint8Array): Buffer {
  return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
}

function refuseAny(piece: Uint8Array): Buffer {
  return piece.byteLength === 0 ? NOTHING : fail('media_type_unsupported');
}

function rewriteBody(answer: Answer): Push {
  const { maxBytes } = answer.rules;
  const pieces: Buffer[] = [];
  let size = 0;
  return async (piece, isLast) => {
    size += piece.byteLength;
    if (size <= maxBytes) pieces.push(Buffer.from(piece));
    else {
      pieces.length = 0;
      await guard(answer, () => fail('body_too_large'));
    }
    const made = isLast && size <= maxBytes ? await changeBody(answer, Buffer.concat(pieces)) : NOTHING;
    const refusal = answer.list?.takeRefusal() ?? null;
    return refusal === null ? made : Buffer.from(refusal);
  };
}

async function changeBody(answer: Answer, body: Buffer): Promise<Buffer> {
  const limits = { ...ANSWER_LIMITS, maxBytes: answer.rules.maxBytes };
  const change = body.length === 0 ? 'keep' : await guard(answer, () => changeMessage(answer, readJson(body, limits)));
  answer.list?.end('not the answer');
  if (change === 'keep') return body;
  return change === 'drop' ? NOTHING : Buffer.from(change.text);
}

function rewriteEvents(answer: Answer): Push {
  const { list, rules } = answer;
  const rewrite = (event: ServerSentEvent) => changeEvent(answer, event);
  const events = createEventRewriter({ maxEventBytes: rules.maxBytes, rewrite });
  return async (piece, isLast) => {
    const { bytes, fault } = await events.push(piece);
    if (fault !== null) await guard(answer, () => fail(fault.fault));
    if (isLast) list?.end('ended without the answer');
    const refusal = list?.takeRefusal() ?? null;
    return refusal === null ? bytes : Buffer.concat([bytes, Buffer.from(writeEvent(refusal))]);
  };
}

function changeEvent(answer: Answer, event: ServerSentEvent): EventChange | Promise<EventChange> {
  const { data } = event;
  if (data === null || !holdsMessage(event, answer.list)) return markEvent(answer, event, 'keep');
  return guard(answer, () => changeMessage(answer, readJsonText(data, ANSWER_LIMITS))).then((change) =>
    markEvent(answer, event, change),
  );
}

function markEvent({ list, rules }: Answer, { id }: ServerSentEvent, change: Change): EventChange {
  if (list?.state() === 'refused') return 'end';
  if (change === 'drop') return 'drop';
  // An empty id takes back the one before.
  const marked = rules.marks === null || id === null || id === '' ? null : { id: writeMark(rules.marks, id) };
  return change === 'keep' ? (marked ?? 'keep') : { data: change.text, ...marked };
}

/** Messages come as events of one type; where a list was asked for, it may not hide in another either. */
function holdsMessage({ type, data }: ServerSentEvent, list: ListWatch | null): boolean {
  return data !== '' && (type === null || type === '' || type === 'message' || list?.isAsked === true);
}

function fail(fault: Reason): never {
  throw new AnswerUnreadable(fault);
}

/** What cannot be read ends the list that was asked for; where none was, it is thrown on. */
async function guard({ list }: Answer, work: () => Promise<Change>): Promise<Change> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AnswerUnreadable) || !list?.isAsked) throw error;
    list.refuse(error.fault);
    return 'drop';
  }
}

async function changeMessage({ rules, list }: Answer, read: Result<JsonDocument>): Promise<Change> {
  if (!read.ok) return fail(read.denial.reason);
  const { value, text } = read.value;
  if (!isObject(value)) return fail(Array.isArray(value) ? 'batch_unsupported' : 'message_invalid');
  const listed = (await list?.change(read.value)) ?? { edits: [] };
  if (listed === 'drop' || 'text' in listed) return listed;
  const edits = [
    ...listed.edits,
    ...(rules.marks === null ? [] : markIds(read.value, rules.marks)),
    ...(rules.sealTask === null ? [] : replaceTaskIds(read.value, rules.sealTask)),
  ];
  return edits.length === 0 ? 'keep' : { text: splice(text, edits) };
}
