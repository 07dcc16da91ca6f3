/** Messages to the front door by hand, over HTTP/2 through Envoy: their bytes as they are, and whatever headers a test needs. */
import assert from 'node:assert/strict';
import { type Reply, toReply } from './ask.ts';
import type { TestDeployment } from './deployment.ts';
import { waitUntil } from './ndjson.ts';
import type { HeaderLine } from './wire.ts';

export const DOOR = '/mcp';
export const LEGACY = '2025-11-25';
export const MODERN = '2026-07-28';

export interface Letter {
  readonly token?: string | null;
  readonly session?: string | null;
  /** As it goes out; null: none. */
  readonly text: string | null;
  readonly method?: 'POST' | 'GET' | 'DELETE';
  readonly revision?: string;
  readonly headers?: readonly HeaderLine[];
  /** By default the front door. */
  readonly path?: string;
}

export async function send({ wire }: Pick<TestDeployment, 'wire'>, letter: Letter): Promise<Reply> {
  const { token = null, session = null, text, method = 'POST', revision = LEGACY, headers = [], path = DOOR } = letter;
  const answer = await wire.http2({
    method,
    path,
    authority: 'localhost',
    headers: [
      ...(text === null ? [] : [['content-type', 'application/json'] as const]),
      ['accept', method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream'],
      ['mcp-protocol-version', revision],
      ...(token === null ? [] : [['authorization', `Bearer ${token}`] as const]),
      ...(session === null ? [] : [['mcp-session-id', session] as const]),
      ...headers,
    ],
    body: text === null ? null : Buffer.from(text),
    ...(method === 'GET' ? { until: 'stream' as const } : {}),
  });
  return toReply(answer);
}

/** A session of the legacy era as its client holds it. @param capabilities of the client. */
export async function beginSession(
  deployment: Pick<TestDeployment, 'wire'>,
  token: string,
  { path = DOOR, capabilities = {} }: { readonly path?: string; readonly capabilities?: object } = {},
): Promise<string> {
  const params = { protocolVersion: LEGACY, capabilities, clientInfo: { name: 'test', version: '1' } };
  const text = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
  const begun = await send(deployment, { token, text, path });
  assert.equal(begun.status, 200, begun.body);
  const [session] = begun.headers.get('mcp-session-id') ?? [];
  assert.ok(session !== undefined, 'a session was begun');
  const ready = await send(deployment, {
    token,
    session,
    text: '{"jsonrpc":"2.0","method":"notifications/initialized"}',
    path,
  });
  assert.equal(ready.status, 202, ready.body);
  return session;
}

/** A request of 2026-07-28: its envelope and the headers that mirror it. */
export function modernLetter(token: string, id: string, method: string, params: Readonly<Record<string, unknown>>): Letter {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const name = params.name ?? params.uri;
  return {
    token,
    revision: MODERN,
    headers: [['mcp-method', method], ...(name === undefined ? [] : [['mcp-name', String(name)] as const])],
    text: `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${JSON.stringify({ ...params, _meta: meta })}}`,
  };
}

/** Until the catalog has both backends: the front door answers for them by what it knows. */
export async function backendsKnown(deployment: Pick<TestDeployment, 'metrics'>, admin?: string): Promise<void> {
  await waitUntil('both backends are known', async () => {
    return (await deployment.metrics(admin)).sum('mcp_ext_authz_backend_up') === 2;
  });
}
