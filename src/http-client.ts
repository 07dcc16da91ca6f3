/**
 * The HTTP client for everything we fetch ourselves: keys, metadata, token exchange, introspection, the backends, and the
 * services that hand out policy and take logs.
 * Pooled, with a deadline, a cap on what is read and no redirects: an address comes from the configuration or from an
 * issuer's own metadata, never from a token or a request. Services follow redirects by themselves, and know proxies.
 */
import { Readable } from 'node:stream';
import { Agent, EnvHttpProxyAgent, request } from 'undici';

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

/** Who we trust, and as whom we connect: PEM, all of it. */
export interface ConnectionOptions {
  readonly connectTimeoutMs: number;
  readonly ca?: string | undefined;
  readonly clientCertificate?: { readonly cert: string; readonly key: string } | undefined;
}

export interface BytesInit {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string | undefined;
  /** For all of it, to the last byte of the answer. */
  readonly timeoutMs: number;
  /** Of the answer's body. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

export interface BytesAnswer {
  readonly status: number;
  /** Names in lower case; of a name that is there several times, the values joined by commas. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Whole answers as bytes, whatever they are. As they came: nothing is unpacked, no redirect is followed. */
export interface BytesClient {
  readonly send: (url: string, init: BytesInit) => Promise<BytesAnswer>;
  /** @param cut ends what is under way too. */
  readonly close: (cut: boolean) => Promise<void>;
}

/** There was more of it than may be read. */
export class AnswerTooLarge extends Error {
  override name = 'AnswerTooLarge';
  /** What came before the body, for whom it is enough. */
  readonly answer: BytesAnswer;
  constructor(maxBytes: number, answer: BytesAnswer) {
    super(`the answer is larger than ${maxBytes} bytes`);
    this.answer = answer;
  }
}

export function createBytesClient({ connectTimeoutMs, ca, clientCertificate }: ConnectionOptions): BytesClient {
  const tls = { ...(ca === undefined ? {} : { ca }), ...clientCertificate };
  const agent = openAgent(connectTimeoutMs, tls, process.env);

  async function send(url: string, { method, headers, body, timeoutMs, maxBytes, signal }: BytesInit): Promise<BytesAnswer> {
    const deadline = AbortSignal.timeout(timeoutMs);
    const answer = await request(url, {
      dispatcher: agent,
      method: method as 'GET',
      headers: { ...headers },
      ...(body === undefined ? {} : { body }),
      // The deadline is for all of it; a server that is asked to wait may be silent all the while.
      headersTimeout: 0,
      bodyTimeout: 0,
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
    });
    const lines = Object.entries(answer.headers).map(([name, value]) => [name, [value ?? []].flat().join(', ')]);
    const head = { status: answer.statusCode, headers: Object.fromEntries(lines), body: new Uint8Array() };
    const bytes = await readAll(answer.body, maxBytes);
    if (bytes === null) throw new AnswerTooLarge(maxBytes, head);
    return { ...head, body: bytes };
  }

  return { send, close: (cut) => (cut ? agent.destroy() : agent.close()) };
}

/** Through the proxy that the environment names, as other programs take it; to this very host never. */
function openAgent(timeout: number, tls: Tls, env: NodeJS.ProcessEnv): EnvHttpProxyAgent {
  const noProxy = `${env.no_proxy ?? env.NO_PROXY ?? ''},localhost,127.0.0.1,::1`;
  const httpProxy = readProxy(env.http_proxy ?? env.HTTP_PROXY);
  const httpsProxy = readProxy(env.https_proxy ?? env.HTTPS_PROXY);
  return new EnvHttpProxyAgent({
    ...{ httpProxy, httpsProxy, noProxy },
    connect: { timeout, ...tls },
    // What is shown to the server behind the proxy, and not to the proxy.
    requestTls: { timeout, ...tls },
    proxyTls: { timeout },
  });
}

type Tls = Readonly<Partial<Record<'ca' | 'cert' | 'key', string>>>;

/** Often written without its scheme. Its password is in no error. */
function readProxy(value = ''): string {
  const address = value === '' || /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  if (address !== '' && !URL.canParse(address)) throw new Error('HTTP_PROXY or HTTPS_PROXY is no URL');
  return address;
}

/** Null where there is more of it. Leaving the loop early ends the connection. */
async function readAll(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.byteLength;
    if (length > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const NULL_BODY_STATUS = new Set([204, 205, 304]);

/** https, or plain http to this very host: everything else would let the network choose our keys. */
export function isSafeUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const url = new URL(value);
  if (url.username !== '' || url.password !== '' || url.hash !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
}

/** http or https, to anybody: for whoever said aloud that the network between may read along. */
export function isWebUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, username, password, hash } = new URL(value);
  return /^https?:$/.test(protocol) && username === '' && password === '' && hash === '';
}

/** Names and addresses of this very host. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}
