/**
 * JSON-RPC 2.0 as MCP uses it: one request, notification or response, with no members besides those it knows.
 * Refused: batches, hybrids, params that are no object, ids that are neither string nor integer.
 */
import { deny, ok, type Result } from '../result.ts';
import type { Denial } from '../verdict.ts';
import type { JsonDocument } from './json.ts';

export type JsonObject = { readonly [key: string]: unknown };

export type Message =
  | { readonly kind: 'request'; readonly id: string; readonly method: string; readonly params: JsonObject }
  | { readonly kind: 'notification'; readonly method: string; readonly params: JsonObject }
  | { readonly kind: 'response'; readonly id: string };

const CALL_MEMBERS = new Set(['jsonrpc', 'id', 'method', 'params']);
const RESPONSE_MEMBERS = new Set(['jsonrpc', 'id', 'result', 'error']);
const NO_PARAMS: JsonObject = Object.freeze({});

/** `id` in the result is the raw JSON token, to be echoed as it was sent. */
export function parseMessage(document: JsonDocument): Result<Message> {
  const { value } = document;
  if (Array.isArray(value)) return deny({ reason: 'batch_unsupported' });
  const id = isObject(value) ? rawId(document, value) : null;
  if (!isObject(value) || id === null) return deny({ reason: 'message_invalid' });
  const read = Object.hasOwn(value, 'method') ? call : response;
  const message = value.jsonrpc === '2.0' ? read(value, id) : null;
  return message === null ? deny({ reason: 'message_invalid', read: whatWasRead(value, id) }) : ok(message);
}

function call(value: JsonObject, id: string | undefined): Message | null {
  const { method, params = NO_PARAMS } = value;
  if (!hasOnly(value, CALL_MEMBERS) || typeof method !== 'string' || !isObject(params)) return null;
  return id === undefined ? { kind: 'notification', method, params } : { kind: 'request', id, method, params };
}

function response(value: JsonObject, id: string | undefined): Message | null {
  const hasResult = Object.hasOwn(value, 'result');
  if (id === undefined || !hasOnly(value, RESPONSE_MEMBERS) || hasResult === Object.hasOwn(value, 'error')) return null;
  return isObject(hasResult ? value.result : value.error) ? { kind: 'response', id } : null;
}

function whatWasRead({ method }: JsonObject, id: string | undefined): NonNullable<Denial['read']> {
  return { ...(id === undefined ? {} : { id }), ...(typeof method === 'string' ? { method } : {}) };
}

/** The id as written; undefined where there is none, null where it is not an id. */
function rawId(document: JsonDocument, value: JsonObject): string | undefined | null {
  if (!Object.hasOwn(value, 'id')) return undefined;
  const span = document.members.get('id');
  if (span === undefined) return null;
  const raw = document.text.slice(...span);
  return typeof value.id === 'string' || /^-?(0|[1-9]\d{0,63})$/.test(raw) ? raw : null;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasOnly(value: JsonObject, members: ReadonlySet<string>): boolean {
  return Object.keys(value).every((key) => members.has(key));
}
