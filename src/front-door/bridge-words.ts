/**
 * One message put into the words of the other era: the request on its way to a backend, the answer on its way back.
 * Numbers and ids stay as they are written.
 */
import { isObject, type JsonObject } from '../mcp/message.ts';
import { METHODS } from '../mcp/methods.ts';
import { encodeSentinel } from '../mcp/operation.ts';
import { type Era, MODERN } from '../mcp/revisions.ts';
import { CLIENT_CAPABILITIES, CLIENT_INFO, OURSELVES, PROTOCOL_VERSION } from './client.ts';
import { parseExact } from './exact-json.ts';
import { type Answer, resultText } from './messages.ts';

const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';
const ENVELOPE = new Set([PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL]);

/** Least severe first (RFC 5424, as MCP names them). */
const LOG_LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

/** What a modern result says of caching: ours come from one visitor's session, and nothing tells when they change. */
const UNCACHED = { ttlMs: 0, cacheScope: 'private' } as const;
const CACHEABLE = new Set(['resources/read']);

const RESOURCE_NOT_FOUND = { legacy: -32002, modern: -32602 } as const;

export interface Wording {
  readonly client: Era;
  readonly backend: Era;
}

/** A request without its envelope, for a backend of the legacy era; what else `_meta` has is kept. */
export function removeEnvelope(body: string): string {
  const { params, ...message } = parseExact(body) ?? {};
  if (!isObject(params) || !isObject(params._meta)) return body;
  const { _meta, ...rest } = params;
  const kept = Object.entries(params._meta).filter(([key]) => !ENVELOPE.has(key));
  const meta = kept.length === 0 ? {} : { _meta: Object.fromEntries(kept) };
  return JSON.stringify({ ...message, params: { ...rest, ...meta } });
}

/** A request with an envelope that promises nothing: whatever the backend asked for, no legacy client could be asked. */
export function addEnvelope(body: string): string {
  const { params, ...message } = parseExact(body) ?? {};
  const rest = isObject(params) ? params : {};
  const meta = isObject(rest._meta) ? rest._meta : {};
  const envelope = { [PROTOCOL_VERSION]: MODERN, [CLIENT_CAPABILITIES]: {}, [CLIENT_INFO]: OURSELVES };
  return JSON.stringify({ ...message, params: { ...rest, _meta: { ...meta, ...envelope } } });
}

/** What a modern backend compares with the body. */
export function mirrorHeaders(body: string): Record<string, string> {
  const { method, params } = parseExact(body) ?? {};
  const mirrored = METHODS.get(String(method))?.mirrored;
  const name = mirrored !== undefined && isObject(params) ? params[mirrored] : undefined;
  return {
    'mcp-protocol-version': MODERN,
    'mcp-method': String(method),
    ...(typeof name === 'string' ? { 'mcp-name': encodeSentinel(name) } : {}),
  };
}

/**
 * The answer as the client may read it; null for a result that is no end of the request, which only a client of the backend's
 * own era could go on with.
 * @param id raw JSON token.
 */
export function wordAnswer(answer: Answer, id: string, method: string, { client, backend }: Wording): string | null {
  const part = answer.text.slice(...answer.span);
  if (answer.kind === 'error') return `{"jsonrpc":"2.0","id":${id},"error":${wordError(part, answer.code, client, backend)}}`;
  if (client === backend) return resultText(id, part);
  const { resultType, ...result } = parseExact(part) ?? {};
  if (client === 'legacy')
    return resultType === undefined || resultType === 'complete' ? resultText(id, JSON.stringify(result)) : null;
  return resultText(id, JSON.stringify({ resultType: 'complete', ...(CACHEABLE.has(method) ? UNCACHED : {}), ...result }));
}

function wordError(part: string, code: number, client: Era, backend: Era): string {
  if (client === backend || code !== RESOURCE_NOT_FOUND.legacy || client === 'legacy') return part;
  return JSON.stringify({ ...parseExact(part), code: RESOURCE_NOT_FOUND.modern });
}

/** A notification that comes before the answer: whether the client of this request may have it. */
export function passesOn({ method, params }: JsonObject, body: string, { client, backend }: Wording): boolean {
  if (method === 'notifications/progress') return true;
  if (method !== 'notifications/message') return false;
  if (client === 'legacy' || backend === 'modern') return true;
  // From 2026-07-28 on a request says which log messages it wants; without a word it wants none.
  const sent = parseExact(body)?.params;
  const wanted = isObject(sent) && isObject(sent._meta) ? LOG_LEVELS.indexOf(String(sent._meta[LOG_LEVEL])) : -1;
  return wanted >= 0 && isObject(params) && LOG_LEVELS.indexOf(String(params.level)) >= wanted;
}
