/**
 * HTTP as bytes, over TLS to the Envoy of a deployment: HTTP/1.1 from hand-written lines, HTTP/2 from header lists. No
 * client library in between tidies up what a case gets wrong on purpose.
 */
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect as connectTls, type TLSSocket } from 'node:tls';

export type HeaderLine = readonly [name: string, value: string];

export interface WireRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly headers: readonly HeaderLine[];
  readonly body: Buffer | null;
  readonly until?: Until;
}

/** How much of an answer is waited for; of a stream that may never end, its head. */
export type Until = 'end' | 'head' | 'stream';

export interface WireAnswer {
  /** Null where the connection or the stream ended without an answer. */
  readonly status: number | null;
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly body: string;
}

export interface Wire {
  readonly http1: (request: WireRequest) => Promise<WireAnswer>;
  /** Bytes as they are; the answer to the first request in them. */
  readonly raw: (bytes: Buffer, until?: Until) => Promise<WireAnswer>;
  readonly http2: (request: WireRequest) => Promise<WireAnswer>;
  /** A connection of its own, to write to piece by piece. */
  readonly connect: () => Promise<TLSSocket>;
  readonly close: () => void;
}

export const NO_ANSWER: WireAnswer = { status: null, headers: new Map(), body: '' };
const TIMEOUT_MS = 30_000;
/** Headers that may be sent once are sent twice here, if a case says so. Node's types do not know the option yet. */
const LENIENT = { settings: { enablePush: false }, strictSingleValueFields: false };

export function openWire(port: number, ca: string): Wire {
  let session: ClientHttp2Session | null = null;

  const connect = (): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const socket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca, ALPNProtocols: ['http/1.1'] });
      socket.once('error', reject).once('secureConnect', () => resolve(socket.off('error', reject)));
    });

  async function raw(bytes: Buffer, until: Until = 'end'): Promise<WireAnswer> {
    const socket = await connect();
    try {
      const answer = readAnswer(socket, until);
      socket.write(bytes);
      return await answer;
    } finally {
      socket.destroy();
    }
  }

  async function http2Session(): Promise<ClientHttp2Session> {
    if (session !== null && !session.closed && !session.destroyed) return session;
    const opened = connectHttp2(`https://localhost:${port}`, { ca, ...LENIENT });
    opened.on('error', () => {});
    session = opened;
    return opened;
  }

  return {
    http1: (request) => raw(toBytes(request), request.until),
    raw,
    http2: async (request) => requestHttp2(await http2Session(), request),
    connect,
    close: () => session?.destroy(),
  };
}

/** An HTTP/1.1 request with its Content-Length, unless the headers frame it otherwise. */
export function toBytes({ method, path, authority, headers, body }: WireRequest): Buffer {
  const framed = headers.some(([name]) => ['content-length', 'transfer-encoding'].includes(name.toLowerCase()));
  const lines = [
    `${method} ${path} HTTP/1.1`,
    ...(headers.some(([name]) => name.toLowerCase() === 'host') ? [] : [`Host: ${authority}`]),
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(body === null || framed ? [] : [`Content-Length: ${body.length}`]),
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body ?? Buffer.alloc(0)]);
}

/** Reads one answer; informational ones are passed over. */
export function readAnswer(socket: TLSSocket, until: Until = 'end'): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const timer = setTimeout(() => reject(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    const done = (answer: WireAnswer) => {
      clearTimeout(timer);
      resolve(answer);
    };
    const look = (ended: boolean) => {
      const answer = parseAnswer(received, until, ended);
      if (answer !== null) done(answer);
      else if (ended) done(NO_ANSWER);
    };
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      look(false);
    });
    socket.on('error', () => look(true));
    socket.on('close', () => look(true));
  });
}

function parseAnswer(received: Buffer, until: Until, ended: boolean): WireAnswer | null {
  const end = received.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [statusLine = '', ...lines] = received.subarray(0, end).toString('latin1').split('\r\n');
  const status = Number(statusLine.split(' ')[1]);
  const rest = received.subarray(end + 4);
  if (status < 200) return parseAnswer(rest, until, ended);
  const headers = collect(
    lines.map((line): HeaderLine => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  );
  if (isEnough(until, headers) || status === 204 || status === 304) return { status, headers, body: '' };
  const length = headers.get('content-length')?.[0];
  if (length !== undefined) {
    return rest.length < Number(length) && !ended ? null : { status, headers, body: rest.toString('utf8', 0, Number(length)) };
  }
  if (headers.get('transfer-encoding')?.[0] === 'chunked') {
    const body = readChunks(rest);
    return body === null ? null : { status, headers, body: body.toString('utf8') };
  }
  return ended ? { status, headers, body: rest.toString('utf8') } : null;
}

function isEnough(until: Until, headers: ReadonlyMap<string, readonly string[]>): boolean {
  if (until !== 'stream') return until === 'head';
  return headers.get('content-type')?.[0]?.startsWith('text/event-stream') ?? false;
}

function readChunks(bytes: Buffer): Buffer | null {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return null;
    const size = Number.parseInt(bytes.toString('latin1', at, end), 16);
    if (bytes.length < end + 2 + size + 2) return null;
    if (size === 0) return Buffer.concat(chunks);
    chunks.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}

function collect(lines: readonly HeaderLine[]): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  for (const [name, value] of lines) {
    const key = name.toLowerCase();
    headers.set(key, [...(headers.get(key) ?? []), value]);
  }
  return headers;
}

/** Names that mean a connection; HTTP/2 has none of them (RFC 9113 section 8.2.2). */
const CONNECTION_HEADERS = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-connection', 'host']);

function requestHttp2(session: ClientHttp2Session, request: WireRequest): Promise<WireAnswer> {
  const { method, path, authority, headers, body, until = 'end' } = request;
  const lines: string[] = [':method', method, ':scheme', 'https', ':authority', authority, ':path', path];
  for (const [name, value] of headers) if (!CONNECTION_HEADERS.has(name.toLowerCase())) lines.push(name.toLowerCase(), value);
  return new Promise((resolve, reject) => {
    const stream = session.request(lines as never, { endStream: body === null });
    const timer = setTimeout(() => reject(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    let head: Omit<WireAnswer, 'body'> | null = null;
    const chunks: Buffer[] = [];
    const done = () => {
      clearTimeout(timer);
      resolve(head === null ? NO_ANSWER : { ...head, body: Buffer.concat(chunks).toString('utf8') });
    };
    stream.on('response', (received) => {
      const status = received[':status'] ?? null;
      head = { status, headers: collect(Object.entries(received).flatMap(([name, value]) => valuesOf(name, value))) };
      if (isEnough(until, head.headers)) {
        done();
        stream.close();
      }
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', done);
    stream.on('close', done);
    if (body !== null) stream.end(body);
  });
}

function valuesOf(name: string, value: string | string[] | number | undefined): HeaderLine[] {
  return [value ?? []].flat().map((one): HeaderLine => [name, String(one)]);
}
