/** One process to a directory: a file names the process that uses it, and counts as long as that process lives. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const LOCK = 'lock';

/** Resolves to how to give it up; rejects where another process has it. */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const file = join(directory, LOCK);
  const mine = `${process.pid}\n`;
  const take = (): Promise<void> => writeFile(file, mine, { flag: 'wx', mode: 0o640 });
  await take().catch(async (cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EEXIST') throw cause;
    const holder = Number(await readFile(file, 'utf8'));
    if (held.has(file) || isAlive(holder)) throw new Error(`${directory} is used by process ${holder}`);
    await rm(file, { force: true });
    await take();
  });
  held.add(file);
  return async () => {
    held.delete(file);
    await rm(file, { force: true });
  };
}

/** Of this very process. */
const held = new Set<string>();

/** Our own number in a file that we did not write is of a process before us: in a container all of them are number 1. */
function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM';
  }
}
