/** From a configuration to what a source of policy works by: where it looks, what it accepts, how it makes a policy of it. */
import { PolicyRefused } from '../bundle/refusal.ts';
import { openStore, type Store } from '../bundle/store.ts';
import type { Config } from '../config.ts';
import { PolicyRefused as EngineRefused } from '../policy/engine.ts';
import { loadPolicy } from '../policy/policy.ts';
import { createService } from '../services/service.ts';
import type { LoadArchive } from './policy-slot.ts';
import type { PolicyPlan } from './policy-state.ts';
import { openSupply, type SupplyService } from './policy-supply.ts';

export type SlotName = 'policy' | 'shadow';

/** The plan for one slot; null where the configuration has none. */
export function planPolicy(config: Config, slot: SlotName): PolicyPlan | null {
  const { policy, services, delegation } = config;
  const from = slot === 'policy' ? policy : policy.shadow;
  if (from === undefined) return null;
  const { bundleFile, bundle, polling, signing } = from;
  const settings = services.find(({ name }) => name === bundle?.service);
  const { maxBundleBytes } = policy;
  return {
    // All that it depends on. Keys and certificates are in files, which are read again by whoever uses them.
    fingerprint: JSON.stringify([bundleFile, bundle, polling, signing, settings, policy, delegation.maxTtlSeconds]),
    openSupply: () => openSupply({ bundleFile, bundle, polling, maxBundleBytes }, openServer(settings)),
    load: createLoader(config, signing),
    polling,
  };
}

/** Null where nothing is to outlive the process. */
export function planStore({ policy: { persistDirectory, maxBundleBytes } }: Config, slot: SlotName): Store | null {
  return persistDirectory === undefined ? null : openStore(persistDirectory, slot, maxBundleBytes);
}

function openServer(settings: Config['services'][number] | undefined): SupplyService | null {
  if (settings === undefined) return null;
  return { service: createService(settings), url: settings.url, timeoutMs: settings.timeoutMs };
}

function createLoader({ policy, delegation }: Config, signing: Config['policy']['signing']): LoadArchive {
  return async (archive, admit) => {
    if (signing !== undefined) throw new PolicyRefused('signature_missing', 'signatures cannot be verified yet');
    const { maxBundleBytes, maxMemoryBytes } = policy;
    const { maxTtlSeconds } = delegation;
    try {
      const loaded = await loadPolicy({ archive, maxBundleBytes, maxMemoryBytes, maxTtlSeconds, now: Date.now });
      admit(loaded.revision);
      return loaded;
    } catch (cause) {
      throw cause instanceof EngineRefused ? new PolicyRefused('archive_invalid', cause.message, { cause }) : cause;
    }
  };
}
