/**
 * What the client is answered when the request does not go on: refusals in words that MCP clients and people can use, and
 * the few public documents. Why a policy's no is HTTP 200 by default is told in docs/denials.md.
 */
import { type HeaderLine, type HttpFacts, singleHeader } from '../http.ts';
import type { Operation } from '../mcp/operation.ts';
import { MODERN } from '../mcp/revisions.ts';
import { type Reason, reasonRow } from '../reasons.ts';
import { chooseName, type Resource, type Resources } from '../resource.ts';
import { challengeHeader } from '../token/challenge.ts';
import { resourceMetadata } from '../token/metadata.ts';
import type { Denial } from '../verdict.ts';

/** A whole HTTP response, given in place of the backend's. */
export interface Response {
  readonly status: number;
  readonly headers: readonly HeaderLine[];
  readonly body: string;
}

/** An answer that needs no token. */
export interface PublicAnswer {
  readonly reason: Reason;
  readonly resource: Resource | null;
  readonly response: Response;
  /** For the log only. */
  readonly cause?: unknown;
}

/** What a refusal is about, as far as it was read. */
export interface Refused {
  readonly http: HttpFacts;
  readonly decisionId: string;
  readonly resource: Resource | null;
  readonly operation: Operation | null;
  readonly allowedOrigins: ReadonlySet<string>;
}

export const JSON_TYPE: HeaderLine = ['content-type', 'application/json'];
export const NO_STORE: HeaderLine = ['cache-control', 'no-store'];
const ALLOWED_METHODS = 'POST, GET, DELETE, OPTIONS';
const EXPOSED_HEADERS = 'WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version';

export function refusal(denial: Denial, about: Refused): Response {
  const row = reasonRow(denial.reason);
  const headers: HeaderLine[] = [JSON_TYPE, NO_STORE, ...corsHeaders(about.http, about.allowedOrigins)];
  const challenge = challengeFor(denial, about);
  if (challenge !== null) headers.push(['www-authenticate', challenge]);
  if (row.status === 405) headers.push(['allow', isModern(denial, about) ? 'POST, OPTIONS' : ALLOWED_METHODS]);
  if (row.outcome === 'error') headers.push(['retry-after', '1']);
  return { status: statusOf(denial, about), headers, body: errorBody(denial, about) };
}

function statusOf(denial: Denial, { operation, resource }: Refused): number {
  const { status } = reasonRow(denial.reason);
  const hasId = (operation?.id ?? denial.read?.id) != null;
  if (status === 200) return hasId && resource?.strict === false ? 200 : 403;
  // A legacy client takes 404 for a lost session: it gets the answer that its server would give.
  if (denial.reason === 'method_unknown' && denial.read?.era === 'legacy') return hasId ? 200 : 400;
  return status;
}

function isModern(denial: Denial, { http }: Refused): boolean {
  return denial.read?.era === 'modern' || (singleHeader(http.headers, 'mcp-protocol-version') ?? '') >= MODERN;
}

function challengeFor(denial: Denial, { http, resource }: Refused): string | null {
  const { status, oauth, message } = reasonRow(denial.reason);
  if (resource === null || (status !== 401 && oauth === null)) return null;
  return challengeHeader(
    {
      error: oauth,
      scopes: denial.requiredScopes ?? (status === 401 ? resource.challengeScopes : []),
      description: denial.message ?? message,
    },
    chooseName(resource, http),
  );
}

/** A JSON-RPC error; the id stands there as it was sent, and not at all where none was read. */
function errorBody(denial: Denial, { decisionId, operation }: Refused): string {
  const row = reasonRow(denial.reason);
  const error = {
    code: row.code,
    message: denial.message ?? row.message,
    data: {
      reason: denial.reason,
      decision_id: decisionId,
      ...(denial.requiredScopes === undefined ? {} : { required_scopes: denial.requiredScopes }),
      ...denial.data,
    },
  };
  const id = operation?.id ?? denial.read?.id;
  return `{"jsonrpc":"2.0",${id == null ? '' : `"id":${id},`}"error":${JSON.stringify(error)}}`;
}

/** Lets a browser-based client of an accepted origin read the answer. */
export function corsHeaders(http: HttpFacts, allowedOrigins: ReadonlySet<string>): HeaderLine[] {
  const origin = singleHeader(http.headers, 'origin');
  if (!origin || !allowedOrigins.has(origin)) return [];
  return [
    ['access-control-allow-origin', origin],
    ['access-control-expose-headers', EXPOSED_HEADERS],
    ['vary', 'Origin'],
  ];
}

/** The documents that need no token: protected resource metadata and CORS preflights. Null: something else is asked. */
export function publicAnswer(http: HttpFacts, resources: Resources, allowedOrigins: ReadonlySet<string>): PublicAnswer | null {
  const described = resources.byMetadataPath.get(http.path);
  if (described !== undefined) return metadataAnswer(http, described);
  const resource = resources.byPath.get(http.path);
  if (resource === undefined || http.method !== 'OPTIONS') return null;
  const cors = corsHeaders(http, allowedOrigins);
  if (cors.length === 0) return null;
  return {
    reason: 'preflight_answered',
    resource,
    response: { status: 204, headers: [...cors, ...preflightHeaders(ALLOWED_METHODS)], body: '' },
  };
}

function metadataAnswer(http: HttpFacts, resource: Resource): PublicAnswer | null {
  const anyOrigin: HeaderLine = ['access-control-allow-origin', '*'];
  switch (http.method) {
    case 'OPTIONS':
      return {
        reason: 'preflight_answered',
        resource,
        response: { status: 204, headers: [anyOrigin, ...preflightHeaders('GET, HEAD, OPTIONS')], body: '' },
      };
    case 'GET':
    case 'HEAD': {
      const body = JSON.stringify(resourceMetadata(resource, chooseName(resource, http)));
      const headers: HeaderLine[] = [JSON_TYPE, anyOrigin, ['cache-control', 'max-age=300']];
      return {
        reason: 'metadata_served',
        resource,
        response: { status: 200, headers, body },
      };
    }
    default:
      return null;
  }
}

export function preflightHeaders(methods: string): HeaderLine[] {
  return [
    ['access-control-allow-methods', methods],
    [
      'access-control-allow-headers',
      'Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version, Mcp-Method, Mcp-Name',
    ],
    ['access-control-max-age', '600'],
  ];
}
