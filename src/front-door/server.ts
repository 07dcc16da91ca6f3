/**
 * The sidecar's own HTTP listener, to which Envoy sends what no backend can answer alone. Only a request that carries a visit,
 * sealed by the Check that let it pass, is served; any other is 403. Meant to be reached by Envoy alone.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { corsHeaders, type Response, refusal } from '../check/answer.ts';
import type { Headers } from '../http.ts';
import { type HttpListener, listenOn } from '../http-server.ts';
import { REASONS, type Reason } from '../reasons.ts';
import type { Denial } from '../verdict.ts';
import { type Handlers, handlerKey, VisitRefused } from './handler.ts';
import { createReply, type HttpReply } from './reply.ts';
import { BackendRefused, type FrontDoorPorts, type Visit } from './visit.ts';

export interface FrontDoorOptions {
  /** `host:port` or `unix:///path`. */
  readonly listen: string;
  readonly maxBodyBytes: number;
  /** How long answers under way may take once it closes; streams end at once. */
  readonly closeWithinMs: number;
  /** The visit that a request carries, or what it is answered instead. */
  readonly openVisit: (headers: Headers, body: Uint8Array) => Visit | Response;
  /** Those of the configuration in force, for each visit anew. */
  readonly ports: () => FrontDoorPorts;
  readonly allowedOrigins: () => ReadonlySet<string>;
  readonly handlers: Handlers;
  /** Told of each visit that is refused here, though its Check let it pass. */
  readonly onRefused: (visit: Visit, denial: Denial) => void;
  /** Told of what a handler threw that is no refusal. */
  readonly onFailure: (visit: Visit, cause: unknown) => void;
}

const REFUSED: Response = plain(403, 'only what the gateway let pass is served here');
const TOO_LARGE: Response = plain(413, 'the body is too large');
const FAILED: Response = plain(500, 'internal error');

/**
 * Connections are kept: a backend that closes them while Envoy sends makes Envoy answer 503. Headers are large, for one of
 * them holds the sealed visit.
 */
const LIMITS = {
  requestTimeout: 10_000,
  headersTimeout: 5000,
  keepAliveTimeout: 0,
  maxHeaderSize: 131_072,
  connectionsCheckingInterval: 1000,
};
/** Each stream holds one. */
const MAX_CONNECTIONS = 16_384;

export async function serveFrontDoor(options: FrontDoorOptions): Promise<HttpListener> {
  const live = new Set<HttpReply>();
  let closing = false;
  const server = createServer(LIMITS, (request, response) => {
    // A connection that has become idle would hold up the end.
    response.once('close', () => closing && setImmediate(() => server.closeIdleConnections()));
    serve(request, response, options, live).catch(() => send(response, FAILED));
  });
  server.maxConnections = MAX_CONNECTIONS;
  const url = await listenOn(server, options.listen);
  return {
    url,
    close: () =>
      new Promise((resolve) => {
        closing = true;
        const timer = setTimeout(() => server.closeAllConnections(), options.closeWithinMs);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        for (const reply of live) reply.endStream();
        server.closeIdleConnections();
      }),
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  options: FrontDoorOptions,
  live: Set<HttpReply>,
): Promise<void> {
  const body = await readBody(request, options.maxBodyBytes);
  if (body === null) return send(response, TOO_LARGE);
  const visit = options.openVisit(headersOf(request), body);
  if (!('decisionId' in visit)) return send(response, visit);
  // A visit is good for what was asked, and for nothing else.
  if (visit.http.method !== request.method) return send(response, REFUSED);

  const cors = corsHeaders(visit.http, options.allowedOrigins());
  const reply = createReply(response, Object.fromEntries(cors));
  live.add(reply);
  response.once('close', () => live.delete(reply));
  try {
    await answer(visit, reply, options);
  } catch (cause) {
    refuse(visit, reply, cause, options);
  }
}

async function answer(visit: Visit, reply: HttpReply, { handlers, ports }: FrontDoorOptions): Promise<void> {
  const handler = handlers.get(handlerKey(visit.operation));
  if (handler === undefined) throw new VisitRefused({ reason: 'method_unknown', read: { era: visit.operation.era } });
  await handler(visit, ports(), reply);
  if (!reply.isBegun() && !reply.signal.aborted) throw new Error('nothing was answered');
}

/** Once an answer has begun, its stream is told of the error and ends. */
function refuse(visit: Visit, reply: HttpReply, cause: unknown, options: FrontDoorOptions): void {
  const { onRefused, onFailure, allowedOrigins } = options;
  if (reply.signal.aborted) {
    reply.abandon();
    return;
  }
  const denial = toDenial(cause);
  if (denial.reason === 'internal_error') onFailure(visit, cause);
  onRefused(visit, denial);
  const { http, decisionId, resource, operation } = visit;
  const answered = refusal(denial, { http, decisionId, resource, operation, allowedOrigins: allowedOrigins() });
  reply.fail(answered, operation.id !== null);
}

function toDenial(cause: unknown): Denial {
  if (cause instanceof VisitRefused) return cause.denial;
  if (cause instanceof BackendRefused && Object.hasOwn(REASONS, cause.reason)) return { reason: cause.reason as Reason };
  return { reason: 'internal_error', cause };
}

/** Null: more than is read. */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<Uint8Array | null> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return null;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function headersOf({ headersDistinct }: IncomingMessage): Headers {
  return new Map(Object.entries(headersDistinct).map(([name, values]) => [name, values ?? []]));
}

export function plain(status: number, error: string): Response {
  return { status, headers: [['content-type', 'application/json']], body: JSON.stringify({ error }) };
}

function send(response: ServerResponse, { status, headers, body }: Response): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // What is left of a body that was too large is not read.
  const close = response.req.complete ? {} : { connection: 'close' };
  response.writeHead(status, { ...Object.fromEntries(headers), ...close, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
