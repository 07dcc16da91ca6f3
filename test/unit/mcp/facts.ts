/** HTTP requests as the code sees them, and messages to put into them. */
import assert from 'node:assert/strict';
import { type HttpFacts, noFacts } from '../../../src/http.ts';
import { type Operation, readOperation } from '../../../src/mcp/operation.ts';
import type { Reason } from '../../../src/reasons.ts';
import type { Denial } from '../../../src/verdict.ts';

export const LIMITS = { maxBytes: 262_144, maxDepth: 64 };

export const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';
export const CAPABILITIES_KEY = 'io.modelcontextprotocol/clientCapabilities';
/** What `_meta` of a modern request carries. */
export const ENVELOPE = { [VERSION_KEY]: '2026-07-28', [CAPABILITIES_KEY]: {} };

type HeaderLines = Readonly<Record<string, string | readonly string[] | undefined>>;

export function bytes(body: unknown): Uint8Array {
  return body instanceof Uint8Array ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

export function facts(changes: Partial<Omit<HttpFacts, 'headers'>>, headers: HeaderLines = {}): HttpFacts {
  const lines = Object.entries(headers).flatMap(([name, value]): [string, readonly string[]][] =>
    value === undefined ? [] : [[name, typeof value === 'string' ? [value] : value]],
  );
  return { ...noFacts(), method: 'POST', path: '/mcp', ...changes, headers: new Map(lines) };
}

/** A POST as Envoy shows it; a body that is no text and no bytes is written as JSON. */
export function post(body: unknown, headers: HeaderLines = {}): HttpFacts {
  const sent = bytes(body);
  return facts({ body: sent, statedSize: sent.byteLength }, { 'content-type': 'application/json', ...headers });
}

/** A POST of a modern request with its envelope and the headers that mirror it. */
export function modern(method: string, params: Record<string, unknown> = {}, headers: HeaderLines = {}): HttpFacts {
  const name = params.name ?? params.uri ?? params.taskId;
  return post(
    { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: ENVELOPE } },
    {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
      ...headers,
    },
  );
}

export function request(method: string, params?: unknown): Record<string, unknown> {
  return { jsonrpc: '2.0', id: 1, method, ...(params === undefined ? {} : { params }) };
}

export function accepted(http: HttpFacts): Operation {
  const read = readOperation(http, LIMITS);
  if (!read.ok) assert.fail(JSON.stringify(read.denial));
  return read.value;
}

export function refused(http: HttpFacts, reason: Reason, what?: string): Denial {
  const read = readOperation(http, LIMITS);
  const denial: Denial | null = read.ok ? null : read.denial;
  assert.deepEqual({ what, reason: denial?.reason ?? 'accepted' }, { what, reason });
  assert.ok(denial);
  return denial;
}
