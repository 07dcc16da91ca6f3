/**
 * JSON-RPC 2.0 as MCP uses it: one request, notification or response, with no members besides those it knows.
 * Refused: batches, hybrids, params that are no object, ids that are neither string nor integer.
 */
import { deny, ok, type Result } from '../result.ts';
import { foldKey, type JsonDocument } from './json.ts';

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
  if (!isObject(value)) return deny({ reason: 'message_invalid' });

  const id = rawId(document, value);
  if (id === null) return deny({ reason: 'message_invalid' });
  const read = {
    ...(id === undefined ? {} : { id }),
    ...(typeof value.method === 'string' ? { method: value.method } : {}),
  };
  const invalid = deny({ reason: 'message_invalid', read });

  if (value.jsonrpc !== '2.0') return invalid;
  if (!Object.hasOwn(value, 'method')) return response(value, id) ?? invalid;

  const { method, params = NO_PARAMS } = value;
  if (!hasOnly(value, CALL_MEMBERS) || typeof method !== 'string' || !isObject(params)) return invalid;
  return ok(id === undefined ? { kind: 'notification', method, params } : { kind: 'request', id, method, params });
}

function response(value: JsonObject, id: string | undefined): Result<Message> | null {
  const hasResult = Object.hasOwn(value, 'result');
  if (id === undefined || !hasOnly(value, RESPONSE_MEMBERS) || hasResult === Object.hasOwn(value, 'error')) return null;
  if (!isObject(hasResult ? value.result : value.error)) return null;
  return ok({ kind: 'response', id });
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

/**
 * A key that a careless parser would take for one we read (`Name`, `na\u006de` is fine, `name\0`, `ｎame`).
 * Two such keys side by side are refused by the JSON reader already; this catches one alone.
 */
export function hasLookAlike(value: JsonObject, known: ReadonlySet<string>): boolean {
  return Object.keys(value).some((key) => !known.has(key) && known.has(foldedNames(key)));
}

function foldedNames(key: string): string {
  const folded = foldKey(key);
  return CAMEL_CASE.get(folded) ?? folded;
}

/** Folding lowers case, so the camelCase names are found by their folded form. */
const CAMEL_CASE = new Map(
  [
    'taskId',
    'inputResponses',
    'requestState',
    'protocolVersion',
    'clientInfo',
    'requestId',
    'progressToken',
    'resourceSubscriptions',
    'taskIds',
    '_meta',
  ].map((name) => [name.toLowerCase(), name]),
);
