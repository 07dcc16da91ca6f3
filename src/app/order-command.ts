/** A person's word to the sidecar of a configuration, from the command line: given, waited for, and what came of it. */
import { access, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type Order, writeOrder } from '../bundle/orders.ts';
import { openStore, type Past } from '../bundle/store.ts';
import { readConfigFile } from './config-file.ts';

export interface Carried {
  /** Whether a sidecar has taken the order. One that is started later takes an `accept`. */
  readonly taken: boolean;
  readonly before: Past;
  readonly after: Past;
}

const WAIT_MS = 10_000;
const LOOK_MS = 50;

/** Rejects where the configuration cannot be read or keeps nothing on disk. */
export async function giveOrder(configFile: string, order: Order): Promise<Carried> {
  const { policy } = await readConfigFile(configFile);
  if (policy.persistDirectory === undefined) {
    throw new Error(
      'policy.persistDirectory is not set: there is no place to leave an order; without it a restart forgets what was in force',
    );
  }
  const store = openStore(policy.persistDirectory, 'policy', policy.maxBundleBytes);
  const before = await store.readPast();
  const file = await writeOrder(policy.persistDirectory, order);
  const taken = await waitUntilGone(file);
  // What is in force when a sidecar starts another day is not what was meant.
  if (!taken && order.order === 'promote') await rm(file, { force: true });
  return { taken, before, after: await store.readPast() };
}

async function waitUntilGone(file: string): Promise<boolean> {
  const end = performance.now() + WAIT_MS;
  for (;;) {
    const isThere = await access(file).then(
      () => true,
      () => false,
    );
    if (!isThere) return true;
    if (performance.now() > end) return false;
    await delay(LOOK_MS);
  }
}
