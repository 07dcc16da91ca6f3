/** Policy of the running sidecar: its source, tied to log and metrics and to the word of a person. */
import { type Order, watchOrders } from '../bundle/orders.ts';
import type { Config } from '../config.ts';
import { describeCause } from '../telemetry/redact.ts';
import { planPolicy, planStore } from './policy-loading.ts';
import { createPolicyReport } from './policy-report.ts';
import { createPolicySource } from './policy-source.ts';
import type { PolicyPlan, PolicySource } from './policy-state.ts';
import type { Observers } from './ports.ts';

export interface RunningPolicy extends Pick<PolicySource, 'policy' | 'state' | 'stop'> {
  /** Gives how to put the policy section of another configuration in force; rejects where it cannot be. */
  readonly prepare: (next: Config) => Promise<() => void>;
}

export interface PolicyHooks {
  /** The archive of the candidate that is to take over; rejects where there is none. */
  readonly promoted?: () => Promise<Uint8Array>;
}

/** Rejects where there can be no policy; one that only has to come is waited for no longer than a moment. */
export async function startPolicy(config: Config, observers: Observers, { promoted }: PolicyHooks = {}): Promise<RunningPolicy> {
  const { log } = observers;
  const source = createPolicySource({
    plan: planPolicy(config, 'policy') as PolicyPlan,
    store: planStore(config, 'policy'),
    observer: createPolicyReport('policy', observers),
    now: Date.now,
    random: Math.random,
    later: (ms, work) => {
      const timer = setTimeout(work, ms);
      return () => clearTimeout(timer);
    },
  });

  async function carryOut(order: Order): Promise<void> {
    log('warn', 'a person ordered', { ...order });
    if (order.order === 'accept') return source.accept(order.revision);
    if (promoted === undefined) throw new Error('there is no candidate to be promoted');
    return source.adopt(await promoted());
  }

  const { persistDirectory } = config.policy;
  await source.open();
  const orders =
    persistDirectory === undefined
      ? null
      : watchOrders({
          directory: persistDirectory,
          carryOut,
          onFailure: (cause) => log('error', 'an order could not be carried out', { cause: describeCause(cause) }),
        });
  const stop = async (): Promise<void> => {
    await orders?.stop();
    await source.stop();
  };
  try {
    // What is ordered before a start counts for it.
    await orders?.look();
    await source.start();
  } catch (cause) {
    await stop();
    throw cause;
  }
  return {
    policy: source.policy,
    state: source.state,
    prepare: (next) => source.prepare(planPolicy(next, 'policy') as PolicyPlan),
    stop,
  };
}
