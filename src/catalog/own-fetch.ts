/**
 * Requests that the gateway makes to a backend in its own name. Each is read, judged by the policy in force, written to
 * the decision log and given a delegation token of its own, as one that came through Envoy; nobody is asked before that.
 */
import { type Asked, type AuthorizePorts, authorize, denied, newFacts, type Verdict } from '../check/authorize.ts';
import type { OwnToken } from '../delegation/own-token.ts';
import { type Headers as HeaderLines, type HttpFacts, noFacts } from '../http.ts';
import type { HttpClient } from '../http-client.ts';
import type { JsonLimits } from '../mcp/json.ts';
import { readOperation } from '../mcp/operation.ts';
import type { Reason } from '../reasons.ts';
import type { Resource } from '../resource.ts';
import { deny, type Result } from '../result.ts';
import type { McpFetch } from './connection.ts';

/** The request was not made, and why. */
export class OwnRequestRefused extends Error {
  override name = 'OwnRequestRefused';
  readonly reason: Reason;
  constructor(reason: Reason, cause: unknown) {
    super(`the gateway may not ask: ${reason}`, { cause });
    this.reason = reason;
  }
}

/** One configuration, as far as a request of our own needs it. */
export interface OwnWorld {
  readonly ports: AuthorizePorts & { readonly limits: JsonLimits };
  readonly resource: Resource;
  /** Who the gateway is at this resource, and on what token. */
  readonly identify: (resource: Resource) => Promise<Result<OwnToken>>;
  readonly stream: HttpClient['stream'];
}

export interface OwnFetchOptions {
  /** What is in force now; null where the backend is none of ours any more. */
  readonly world: () => OwnWorld | null;
  /** Throws where the line cannot be written: then nothing is asked. */
  readonly observe: (verdict: Verdict, elapsedMs: number) => void;
  readonly timeoutMs: number;
}

export function createOwnFetch({ world, observe, timeoutMs }: OwnFetchOptions): McpFetch {
  return async function ownFetch(url, init = {}): Promise<Response> {
    const now = world();
    if (now?.resource.url == null || String(url) !== new URL(now.resource.url).href)
      throw new OwnRequestRefused('resource_unknown', null);
    const http = toFacts(init, now);
    const start = now.ports.clock();
    const verdict = await judge(http, now, now.ports.now() + timeoutMs);
    try {
      observe(verdict, now.ports.clock() - start);
    } catch (cause) {
      throw new OwnRequestRefused('overloaded', cause);
    }
    if (verdict.answer.kind !== 'forward') throw new OwnRequestRefused(verdict.reason, verdict.cause);
    const { set, remove } = verdict.answer;
    const headers: Record<string, string> = Object.fromEntries(
      [...http.headers].map(([name, lines]) => [name, lines.join(', ')]),
    );
    for (const name of remove) delete headers[name];
    for (const [name, value] of set) headers[name] = value;
    return now.stream(now.resource.url, {
      method: http.method,
      headers,
      body: typeof init.body === 'string' ? init.body : undefined,
      signal: init.signal ?? undefined,
    });
  };
}

async function judge(http: HttpFacts, { ports, resource, identify }: OwnWorld, deadlineMs: number): Promise<Verdict> {
  const facts = newFacts(http, ports.newId());
  facts.resource = resource;
  const operation = readOperation(http, ports.limits);
  if (!operation.ok) return denied(operation.denial, facts, ports);
  facts.operation = operation.value;
  const own = await identify(resource).catch((cause: unknown): Result<never> => deny({ reason: 'internal_error', cause }));
  if (!own.ok) return denied(own.denial, facts, ports);
  const asked: Asked = { http, resource, operation: operation.value, ...own.value };
  return authorize(asked, ports, deadlineMs, facts);
}

function toFacts({ method = 'GET', headers, body }: RequestInit, { ports, resource }: OwnWorld): HttpFacts {
  const bytes = Buffer.from(typeof body === 'string' ? body : '');
  const lines: HeaderLines = new Map([...new Headers(headers)].map(([name, value]) => [name, [value]]));
  return {
    ...noFacts(),
    requestId: ports.newId(),
    method,
    path: resource.path,
    host: resource.publicNames[0]?.host ?? '',
    headers: lines,
    body: bytes,
    statedSize: bytes.byteLength,
    sourceIp: '127.0.0.1',
    timeMs: ports.now(),
  };
}
