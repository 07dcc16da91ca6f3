/**
 * A bundle server: one archive, by ETag as nginx serves a file, without any validator as the simplest do, or with long polling
 * as OPA's documentation of its bundle protocol has it.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

export type Manner = 'etag' | 'plain' | 'long-polling';

export interface BundleServer {
  readonly url: string;
  /** Every request so far. */
  readonly requests: { readonly headers: IncomingMessage['headers']; status: number }[];
  manner: Manner;
  /** Says no with this status; null says yes to all. */
  authorize: (request: IncomingMessage) => number | null;
  /** Null: nothing there. */
  readonly publish: (archive: Uint8Array | null) => void;
  /** Closes the port and every connection. */
  readonly die: () => Promise<void>;
  /** On the port from before. */
  readonly rise: () => Promise<void>;
}

export async function startBundleServer(manner: Manner, tls: ServerOptions | null = null): Promise<BundleServer> {
  let archive: Uint8Array | null = null;
  let etag = '';
  let port = 0;
  let server: Server | null = null;
  let waiting: (() => void)[] = [];
  const sockets = new Set<Socket>();

  async function rise(): Promise<void> {
    const listener = tls === null ? createServer() : createTlsServer(tls);
    listener.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    listener.on('request', (request, response) => {
      const seen = { headers: request.headers, status: 0 };
      bundles.requests.push(seen);
      const answer = (): void => {
        const refused = bundles.authorize(request);
        const isKnown = bundles.manner !== 'plain' && request.headers['if-none-match'] === etag;
        seen.status = refused ?? (archive === null ? 404 : isKnown ? 304 : 200);
        const type = bundles.manner === 'long-polling' ? 'application/vnd.openpolicyagent.bundles' : 'application/gzip';
        response.writeHead(seen.status, { 'content-type': type, ...(bundles.manner === 'plain' ? {} : { etag }) });
        response.end(seen.status === 200 ? archive : '');
      };
      const wait = /;wait=(\d+)/.exec(String(request.headers.prefer))?.[1];
      if (bundles.manner !== 'long-polling' || wait === undefined || request.headers['if-none-match'] !== etag) return answer();
      const timer = setTimeout(answer, Number(wait) * 1000);
      response.on('close', () => clearTimeout(timer));
      waiting.push(() => {
        clearTimeout(timer);
        answer();
      });
    });
    await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve));
    port = (listener.address() as AddressInfo).port;
    server = listener;
  }

  const bundles: BundleServer = {
    get url() {
      return tls === null ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
    },
    requests: [],
    manner,
    authorize: () => null,
    publish: (next) => {
      archive = next;
      etag = next === null ? '' : `"${createHash('sha256').update(next).digest('hex').slice(0, 16)}"`;
      const answered = waiting;
      waiting = [];
      for (const answer of answered) answer();
    },
    die: async () => {
      const closed = new Promise((resolve) => server?.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      waiting = [];
    },
    rise,
  };
  await rise();
  return bundles;
}
