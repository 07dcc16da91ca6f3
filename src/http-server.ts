/** A small HTTP listener for documents of ours: GET and HEAD on exact paths, everything else 404 or 405. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { removeStaleSocket, socketPath } from './socket-file.ts';

export interface Page {
  readonly status?: number;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface HttpListener {
  /** `http://host:port`, or `unix:///path`. */
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** Slow clients are cut off at the second, not at the next half minute. */
const LIMITS = { requestTimeout: 10_000, headersTimeout: 5000, maxHeaderSize: 8192, connectionsCheckingInterval: 1000 };

/** @param listen `host:port` or `unix:///path`. */
export async function serveHttp(
  listen: string,
  page: (path: string, host: string) => Page | null | Promise<Page | null>,
): Promise<HttpListener> {
  const server = createServer(LIMITS, (request, response) => {
    const send = ({ status = 200, type = 'application/json', headers = {}, body }: Page): void => {
      response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), ...headers });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    request.resume();
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      send({ status: 405, headers: { allow: 'GET, HEAD' }, body: '{"error":"method not allowed"}' });
      return;
    }
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    Promise.resolve()
      .then(() => page(path, request.headers.host ?? ''))
      .then((found) => send(found ?? { status: 404, body: '{"error":"not found"}' }))
      .catch(() => send({ status: 500, body: '{"error":"internal error"}' }))
      .catch(() => response.destroy());
  });
  server.maxConnections = 256;
  const url = await listenOn(server, listen);
  return {
    url,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Begins to listen; the address as `http://host:port` or `unix:///path`. */
export async function listenOn(server: Server, listen: string): Promise<string> {
  const path = socketPath(listen);
  await removeStaleSocket(listen);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if (path !== null) server.listen(path, resolve);
    else
      server.listen(
        Number(listen.slice(listen.lastIndexOf(':') + 1)),
        listen.slice(0, listen.lastIndexOf(':')).replace(/^\[|\]$/g, ''),
        resolve,
      );
  });
  // Errors of single connections, such as no file descriptor left; without a listener they would end the process.
  server.on('error', () => {});
  const { address, port, family } = (server.address() ?? {}) as AddressInfo;
  return path !== null ? listen : `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
