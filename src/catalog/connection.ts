/**
 * A connection to a backend by the official client, with an end to what it may cost: bytes read, requests made, time.
 * The client gets the `fetch` of whoever owns the connection; it never authenticates by itself.
 */

import {
  Client,
  ProtocolError,
  ProtocolErrorCode,
  SdkError,
  SdkErrorCode,
  SdkHttpError,
  StreamableHTTPClientTransport,
  UnsupportedProtocolVersionError,
} from '@modelcontextprotocol/client';
import { type Era, MODERN } from '../mcp/revisions.ts';
import { VERSION } from '../version.ts';
import { CatalogInvalid } from './reading.ts';

export type McpFetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

/** Where a backend is, and how it is asked. */
export interface Reach {
  readonly url: string;
  readonly fetch: McpFetch;
}

export interface Bounds {
  readonly maxBytes: number;
  readonly maxRequests: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface Connection {
  readonly era: Era;
  readonly client: Client;
  /** Ends the session where there is one, and the connection. */
  readonly close: () => Promise<void>;
}

/** @param listens a legacy connection also opens its GET stream. */
export async function connect(
  reach: Reach,
  era: Era,
  bounds: Bounds,
  { listens, onStreamEnd = () => {} }: { readonly listens: boolean; readonly onStreamEnd?: () => void },
): Promise<Connection> {
  const transport = new StreamableHTTPClientTransport(new URL(reach.url), {
    fetch: boundedFetch(reach, bounds, listens, onStreamEnd),
    // Reopened by us, with a back-off of our own.
    reconnectionOptions: {
      maxRetries: 0,
      initialReconnectionDelay: 1000,
      maxReconnectionDelay: 1000,
      reconnectionDelayGrowFactor: 1,
    },
  });
  const client = new Client(
    { name: 'mcp-ext-authz', version: VERSION },
    { versionNegotiation: { mode: era === 'modern' ? { pin: MODERN } : 'legacy' } },
  );
  // What goes wrong is told to whoever waits for an answer.
  client.onerror = () => {};
  await client.connect(transport, { timeout: bounds.timeoutMs, signal: bounds.signal });
  const close = async (): Promise<void> => {
    await transport.terminateSession().catch(() => {});
    await client.close().catch(() => {});
  };
  return { era, client, close };
}

/** Null where the backend says that it does not speak this era; rejects where it says nothing that can be understood. */
export async function tryConnect(reach: Reach, era: Era, bounds: Bounds): Promise<Connection | null> {
  try {
    return await connect(reach, era, bounds, { listens: false });
  } catch (cause) {
    if (era === 'modern' ? isNotModern(cause) : isNotLegacy(cause)) return null;
    throw cause;
  }
}

function isNotModern(cause: unknown): boolean {
  if (cause instanceof UnsupportedProtocolVersionError) return true;
  const isVerdict =
    cause instanceof SdkError && !(cause instanceof SdkHttpError) && cause.code === SdkErrorCode.EraNegotiationFailed;
  return isVerdict && cause.cause === undefined;
}

function isNotLegacy(cause: unknown): boolean {
  if (cause instanceof SdkHttpError) return [400, 404, 405, 406, 415].includes(cause.data.status ?? 0);
  return cause instanceof ProtocolError;
}

export function isMethodUnknown(cause: unknown): boolean {
  return cause instanceof ProtocolError && cause.code === ProtocolErrorCode.MethodNotFound;
}

function boundedFetch({ url, fetch }: Reach, bounds: Bounds, listens: boolean, onStreamEnd: () => void): McpFetch {
  const { href } = new URL(url);
  let requests = 0;
  let bytes = 0;
  const count = (size: number): void => {
    bytes += size;
    if (bytes > bounds.maxBytes) throw new CatalogInvalid(`more than ${bounds.maxBytes} bytes were answered`);
  };

  const watched = (response: Response, onEnd: () => void): Response => {
    if (response.body !== null) {
      const body = response.body.pipeThrough(counted(count, onEnd));
      return new Response(body, { status: response.status, headers: response.headers });
    }
    onEnd();
    return response;
  };

  return async (target, init = {}) => {
    if (String(target) !== href) throw new CatalogInvalid('the backend sends us elsewhere');
    const isStream = init.method === 'GET';
    if (isStream && !listens) return new Response(null, { status: 405 });
    requests++;
    if (requests > bounds.maxRequests) throw new CatalogInvalid(`more than ${bounds.maxRequests} requests would be needed`);
    const response = await fetch(target, { ...init, signal: signalFor(init, bounds) });
    return watched(response, isStream ? onStreamEnd : () => {});
  };
}

/** The end of a session is told to the backend also when everything else was given up. */
function signalFor({ method, signal }: RequestInit, bounds: Bounds): AbortSignal {
  if (method === 'DELETE') return AbortSignal.timeout(Math.min(bounds.timeoutMs, MAX_GOODBYE_MS));
  return signal ? AbortSignal.any([signal, bounds.signal]) : bounds.signal;
}

const MAX_GOODBYE_MS = 1000;

/** Errors of what it reads go through a pipe by themselves; its end and its being given up are told. */
function counted(count: (size: number) => void, onEnd: () => void): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => {
      count(chunk.byteLength);
      controller.enqueue(chunk);
    },
    flush: onEnd,
  });
}
