/** What whoever keeps the process running is told, and the gauges that are read when somebody looks. */
import type { Readiness } from '../telemetry/admin.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { VERSION } from '../version.ts';
import type { PolicyState } from './policy/state.ts';
import type { Live } from './ports.ts';
import type { ShadowState } from './shadow-service.ts';

export interface Standing {
  readonly live: Live;
  readonly policy: PolicyState;
  readonly shadow: ShadowState | null;
  readonly draining: boolean;
  readonly logFull: boolean;
}

/** With a policy in force, keys to verify tokens with, and room for lines. That a newer policy failed makes nobody unready. */
export function describeReadiness({ live: { issuers, config }, policy, shadow, draining, logFull }: Standing): Readiness {
  const keys = Object.fromEntries([...issuers].map(([issuer, { keySet }]) => [issuer, keySet.held()?.size ?? 0]));
  const canVerify = Object.values(keys).some((held) => held > 0) || config.issuers.some(({ introspection }) => introspection);
  const ready = !draining && !logFull && canVerify && policy.revision !== null;
  const beside = shadow === null ? {} : { shadow };
  return { ready, draining, version: VERSION, policy: describePolicy(policy), ...beside, keys, decisionLog: { full: logFull } };
}

function describePolicy({ revision, digest, activatedAt, source, lastAttemptAt, lastError }: PolicyState) {
  return {
    revision,
    digest,
    activated_at: timeOf(activatedAt),
    source,
    last_attempt_at: timeOf(lastAttemptAt),
    last_error: lastError && { code: lastError.code, at: timeOf(lastError.at) },
  };
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

export function collectGauges(metrics: Metrics, { issuers, verifier, config }: Live): void {
  metrics.cacheEntries.set({ cache: 'tokens' }, verifier.cached());
  metrics.jwksKeys.reset();
  metrics.jwksFetchedAt.reset();
  for (const [issuer, { keySet }] of issuers) {
    const held = keySet.held();
    // One that is asked about its tokens may have no keys at all.
    const isAsked = config.issuers.some((one) => one.issuer === issuer && one.introspection);
    if (held !== null || !isAsked) metrics.jwksKeys.set({ issuer }, held?.size ?? 0);
    if (held !== null) metrics.jwksFetchedAt.set({ issuer }, held.at / 1000);
  }
}
