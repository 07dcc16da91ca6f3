/** A Unix socket is a file, and stays behind when its process is killed: the next one could not listen there. */
import { rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';

const SCHEME = 'unix://';

/** The path in `unix:///path`, or null for another address. */
export function socketPath(listen: string): string | null {
  return listen.startsWith(SCHEME) ? listen.slice(SCHEME.length) : null;
}

/** Removes a socket that nobody listens on. Anything else stays, and listening there fails as it should. */
export async function removeStaleSocket(listen: string): Promise<void> {
  const path = socketPath(listen);
  if (path === null) return;
  const found = await stat(path).catch(() => null);
  if (found?.isSocket() && !(await isAnswered(path))) await rm(path, { force: true });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}
