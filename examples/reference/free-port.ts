/** A free port, for what must be told its port before it starts. */
import { createServer } from 'node:net';

/** A port that was free a moment ago: Envoy and the URLs that name it have to know it before it starts. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
