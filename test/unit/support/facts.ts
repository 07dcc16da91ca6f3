/** Requests, principals and resources as plain data, each with defaults that would be allowed. */
import type { DelegationRequest } from '../../../src/delegation/delegation.ts';
import type { Headers, HttpFacts } from '../../../src/http.ts';
import { noFacts } from '../../../src/http.ts';
import type { Outbound } from '../../../src/policy/decision.ts';
import { publicName, type Resource } from '../../../src/resource.ts';
import type { Principal } from '../../../src/token/principal.ts';

export const NOW_MS = Date.UTC(2026, 10, 21, 12);
export const NOW = NOW_MS / 1000;
export const ISSUER = 'https://as.example';
export const ACTOR = 'ai-identity-gateway';
export const AUDIENCE = 'https://ledger.internal/mcp';
export const LEDGER_URL = 'https://gateway.example/ledger/mcp';
export const LEDGER_PATH = '/ledger/mcp';
/** Of the form of a token, and easy to look for. */
export const SUBJECT_TOKEN = 'eyJhbGciOiJFUzI1NiJ9.c3ViamVjdC10b2tlbi1jbGFpbXM.c3ViamVjdC10b2tlbi1zaWduYXR1cmU';
export const DELEGATION_TOKEN = 'eyJhbGciOiJFUzI1NiJ9.ZGVsZWdhdGlvbi10b2tlbi1jbGFpbXM.ZGVsZWdhdGlvbi10b2tlbi1zaWduYXR1cmU';

type HeaderLines = Readonly<Record<string, string | readonly string[] | null>>;

/** Null takes a header away. */
export function headers(lines: HeaderLines): Headers {
  return new Map(
    Object.entries(lines)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => [name, typeof value === 'string' ? [value] : (value as readonly string[])]),
  );
}

export interface RequestSpec extends Partial<Omit<HttpFacts, 'headers' | 'body'>> {
  readonly lines?: HeaderLines;
  /** An object becomes JSON. */
  readonly body?: unknown;
}

const LINES: HeaderLines = {
  authorization: `Bearer ${SUBJECT_TOKEN}`,
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2025-11-25',
};

export function request({ lines, body, ...rest }: RequestSpec = {}): HttpFacts {
  const text = body === undefined ? callOf('getBalance') : body;
  const bytes = text instanceof Uint8Array ? text : Buffer.from(typeof text === 'string' ? text : JSON.stringify(text));
  return {
    ...noFacts(),
    requestId: 'f3b2a1c0-0000-4000-8000-000000000000',
    method: 'POST',
    path: LEDGER_PATH,
    host: 'gateway.example',
    headers: headers({ ...LINES, ...lines }),
    body: bytes,
    statedSize: bytes.byteLength || null,
    sourceIp: '192.0.2.7',
    timeMs: NOW_MS,
    ...rest,
  };
}

/** GET and the like: no body, no content type. */
export function bare(method: string, { lines, ...rest }: RequestSpec = {}): HttpFacts {
  return request({ method, body: '', lines: { 'content-type': null, ...lines }, ...rest });
}

export function callOf(name: string, args: object = {}, id: unknown = 1): object {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } };
}

export const alice: Principal = {
  issuer: ISSUER,
  subject: 'alice',
  clientId: 'claude-code',
  scopes: ['ledger:read'],
  audience: [LEDGER_URL],
  actor: [],
  claims: { iss: ISSUER, sub: 'alice', client_id: 'claude-code', iat: NOW - 10, exp: NOW + 300, jti: 'subject-jti' },
  expiresAt: NOW + 300,
  tokenId: 'subject-jti',
  binding: null,
};

export const ledger: Resource = {
  name: 'ledger',
  path: LEDGER_PATH,
  publicNames: [publicName(LEDGER_URL)],
  audiences: new Set([LEDGER_URL]),
  issuers: new Set([ISSUER]),
  scopesSupported: ['ledger:read', 'ledger:write'],
  challengeScopes: ['ledger:read'],
  strict: false,
  delegation: 'exchange',
  tools: new Map([['getBalance', { title: 'Get a balance', annotations: { readOnlyHint: true }, known: true }]]),
  documentation: null,
  url: null,
};

export const outbound: Outbound = {
  audience: AUDIENCE,
  scopes: ['ledger:getBalance'],
  ttlSeconds: 5,
  resource: null,
  headers: {},
};

export function delegationRequest(changes: Partial<DelegationRequest> = {}): DelegationRequest {
  return { subjectToken: SUBJECT_TOKEN, principal: alice, outbound, backend: 'ledger', deadlineMs: NOW_MS + 2000, ...changes };
}
