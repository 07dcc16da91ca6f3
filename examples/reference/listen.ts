/**
 * Starts and stops a Node HTTP server on the loopback interface, where the reference peers live.
 */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Listening = {
  readonly port: number;
  /** Stops accepting, cuts what is still open (SSE streams never end by themselves) and waits for the port to be free. */
  readonly stop: () => Promise<void>;
};

/** Listens on 127.0.0.1; port 0 takes any free port. */
export async function listenOnLoopback(server: Server, port: number): Promise<Listening> {
  // Who ends an idle connection may end it as Envoy sends the next request on it, which then fails: Envoy is to end it.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });

  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { port: (server.address() as AddressInfo).port, stop };
}
