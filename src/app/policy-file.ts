/** The policy that a configuration names, ready to be asked. */
import { readFile } from 'node:fs/promises';
import type { Config } from '../config.ts';
import { readBundle } from '../policy/bundle.ts';
import { PolicyRefused } from '../policy/engine.ts';
import { loadPolicy, type Policy } from '../policy/policy.ts';
import { describeCause } from '../telemetry/redact.ts';

/** Rejects with PolicyRefused. */
export async function openPolicy({ policy, delegation }: Config): Promise<Policy> {
  const archive = await readFile(policy.bundleFile).catch((cause: unknown) => {
    throw new PolicyRefused('download_failed', `the bundle cannot be read: ${describeCause(cause)}`);
  });
  const bundle = await readBundle(archive, { maxBytes: policy.maxBundleBytes });
  return loadPolicy(bundle, {
    workers: policy.workers,
    timeoutMs: policy.timeoutMs,
    maxMemoryBytes: policy.maxMemoryBytes,
    maxTtlSeconds: delegation.maxTtlSeconds,
    now: Date.now,
  });
}
