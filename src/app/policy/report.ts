/** What becomes of bundles, for metrics and log. */
import { BUNDLE_REFUSALS, PolicyRefused } from '../../bundle/refusal.ts';
import { describeCause } from '../../telemetry/redact.ts';
import type { Observers } from '../ports.ts';
import type { SlotName } from './loading.ts';
import type { PolicyObserver } from './state.ts';

export function createPolicyReport(bundle: SlotName, { metrics, log }: Observers): PolicyObserver {
  const isLive = bundle === 'policy';
  // A counter that is born at 1 is invisible to increase().
  for (const outcome of ['activated', 'refused']) metrics.bundleLoads.inc({ bundle, outcome }, 0);
  for (const outcome of ['changed', 'unchanged', 'failed']) metrics.bundleDownloads.inc({ bundle, outcome }, 0);
  for (const reason of Object.keys(BUNDLE_REFUSALS)) metrics.bundleRefusals.inc({ bundle, reason }, 0);
  metrics.bundleFailing.set({ bundle }, 0);
  /** A server that is down is told of once, and once that it is back. */
  let lastTold = '';

  return {
    onLooked: (outcome) => metrics.bundleDownloads.inc({ bundle, outcome }),
    onActivated: ({ policy: { revision }, digest }, source) => {
      metrics.bundleLoads.inc({ bundle, outcome: 'activated' });
      if (isLive) {
        metrics.bundleInfo.reset();
        metrics.bundleInfo.set({ revision }, 1);
        metrics.bundleActivatedAt.setToCurrentTime();
      }
      log('info', isLive ? 'a policy is in force' : 'a candidate is beside the policy in force', {
        bundle,
        revision,
        digest,
        source,
      });
    },
    onRefused: ({ code, message }, cause) => {
      if (code !== 'download_failed') metrics.bundleLoads.inc({ bundle, outcome: 'refused' });
      metrics.bundleRefusals.inc({ bundle, reason: code });
      const { digest = null, revision = null } = cause instanceof PolicyRefused ? cause : {};
      const told = JSON.stringify([code, message, digest]);
      if (told === lastTold) return;
      lastTold = told;
      const archive = { ...(digest === null ? {} : { digest }), ...(revision === null ? {} : { revision }) };
      const because = cause instanceof Error && cause.cause !== undefined ? { cause: describeCause(cause.cause) } : {};
      const what = `the ${bundle} bundle was refused: what was in force stays`;
      log('error', what, { bundle, code, problem: message, ...archive, ...because });
    },
    onState: ({ lastError, revision }) => {
      metrics.bundleFailing.set({ bundle }, lastError === null ? 0 : 1);
      if (lastError !== null || lastTold === '') return;
      lastTold = '';
      log('info', `the ${bundle} bundle of the source is in force again`, { bundle, revision });
    },
    onPersistFailure: (cause) => log('error', 'what is in force could not be persisted', { bundle, cause: describeCause(cause) }),
  };
}
