/** A real HTTP server on loopback that does what a test tells it to, also what no honest server would. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Answer = (response: ServerResponse, seen: Seen) => void | Promise<void>;

export interface Peer {
  readonly url: string;
  /** Every request so far. */
  readonly seen: readonly Seen[];
  /** Resolves when there were that many requests. */
  readonly asked: (count: number) => Promise<void>;
  /** How the next requests are answered. */
  answer: Answer;
}

/** Stops with the test, whatever hangs then. */
export async function startPeer(t: TestContext, answer: Answer): Promise<Peer> {
  const seen: Seen[] = [];
  const waiting = new Set<() => void>();
  const server = createServer(async (incoming, response) => {
    const request = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      headers: incoming.headers,
      body: await text(incoming),
    };
    seen.push(request);
    for (const wake of waiting) wake();
    await peer.answer(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const asked = (count: number) =>
    new Promise<void>((resolve) => {
      const wake = (): void => {
        if (seen.length < count) return;
        waiting.delete(wake);
        resolve();
      };
      waiting.add(wake);
      wake();
    });
  const peer: Peer = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, asked, answer };
  return peer;
}

/** A JSON answer. */
export function json(value: unknown, status = 200): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
}

/** No answer at all. */
export const silence: Answer = () => {};
