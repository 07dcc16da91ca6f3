/** An HTTP service that answers as it is told, and keeps what it took. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export interface Taken {
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly size: number;
  readonly text: string;
}

export interface TestService {
  readonly url: string;
  readonly taken: Taken[];
  /** Every event of what was taken with success. */
  readonly events: () => any[];
  /** From now on. */
  readonly answer: (status: number, body?: string) => void;
  /** Keeps requests waiting until the next `answer`. */
  readonly hold: () => void;
  /** Resolves when this is true; it is asked after each request. */
  readonly until: (isSo: () => boolean) => Promise<void>;
  readonly close: () => Promise<void>;
}

export async function startService(port = 0): Promise<TestService> {
  const taken: Taken[] = [];
  const accepted: Taken[] = [];
  let status = 200;
  let body = '{}';
  let held: Promise<void> | null = null;
  let release = (): void => {};
  const watchers = new Set<() => void>();

  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    try {
      for await (const piece of request) pieces.push(piece as Buffer);
    } catch {
      return;
    }
    const packed = Buffer.concat(pieces);
    const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(packed).toString('utf8') : packed.toString('utf8');
    const one = { path: request.url ?? '', headers: request.headers, size: packed.length, text };
    taken.push(one);
    for (const look of watchers) look();
    await held;
    if (status < 300) accepted.push(one);
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    for (const look of watchers) look();
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken,
    events: () => accepted.flatMap(({ text }) => JSON.parse(text)),
    answer: (next, text = '{}') => {
      status = next;
      body = text;
      held = null;
      release();
    },
    hold: () => {
      held = new Promise((resolve) => {
        release = resolve;
      });
    },
    until: (isSo) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!isSo()) return;
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        look();
      }),
    close: async () => {
      release();
      server.closeAllConnections();
      server.close();
      await once(server, 'close').catch(() => {});
    },
  };
}
