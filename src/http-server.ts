/** A small HTTP listener for documents of ours: GET and HEAD on exact paths, everything else 404 or 405. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

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

/** @param listen `host:port` or `unix:///path`. */
export async function serveHttp(
  listen: string,
  page: (path: string, host: string) => Page | null | Promise<Page | null>,
): Promise<HttpListener> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5000, maxHeaderSize: 8192 }, (request, response) => {
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
      .catch(() => send({ status: 500, body: '{"error":"internal error"}' }));
  });
  server.maxConnections = 256;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if (listen.startsWith('unix://')) server.listen(listen.slice('unix://'.length), resolve);
    else
      server.listen(
        Number(listen.slice(listen.lastIndexOf(':') + 1)),
        listen.slice(0, listen.lastIndexOf(':')).replace(/^\[|\]$/g, ''),
        resolve,
      );
  });
  const { address, port, family } = (server.address() ?? {}) as AddressInfo;
  return {
    url: listen.startsWith('unix://') ? listen : `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
