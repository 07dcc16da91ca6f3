/** A free port, for what must be told its port before it starts. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Below where systems take the ports they hand out by themselves, so that nobody gets it by chance meanwhile. */
const FROM = 15_000;
const TO = 32_000;

/** What this process got before is free until its owner starts, and yet taken. */
const given = new Set<number>();

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = randomInt(FROM, TO);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port found between ${FROM} and ${TO}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
      .once('error', () => resolve(false))
      .listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
