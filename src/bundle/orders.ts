/**
 * A person's word to a sidecar that runs, or is about to: a small file in its persistDirectory, which it carries out and
 * deletes. Whoever may write there may also replace what is persisted; there is no other way in.
 */
import { randomUUID } from 'node:crypto';
import { watch } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from './store.ts';

export type Order =
  | { readonly order: 'accept'; readonly revision: string }
  /** With a revision only where the candidate has it: it may have become another one since a person looked. */
  | { readonly order: 'promote'; readonly revision?: string };

const ORDER_FILE = /^order-[0-9a-f-]{36}\.json$/;
const MAX_CHARACTERS = 1000;

/** The file, which is gone once the order was carried out. */
export async function writeOrder(directory: string, order: Order): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const name = `order-${randomUUID()}.json`;
  await writeWhole(directory, name, JSON.stringify(order));
  return join(directory, name);
}

export interface OrderWatch {
  /** Looks now; resolves when what is there has been carried out. */
  readonly look: () => Promise<void>;
  /** Resolves when nothing is under way. */
  readonly stop: () => Promise<void>;
}

export interface OrderWatchOptions {
  readonly directory: string;
  /** What it rejects with goes to `onFailure`; the order is deleted all the same. */
  readonly carryOut: (order: Order) => Promise<void>;
  readonly onFailure: (cause: unknown) => void;
}

/** Where a system tells of changes it is at once, and within a second in any case. */
const LOOK_MS = 1000;

export function watchOrders({ directory, carryOut, onFailure }: OrderWatchOptions): OrderWatch {
  let last: Promise<void> = Promise.resolve();
  let stopped = false;
  const timer = setInterval(look, LOOK_MS).unref();
  const notices = watchFolder(directory, look);

  function look(): Promise<void> {
    last = last.then(() => (stopped ? undefined : takeOrders()));
    return last;
  }

  async function takeOrders(): Promise<void> {
    const names = await readdir(directory).catch(() => []);
    for (const name of names.filter((one) => ORDER_FILE.test(one))) {
      const file = join(directory, name);
      try {
        await carryOut(readOrder(await readFile(file, 'utf8')));
      } catch (cause) {
        onFailure(cause);
      }
      await rm(file, { force: true }).catch(onFailure);
    }
  }

  return {
    look,
    stop: async () => {
      stopped = true;
      clearInterval(timer);
      notices?.close();
      await last;
    },
  };
}

/** Null where the system cannot tell; the timer looks anyway. */
function watchFolder(directory: string, look: () => void) {
  try {
    const watcher = watch(directory, { persistent: false }, look);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}

function readOrder(text: string): Order {
  const order = (text.length > MAX_CHARACTERS ? null : JSON.parse(text)) as Record<string, unknown> | null;
  const { order: what, revision } = order ?? {};
  if (what === 'promote' && revision === undefined) return { order: what };
  if ((what === 'promote' || what === 'accept') && typeof revision === 'string') return { order: what, revision };
  throw new Error('an order that nobody understands');
}
