/** Envoy's CheckRequest to HttpFacts. Nothing is judged here; a request without HTTP attributes is null. */
import type { Metadata } from '@grpc/grpc-js';
import type { HeaderMap } from '../gen/envoy/config/core/v3/HeaderMap.ts';
import type { AttributeContext } from '../gen/envoy/service/auth/v3/AttributeContext.ts';
import type { CheckRequest } from '../gen/envoy/service/auth/v3/CheckRequest.ts';
import type { Headers, HttpFacts } from '../http.ts';

const PARTIAL_BODY = 'x-envoy-auth-partial-body';
const NO_BYTES = new Uint8Array(0);
/** ECMA-262, section 21.4.1.1. */
const MAX_DATE_MS = 8.64e15;

export function toHttpFacts({ attributes }: CheckRequest, metadata: Metadata, nowMs: number): HttpFacts | null {
  const http = attributes?.request?.http;
  if (attributes === undefined || !http?.method || !http.path) return null;
  // A body as text has lost what was not UTF-8: without its bytes it cannot be judged.
  if (http.body) return null;
  const headers = http.header_map ? rawHeaders(http.header_map) : joinedHeaders(http.headers ?? {});
  const [path, query] = splitPath(http.path);
  const size = http.size ?? 0;
  return {
    requestId: headers.get('x-request-id')?.[0] ?? http.id ?? '',
    method: http.method,
    path,
    query,
    host: http.host ?? '',
    headers,
    body: http.raw_body ?? NO_BYTES,
    statedSize: size > 0 ? size : null,
    partialBody: headers.get(PARTIAL_BODY)?.some((value) => value !== 'false') ?? false,
    sourceIp: attributes.source?.address?.socket_address?.address ?? '',
    sourcePrincipal: attributes.source?.principal || null,
    timeMs: requestTime(attributes) ?? nowMs,
    context: attributes.context_extensions ?? {},
    traceId: traceId(metadata),
  };
}

function splitPath(target: string): [path: string, query: string] {
  const at = target.indexOf('?');
  return at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)];
}

/** One entry per header line (`encode_raw_headers`); bytes beyond ASCII become one character each. */
function rawHeaders({ headers = [] }: HeaderMap): Headers {
  const lines = new Map<string, string[]>();
  for (const { key = '', value, raw_value: raw } of headers) {
    if (key.startsWith(':')) continue;
    const text = raw && raw.length > 0 ? raw.toString('latin1') : (value ?? '');
    const name = key.toLowerCase();
    const values = lines.get(name);
    if (values === undefined) lines.set(name, [text]);
    else values.push(text);
  }
  return lines;
}

function joinedHeaders(headers: Readonly<Record<string, string>>): Headers {
  return new Map(
    Object.entries(headers)
      .filter(([name]) => !name.startsWith(':'))
      .map(([name, value]) => [name.toLowerCase(), [value]]),
  );
}

/** Null also for a time that no Date can hold. */
function requestTime({ request }: AttributeContext): number | null {
  const seconds = request?.time?.seconds;
  if (seconds === undefined) return null;
  const ms = Number(seconds) * 1000 + Math.trunc((request?.time?.nanos ?? 0) / 1e6);
  return Math.abs(ms) <= MAX_DATE_MS ? ms : null;
}

/** The trace that Envoy's own span of this Check belongs to (W3C Trace Context). */
function traceId(metadata: Metadata): string | null {
  const parent = metadata.get('traceparent')[0];
  return typeof parent === 'string' ? (/^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(parent)?.[1] ?? null) : null;
}
