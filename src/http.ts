/**
 * One HTTP request as plain data: what the rest of the code knows of it.
 * `ext-authz/request.ts` makes it from Envoy's CheckRequest; nothing right of it sees a protobuf.
 */

/** Header lines by lower-case name, in the order they came. A name sent twice has two values. */
export type Headers = ReadonlyMap<string, readonly string[]>;

export interface HttpFacts {
  /** Envoy's request id (`x-request-id`), for joining logs; not trusted. */
  readonly requestId: string;
  readonly method: string;
  /** The path alone, as Envoy normalised it; never with a query. */
  readonly path: string;
  /** What follows `?`, or the empty string. */
  readonly query: string;
  readonly host: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** The body's length as Envoy states it, or null where it states none. */
  readonly statedSize: number | null;
  /** Envoy cut the body short (`x-envoy-auth-partial-body`). */
  readonly partialBody: boolean;
  readonly sourceIp: string;
  /** Identity of the downstream TLS peer, e.g. a SPIFFE id; null without mTLS. */
  readonly sourcePrincipal: string | null;
  /** When Envoy received the request, in epoch milliseconds. */
  readonly timeMs: number;
  /** `context_extensions` of the route, set by whoever runs Envoy. */
  readonly context: Readonly<Record<string, string>>;
  /** W3C trace id of the Check itself, or null. */
  readonly traceId: string | null;
}

/** The one value of a header that may be sent once: undefined if absent, null if sent more than once. */
export function singleHeader(headers: Headers, name: string): string | undefined | null {
  const values = headers.get(name);
  if (values === undefined) return undefined;
  return values.length === 1 ? (values[0] as string).trim() : null;
}

/** A request of which nothing is known. */
export function noFacts(): HttpFacts {
  return {
    requestId: '',
    method: '',
    path: '',
    query: '',
    host: '',
    headers: new Map(),
    body: new Uint8Array(0),
    statedSize: null,
    partialBody: false,
    sourceIp: '',
    sourcePrincipal: null,
    timeMs: Date.now(),
    context: {},
    traceId: null,
  };
}

export type HeaderLine = readonly [name: string, value: string];
