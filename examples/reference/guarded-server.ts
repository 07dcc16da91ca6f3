/**
 * The HTTP half that both reference backends share: read the request, judge its delegation token, record what arrived
 * and only then hand the message to the MCP SDK. The SDK gets the very value that was judged, so no second parser can
 * read the body differently.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { decodeJwt } from 'jose';
import {
  createGuard,
  type DelegationClaims,
  type Guard,
  type GuardOptions,
  isRefusal,
  neededScope,
  type Refusal,
} from './delegation-guard.ts';
import { type Listening, listenOnLoopback } from './listen.ts';

/** What a backend was asked, allowed or not; JSON-able, without a usable token. */
export type RequestRecord = {
  readonly time: string;
  readonly backend: string;
  readonly method: string;
  readonly path: string;
  /** As received, repeated headers joined by a comma; the authorization header without its signature. */
  readonly headers: Readonly<Record<string, string>>;
  /** Claims of the bearer token, whether or not they can be trusted; null when there is no JWT. */
  readonly delegation: Readonly<Record<string, unknown>> | null;
  /** Whether the guard accepted the token. */
  readonly verified: boolean;
  /** Why the request went no further. */
  readonly refusal?: string;
  /** The raw body. */
  readonly body: string;
};

/** Whom a backend trusts (see delegation-guard.ts), where it listens and who hears of its requests. */
export type BackendOptions = Omit<GuardOptions, 'backend' | 'audience'> & {
  /** Default: `https://<backend>.internal/mcp`. */
  readonly audience?: string;
  /** Called for every request, before it is answered. */
  readonly record?: (entry: RequestRecord) => void;
  /** Default: any free port. */
  readonly port?: number;
};

export type RunningBackend = Listening & { readonly url: string };

/** Serves one message whose token was accepted. `message` is undefined for GET and DELETE. */
export type McpHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  message: unknown,
  claims: DelegationClaims,
) => Promise<void>;

const path = '/mcp';
const maxBodyBytes = 1024 * 1024;

type Answer = { status: number; reason: string; headers?: Record<string, string>; body: unknown };
type Judgement = { verified: true; claims: DelegationClaims; message: unknown } | { verified: boolean; answer: Answer };

/** Listens on loopback and lets only guarded requests through to `handle`. */
export async function startGuardedServer(
  backend: string,
  { record = () => {}, port = 0, ...trust }: BackendOptions,
  handle: McpHandler,
): Promise<RunningBackend> {
  const guard = createGuard({ audience: `https://${backend}.internal/mcp`, ...trust, backend });
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await readBody(request);
    const judgement = await judge(backend, request, body, guard);
    record(createRecord(backend, request, body ?? '', judgement));
    if ('answer' in judgement) return send(response, judgement.answer);
    await handle(request, response, judgement.message, judgement.claims);
  };

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      // A client that leaves in the middle of its body is no failure of ours.
      if (request.complete) console.error(`${backend}: request failed`, error);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  const listening = await listenOnLoopback(server, port);
  return { ...listening, url: `http://127.0.0.1:${listening.port}${path}` };
}

async function judge(backend: string, request: IncomingMessage, body: string | undefined, guard: Guard): Promise<Judgement> {
  if (body === undefined) return { verified: false, answer: rpcError(413, -32600, 'The body is too large.') };
  const message = parse(body);
  const outcome = await guard(header(request, 'authorization'), neededScope(backend, message));
  if (isRefusal(outcome)) return { verified: false, answer: challenge(outcome) };
  const answer = findFault(request, message);
  return answer ? { verified: true, answer } : { verified: true, claims: outcome, message };
}

/** Why a request with a good token still does not reach the SDK. */
function findFault(request: IncomingMessage, message: unknown): Answer | undefined {
  if (request.url?.split('?')[0] !== path) return rpcError(404, -32600, 'No such path.');
  // A batch would run several operations on one token, and every revision since 2025-06-18 has none.
  if (Array.isArray(message)) return rpcError(400, -32600, 'Batches are not accepted.');
  if (request.method === 'POST' && message === undefined) return rpcError(400, -32700, 'The body is not JSON.');
  return undefined;
}

function challenge({ status, error, description, challenge }: Refusal): Answer {
  const body = { error: error ?? 'invalid_request', error_description: description };
  return { status, reason: description, headers: { 'WWW-Authenticate': challenge }, body };
}

function rpcError(status: number, code: number, reason: string): Answer {
  return { status, reason, body: { jsonrpc: '2.0', id: null, error: { code, message: reason } } };
}

function createRecord(backend: string, request: IncomingMessage, body: string, judgement: Judgement): RequestRecord {
  return {
    time: new Date().toISOString(),
    backend,
    method: request.method ?? '',
    path: request.url ?? '',
    headers: recordedHeaders(request),
    delegation: decodeBearer(header(request, 'authorization')),
    verified: judgement.verified,
    ...('answer' in judgement && { refusal: judgement.answer.reason }),
    body,
  };
}

/** All values of a header: two authorization headers must not look like one good one. */
function header(request: IncomingMessage, name: string): string | undefined {
  return request.headersDistinct[name]?.join(', ');
}

function recordedHeaders(request: IncomingMessage): Record<string, string> {
  const received = Object.keys(request.headersDistinct).map((name) => [name, header(request, name) ?? ''] as const);
  return Object.fromEntries(received.map(([name, value]) => [name, name === 'authorization' ? withoutSignature(value) : value]));
}

function withoutSignature(authorization: string): string {
  const jwt = /^(Bearer [\w-]+\.[\w-]+\.)[\w-]+$/i.exec(authorization);
  return jwt ? `${jwt[1]}[signature removed]` : '[not a JWT, removed]';
}

function decodeBearer(authorization: string | undefined): Record<string, unknown> | null {
  try {
    return decodeJwt(authorization?.replace(/^Bearer /i, '') ?? '');
  } catch {
    return null;
  }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** The body as text, or undefined when it is too large. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= maxBodyBytes) chunks.push(chunk);
  }
  return size <= maxBodyBytes ? Buffer.concat(chunks).toString() : undefined;
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}
