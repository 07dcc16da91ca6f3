/**
 * One process to a directory. It is held by a Unix socket in it: what listens there lives, whatever its number is and in whichever
 * container, and what does not is left over.
 */
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';

const LOCK = 'lock.sock';

/** Resolves to how to give it up; rejects where another process has it, or the path is too long for a socket. */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, LOCK);
  const server = await listen(path).catch(async (cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EADDRINUSE') throw new Error(`${directory} cannot be locked`, { cause });
    if (await isAnswered(path)) throw new Error(`${directory} is used by another process`);
    await rm(path, { force: true });
    return listen(path);
  });
  server.unref();
  return () => new Promise((resolve) => server.close(() => resolve()));
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject).listen(path, () => resolve(server));
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (isAlive: boolean): void => {
      socket.destroy();
      resolve(isAlive);
    };
    socket.once('connect', () => settle(true)).once('error', () => settle(false));
  });
}
