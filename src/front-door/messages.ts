/**
 * JSON-RPC between the front door and a backend: a backend's answer to one request, JSON or SSE, read into one message of
 * bounded size, and the texts of our own. An id stands wherever it is repeated as it was sent.
 */
import { quote } from '../json-text.ts';
import { type JsonDocument, readJsonText } from '../mcp/json.ts';
import { ANSWER_LIMITS, isSameId } from '../mcp/lists.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import type { Span } from '../mcp/scan.ts';
import { AnswerInvalid, readEvents } from './events.ts';

/** `text` is the whole message as the backend wrote it; the spans say where the values stand in it. */
export type Answer =
  | { readonly kind: 'result'; readonly text: string; readonly span: Span; readonly result: JsonObject }
  | { readonly kind: 'error'; readonly text: string; readonly span: Span; readonly code: number; readonly message: string };

export interface AnswerLimits {
  /** The raw JSON token of the id that was asked with. */
  readonly id: string;
  readonly maxBytes: number;
}

export const JSON_TYPE = 'application/json';
export const EVENTS_TYPE = 'text/event-stream';
export const ACCEPT_BOTH = `${JSON_TYPE}, ${EVENTS_TYPE}`;

/**
 * The answer to one request. Notifications and requests of the backend before it are passed over, what follows it is not read.
 * A status that is no success must come with a JSON-RPC error. Throws AnswerInvalid, or as the stream does.
 */
export async function readAnswer(response: globalThis.Response, limits: AnswerLimits): Promise<Answer> {
  try {
    return await readBody(response, limits);
  } finally {
    await response.body?.cancel().catch(() => {});
  }
}

async function readBody(response: globalThis.Response, limits: AnswerLimits): Promise<Answer> {
  const type = mediaType(response);
  if (response.body === null || (type !== JSON_TYPE && type !== EVENTS_TYPE)) throw unexpected(response);
  const body = takeAtMost(response.body, limits.maxBytes);
  if (type === JSON_TYPE) {
    const answer = readMessage(await readText(body), limits.id);
    if (answer === null || (!response.ok && answer.kind === 'result')) throw unexpected(response);
    return answer;
  }
  if (!response.ok) throw unexpected(response);
  for await (const { data } of readEvents(body, limits.maxBytes)) {
    const answer = data === '' ? null : readMessage(data, limits.id);
    if (answer !== null) return answer;
  }
  throw new AnswerInvalid('the event stream ended without the answer');
}

export function mediaType(response: globalThis.Response): string {
  return (response.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function unexpected({ status }: globalThis.Response): AnswerInvalid {
  return new AnswerInvalid(`answered ${status} without a JSON-RPC message that answers`);
}

/** Null: another message. An error without an id counts, for who could not read the request cannot repeat its id. */
export function readMessage(text: string, id: string): Answer | null {
  const { value, members } = parse(text);
  if (!isObject(value) || value.jsonrpc !== '2.0' || Object.hasOwn(value, 'method')) return null;
  const isError = Object.hasOwn(value, 'error');
  const sent = members.get('id');
  const isOurs = sent !== undefined && isSameId(text.slice(...sent), id);
  if (!isOurs && !(isError && (value.id ?? null) === null)) return null;
  const span = members.get(isError ? 'error' : 'result');
  if (span === undefined || isError === Object.hasOwn(value, 'result')) throw new AnswerInvalid('the answer is malformed');
  return isError ? readError(text, span, value.error) : readResult(text, span, value.result);
}

function readError(text: string, span: Span, error: unknown): Answer {
  const { code, message } = isObject(error) ? error : {};
  if (!Number.isSafeInteger(code) || typeof message !== 'string') throw new AnswerInvalid('the error is malformed');
  return { kind: 'error', text, span, code: code as number, message };
}

function readResult(text: string, span: Span, result: unknown): Answer {
  if (!isObject(result)) throw new AnswerInvalid('the result is no object');
  return { kind: 'result', text, span, result };
}

/** Strictly: nesting that takes long to read is refused before it is read, and no two parsers see different answers. */
function parse(text: string): JsonDocument {
  const read = readJsonText(text, ANSWER_LIMITS);
  if (!read.ok) throw new AnswerInvalid(`the answer cannot be read: ${read.denial.reason}`);
  return read.value;
}

async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    throw new AnswerInvalid('the answer is not UTF-8', { cause });
  }
}

async function* takeAtMost(body: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new AnswerInvalid('the answer is too large');
    yield chunk;
  }
}

/** @param id raw JSON token. @param params JSON text of an object. */
export function requestText(id: string, method: string, params: string): string {
  return `{"jsonrpc":"2.0","id":${id},"method":${quote(method)},"params":${params}}`;
}

export function notificationText(method: string, params: string | null = null): string {
  return `{"jsonrpc":"2.0","method":${quote(method)}${params === null ? '' : `,"params":${params}`}}`;
}

/** @param id raw JSON token. @param result JSON text of an object. */
export function resultText(id: string, result: string): string {
  return `{"jsonrpc":"2.0","id":${id},"result":${result}}`;
}

/** @param id raw JSON token; without one the error has none. */
export function errorText(id: string | null, code: number, message: string, data?: unknown): string {
  const error = JSON.stringify(data === undefined ? { code, message } : { code, message, data });
  return `{"jsonrpc":"2.0",${id === null ? '' : `"id":${id},`}"error":${error}}`;
}

/** One event that carries a message. */
export function eventText(message: string, id: string | null = null): string {
  return `event: message\n${id === null ? '' : `id: ${id}\n`}data: ${message.replace(/\r\n|\r|\n/g, ' ')}\n\n`;
}
