/** A configuration made live for one command: its policy is loaded once, and nothing that a running sidecar persists is touched. */
import { openBundleReader } from '../bundle/in-thread.ts';
import type { Store } from '../bundle/store.ts';
import type { Config } from '../config.ts';
import { planPolicy, planStore } from './policy/loading.ts';
import { createPolicySource } from './policy/source.ts';
import type { PolicyPlan } from './policy/state.ts';
import { buildLive, type Live, type Observers } from './ports.ts';

/** Rejects where there is no policy. */
export async function buildLiveAlone(config: Config, observers: Observers, previous: Live | null = null): Promise<Live> {
  const reader = openBundleReader();
  const source = createPolicySource({
    plan: (await planPolicy(config, 'policy', reader)) as PolicyPlan,
    isFree: false,
    store: onlyReading(planStore(config, 'policy')),
    observer: {
      onLooked: () => {},
      onActivated: () => {},
      onRefused: ({ code, message }) => observers.log('error', 'the bundle was refused', { code, problem: message }),
      onState: () => {},
      onPersistFailure: () => {},
    },
    now: Date.now,
    random: Math.random,
    // Once is enough.
    later: () => () => {},
  });
  const stop = async (): Promise<void> => {
    await Promise.all([reader.close(), source.stop()]);
  };
  try {
    await source.open();
    await source.start();
    if (source.policy() === null) throw new Error(source.state().lastError?.message ?? 'there is no policy');
    const live = await buildLive(config, observers, previous, { policy: source.policy });
    const close = async (): Promise<void> => {
      await Promise.all([live.close(), stop()]);
    };
    return { ...live, close };
  } catch (cause) {
    await stop();
    throw cause;
  }
}

function onlyReading(store: Store | null): Store | null {
  return store && { ...store, writeBundle: async () => {}, writePast: async () => {} };
}
