/**
 * Policy of the running sidecar: the source of what is in force and that of the candidate beside it, tied to log and metrics
 * and to the word of a person.
 */
import { mkdir } from 'node:fs/promises';
import { openBundleReader } from '../../bundle/in-thread.ts';
import { type Order, watchOrders } from '../../bundle/orders.ts';
import type { Config } from '../../config.ts';
import { lockDirectory } from '../../directory-lock.ts';
import type { Policy } from '../../policy/policy.ts';
import { describeCause } from '../../telemetry/redact.ts';
import type { Observers } from '../ports.ts';
import { planPolicy, planStore, type SlotName } from './loading.ts';
import { createPolicyReport } from './report.ts';
import { createPolicySource } from './source.ts';
import type { PolicyPlan, PolicySource, PolicyState } from './state.ts';

export interface RunningPolicy {
  /** What is in force; null while nothing is. */
  readonly policy: () => Policy | null;
  readonly state: () => PolicyState;
  /** What is beside it; null while there is nothing. */
  readonly candidate: () => Policy | null;
  /** Null where the configuration has no candidate. */
  readonly candidateState: () => PolicyState | null;
  /**
   * Puts the candidate's bundle in force, under the rules of what is in force. Rejects where there is none, it must not be, or it
   * has another revision than the one that is meant.
   */
  readonly promote: (revision?: string) => Promise<void>;
  /** Gives how to put the policy section of another configuration in force; rejects where it cannot be. */
  readonly prepare: (next: Config) => Promise<() => void>;
  /** Called from now on whenever something else is in force or beside it, or another configuration says what. */
  readonly watch: (onChanged: () => void) => void;
  readonly stop: () => Promise<void>;
}

/** Rejects where there can be no policy; one that only has to come is waited for no longer than a moment. */
export async function startPolicy(config: Config, observers: Observers): Promise<RunningPolicy> {
  const { log } = observers;
  const { persistDirectory } = config.policy;
  if (persistDirectory !== undefined) await mkdir(persistDirectory, { recursive: true, mode: 0o700 });
  const unlock = persistDirectory === undefined ? null : await claim(persistDirectory);
  let onChanged = (): void => {};
  const openSlot = (from: Config, slot: SlotName) => openPlace(from, slot, observers, () => onChanged());
  const live = await openSlot(config, 'policy');
  let beside = await openSlot(config, 'shadow');
  let leaving: Promise<unknown> = Promise.resolve();
  const orders = persistDirectory === undefined ? null : watchOrders({ directory: persistDirectory, carryOut, onFailure });

  async function carryOut(order: Order): Promise<void> {
    log('warn', 'a person ordered', { ...order });
    await (order.order === 'accept' ? live?.source.accept(order.revision) : promote(order.revision));
  }

  function onFailure(cause: unknown): void {
    log('error', 'an order could not be carried out', { cause: describeCause(cause) });
  }

  async function promote(revision?: string): Promise<void> {
    const archive = beside?.source.archive() ?? null;
    if (archive === null) throw new Error('there is no candidate to be promoted');
    const candidate = beside?.source.policy()?.revision;
    if (revision !== undefined && revision !== candidate)
      throw new Error(`the candidate is ${candidate}, and not ${revision}: it is not promoted`);
    await live?.source.adopt(archive);
  }

  /** A candidate that cannot be had is told of, and keeps nothing from starting. */
  async function startBeside(): Promise<void> {
    await beside?.source.start().catch(() => {});
  }

  async function prepare(next: Config): Promise<() => void> {
    const swap = await (live as Place).prepare(next);
    const nextBeside = await prepareBeside(next).catch((cause: unknown) => {
      log('error', 'the candidate stays as it was', { cause: describeCause(cause) });
      return () => {};
    });
    return () => {
      swap();
      nextBeside();
      onChanged();
    };
  }

  async function prepareBeside(next: Config): Promise<() => void> {
    const before = beside;
    if (next.policy.shadow !== undefined && before !== null) {
      return before.prepare(next);
    }
    const fresh = await openSlot(next, 'shadow');
    return () => {
      beside = fresh;
      leaving = Promise.allSettled([leaving, before?.stop()]);
      void startBeside();
    };
  }

  async function stop(): Promise<void> {
    await orders?.stop();
    await Promise.all([live?.stop(), beside?.stop(), leaving]);
    await unlock?.();
  }

  try {
    await live?.source.open();
    // What is ordered before a start counts for it.
    await orders?.look();
    await live?.source.start();
  } catch (cause) {
    await stop();
    throw cause;
  }
  void startBeside();
  return {
    policy: () => live?.source.policy() ?? null,
    state: () => (live as Place).source.state(),
    candidate: () => beside?.source.policy() ?? null,
    candidateState: () => beside?.source.state() ?? null,
    watch: (listener) => {
      onChanged = listener;
    },
    ...{ promote, prepare, stop },
  };
}

/** It is of this process alone: another that writes there could take policy back. */
async function claim(directory: string): Promise<() => Promise<void>> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return lockDirectory(directory);
}

interface Place {
  readonly source: PolicySource;
  readonly prepare: (next: Config) => Promise<() => void>;
  readonly stop: () => Promise<void>;
}

/** Null where the configuration has no such slot. */
async function openPlace(config: Config, slot: SlotName, observers: Observers, onActivated: () => void): Promise<Place | null> {
  const { persistDirectory } = config.policy;
  const reader = openBundleReader(persistDirectory === undefined ? {} : { compiledDirectory: persistDirectory });
  const plan = await planPolicy(config, slot, reader);
  if (plan === null) return null;
  const report = createPolicyReport(slot, observers);
  const source = createPolicySource({
    plan,
    // What was never in force need not be remembered, and may go back.
    store: slot === 'policy' ? planStore(config, slot) : null,
    isFree: slot === 'shadow',
    observer: {
      ...report,
      onActivated: (...told) => {
        report.onActivated(...told);
        onActivated();
      },
    },
    now: Date.now,
    random: Math.random,
    later: (ms, work) => {
      const timer = setTimeout(work, ms);
      return () => clearTimeout(timer);
    },
  });
  return {
    source,
    prepare: async (next) => source.prepare((await planPolicy(next, slot, reader)) as PolicyPlan),
    stop: async () => {
      report.end();
      await Promise.all([reader.close(), source.stop()]);
    },
  };
}
