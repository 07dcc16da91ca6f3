/**
 * The HTTP client for everything we fetch ourselves: keys, metadata, token exchange, introspection, and the backends.
 * Pooled, with a deadline, a cap on what is read and no redirects: an address comes from the configuration or from an
 * issuer's own metadata, never from a token or a request.
 */
import { Readable } from 'node:stream';
import { Agent, request } from 'undici';

export interface HttpClientOptions {
  readonly timeoutMs: number;
  readonly maxResponseBytes: number;
  /** PEM of the authorities to trust in place of the system's. */
  readonly ca?: string;
}

/** The part of `fetch` that we and oauth4webapi use. Rejects on a network error, the deadline or an oversized answer. */
export type Fetch = (url: string | URL, init?: FetchInit) => Promise<Response>;

interface FetchInit {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** One request to an MCP server. */
export interface StreamInit {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpClient {
  readonly fetch: Fetch;
  /** An answer as it comes, with its headers. Only these have a deadline: who reads the body bounds it, by `signal` too. */
  readonly stream: (url: string, init: StreamInit) => Promise<Response>;
  /** Cuts streams off: they may have no end of their own. */
  readonly close: () => Promise<void>;
}

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const agent = new Agent({
    connect: { timeout: options.timeoutMs, ...(options.ca === undefined ? {} : { ca: options.ca }) },
    headersTimeout: options.timeoutMs,
    bodyTimeout: options.timeoutMs,
    maxResponseSize: options.maxResponseBytes,
  });

  async function fetch(url: string | URL, init: FetchInit = {}): Promise<Response> {
    const deadline = AbortSignal.timeout(options.timeoutMs);
    const { statusCode, headers, body } = await request(url, {
      dispatcher: agent,
      method: (init.method ?? 'GET') as 'GET',
      headers: { accept: 'application/json', ...init.headers },
      ...(init.body === undefined || init.body === null ? {} : { body: String(init.body) }),
      signal: init.signal ? AbortSignal.any([init.signal, deadline]) : deadline,
    });
    const text = await body.text();
    const contentType = headers['content-type'];
    return new Response(NULL_BODY_STATUS.has(statusCode) ? null : text, {
      status: statusCode,
      ...(typeof contentType === 'string' ? { headers: { 'content-type': contentType } } : {}),
    });
  }

  const streams = new Agent({
    connect: { timeout: options.timeoutMs, ...(options.ca === undefined ? {} : { ca: options.ca }) },
    headersTimeout: options.timeoutMs,
    bodyTimeout: 0,
  });

  async function stream(url: string, { method, headers, body, signal }: StreamInit): Promise<Response> {
    const answer = await request(url, {
      dispatcher: streams,
      method: method as 'POST',
      headers: { ...headers },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
    const lines = Object.entries(answer.headers).flatMap(([name, value]) =>
      [value ?? []].flat().map((one): [string, string] => [name, one]),
    );
    if (NULL_BODY_STATUS.has(answer.statusCode)) await answer.body.dump();
    const content = NULL_BODY_STATUS.has(answer.statusCode) ? null : (Readable.toWeb(answer.body) as ReadableStream<Uint8Array>);
    return new Response(content, { status: answer.statusCode, headers: lines });
  }

  const close = async (): Promise<void> => {
    // A stream may have no end of its own.
    await Promise.all([agent.close(), streams.destroy()]);
  };
  return { fetch, stream, close };
}

const NULL_BODY_STATUS = new Set([204, 205, 304]);

/** https, or plain http to this very host: everything else would let the network choose our keys. */
export function isSafeUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const url = new URL(value);
  if (url.username !== '' || url.password !== '' || url.hash !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}
