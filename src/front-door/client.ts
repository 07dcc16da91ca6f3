/** What a visit's own body says of the client and of its params. The Check has read it before: it is one JSON-RPC message. */
import { isObject, type JsonObject } from '../mcp/message.ts';
import { memberSpans, skipSpace } from '../mcp/spans.ts';
import { VERSION } from '../version.ts';
import type { Visit } from './visit.ts';

export interface ClientFacts {
  readonly capabilities: JsonObject;
  readonly info: JsonObject;
}

export const PROTOCOL_VERSION = 'io.modelcontextprotocol/protocolVersion';
export const CLIENT_CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
export const CLIENT_INFO = 'io.modelcontextprotocol/clientInfo';
export const SERVER_INFO = 'io.modelcontextprotocol/serverInfo';

/** Who we are, to clients as their server and to backends as a client that is known no better. */
export const OURSELVES = { name: 'mcp-ext-authz', title: 'MCP gateway', version: VERSION } as const;

const NOTHING: JsonObject = Object.freeze({});

export function bodyText({ http }: Visit): string {
  return Buffer.from(http.body).toString('utf8');
}

export function readParams(visit: Visit): JsonObject {
  const message: unknown = visit.http.body.byteLength === 0 ? null : JSON.parse(bodyText(visit));
  return isObject(message) && isObject(message.params) ? message.params : NOTHING;
}

/** The params as the client wrote them; an empty object where there are none. */
export function paramsText(visit: Visit): string {
  const text = bodyText(visit);
  const span = memberSpans(text, skipSpace(text, 0))?.get('params');
  return span === undefined ? '{}' : text.slice(...span);
}

/** What a client can do without being asked: its replies could not come back into a session it does not hold. */
export function promisable({ experimental }: JsonObject): JsonObject {
  return experimental === undefined ? {} : { experimental };
}

/** From `initialize` or a modern envelope; any other message does not say, and then a backend is promised nothing. */
export function clientOf(visit: Visit): ClientFacts {
  const params = readParams(visit);
  const meta = isObject(params._meta) ? params._meta : NOTHING;
  const [capabilities, info] =
    visit.operation.method === 'initialize'
      ? [params.capabilities, params.clientInfo]
      : [meta[CLIENT_CAPABILITIES], meta[CLIENT_INFO]];
  return { capabilities: isObject(capabilities) ? capabilities : NOTHING, info: isObject(info) ? info : OURSELVES };
}
