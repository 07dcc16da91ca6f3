/** From a configuration to what a source of policy works by: where it looks, what it accepts, how it makes a policy of it. */
import { readFile } from 'node:fs/promises';
import type { BundleReader } from '../../bundle/in-thread.ts';
import { readVerificationKey, type Signing, type VerificationKey } from '../../bundle/signature.ts';
import { openStore, type Store } from '../../bundle/store.ts';
import { readSecret } from '../../client-authentication.ts';
import type { Config } from '../../config.ts';
import { OPA_DEFAULTS } from '../../opa/opa.ts';
import { loadPolicy } from '../../policy/policy.ts';
import { createService } from '../../services/service.ts';
import type { LoadArchive } from './slot.ts';
import type { PolicyPlan } from './state.ts';
import { openSupply, type SupplyService } from './supply.ts';

/** The policy in force, and the candidate beside it. */
export type SlotName = 'policy' | 'shadow';

/** Null where the configuration has no such slot. Rejects where a key cannot be read or used. */
export async function planPolicy(config: Config, slot: SlotName, reader: BundleReader): Promise<PolicyPlan | null> {
  const { policy, services, delegation } = config;
  const from = slot === 'policy' ? policy : policy.shadow;
  if (from === undefined) return null;
  const { bundleFile, bundle, polling } = from;
  const settings = services.find(({ name }) => name === bundle?.service);
  const signing = await readSigning(policy.keys, from.signing);
  const { maxBundleBytes, maxMemoryBytes, maxDataMemoryBytes, timeoutMs, workers, compileTimeoutMs } = policy;
  const memory = { maxMemoryBytes, maxDataMemoryBytes };
  const limits = { maxBundleBytes, ...memory, timeoutMs, workers, compileTimeoutMs, ttl: delegation.maxTtlSeconds };
  return {
    fingerprint: JSON.stringify([bundleFile, bundle, polling, settings, signing, limits]),
    openSupply: () => openSupply({ bundleFile, bundle, polling, maxBundleBytes }, openServer(settings)),
    load: createLoader(config, signing, reader, slot === 'policy' ? workers : 1),
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

/** @param workers one is enough for a candidate, which is asked one question at a time. */
function createLoader(
  { policy, delegation }: Config,
  signing: Signing | null,
  reader: BundleReader,
  workers: number,
): LoadArchive {
  const compile = { ...OPA_DEFAULTS, timeoutMs: policy.compileTimeoutMs };
  const rules = { maxBytes: policy.maxBundleBytes, signing, compile };
  return async (archive, admit) => {
    const bundle = await reader.read(archive, rules);
    admit(bundle.revision, bundle.contentDigest);
    const { maxMemoryBytes, maxDataMemoryBytes, timeoutMs } = policy;
    const limits = { maxMemoryBytes, maxDataMemoryBytes, timeoutMs, workers, maxTtlSeconds: delegation.maxTtlSeconds };
    return loadPolicy(bundle, { ...limits, now: Date.now });
  };
}

/** Null where bundles need no signature. The one key that `keyId` names is all there is. */
async function readSigning(keys: Config['policy']['keys'], rules: Config['policy']['signing']): Promise<Signing | null> {
  if (rules === undefined) return null;
  const { keyId, scope, excludeFiles } = rules;
  return {
    keys: await Promise.all(keys.filter(({ id }) => id === keyId).map(readKey)),
    keyId,
    ...(scope === undefined ? {} : { scope }),
    excludeFiles,
  };
}

async function readKey({ id, algorithm, publicKeyFile, secret }: Config['policy']['keys'][number]): Promise<VerificationKey> {
  const key = secret === undefined ? await readFile(publicKeyFile as string, 'utf8') : await readSecret(secret);
  const read: VerificationKey = { id, algorithm, key };
  try {
    readVerificationKey(read);
  } catch (cause) {
    throw new Error(`policy.keys: ${id} cannot be used: ${(cause as Error).message}`, { cause });
  }
  return read;
}
