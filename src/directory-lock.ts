/**
 * One process to a directory. What holds it is a lock of the kernel's on a file in it, taken by way of SQLite: it ends with its
 * process, however that ends and in whichever container, so nothing is left over that somebody would have to judge and remove.
 */
import { join } from 'node:path';

const FILE = 'lock';
/** Of two that begin at once each can be in the other's way for a moment. */
const PATIENCE_MS = 250;
const BUSY = 5;
/** Whoever forgets how to give a lock up keeps it: a file that the garbage collector closes is locked no longer. */
const held = new Set<object>();

/** Resolves to how to give it up; rejects where another process has it. */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  // Only who locks needs a Node that has it.
  const { DatabaseSync } = await import('node:sqlite');
  // The file is opened in no other way: whichever descriptor of it a process closes first takes all its locks away.
  const file = new DatabaseSync(join(directory, FILE), { open: false, timeout: PATIENCE_MS });
  try {
    file.open();
    // Nothing is ever written, so there is nothing to be rolled back.
    file.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE');
  } catch (cause) {
    if (file.isOpen) file.close();
    if ((cause as { readonly errcode?: number }).errcode === BUSY) throw new Error(`${directory} is used by another process`);
    throw new Error(`${directory} cannot be locked`, { cause });
  }
  held.add(file);
  return async () => {
    held.delete(file);
    if (file.isOpen) file.close();
  };
}
