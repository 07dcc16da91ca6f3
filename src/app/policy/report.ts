/** What becomes of bundles, for metrics and log. */
import { BUNDLE_REFUSALS, PolicyRefused } from '../../bundle/refusal.ts';
import { describeCause } from '../../telemetry/redact.ts';
import type { Observers } from '../ports.ts';
import type { SlotName } from './loading.ts';
import type { PolicyObserver } from './state.ts';

export interface PolicyReport extends PolicyObserver {
  /** What is cut short from here on is not told as a failure, and of a candidate that is gone no series stays. */
  readonly end: () => void;
}

const LOADS = ['activated', 'refused'];
const DOWNLOADS = ['changed', 'unchanged', 'failed'];
const REFUSALS = Object.keys(BUNDLE_REFUSALS);

export function createPolicyReport(bundle: SlotName, { metrics, log }: Observers): PolicyReport {
  const isLive = bundle === 'policy';
  // A counter that is born at 1 is invisible to increase().
  for (const outcome of LOADS) metrics.bundleLoads.inc({ bundle, outcome }, 0);
  for (const outcome of DOWNLOADS) metrics.bundleDownloads.inc({ bundle, outcome }, 0);
  for (const reason of REFUSALS) metrics.bundleRefusals.inc({ bundle, reason }, 0);
  metrics.bundleFailing.set({ bundle }, 0);
  /** A server that is down is told of once, and once that it is back. */
  let lastTold = '';
  let ended = false;

  function end(): void {
    ended = true;
    if (isLive) return;
    for (const outcome of LOADS) metrics.bundleLoads.remove({ bundle, outcome });
    for (const outcome of DOWNLOADS) metrics.bundleDownloads.remove({ bundle, outcome });
    for (const reason of REFUSALS) metrics.bundleRefusals.remove({ bundle, reason });
    metrics.bundleFailing.remove({ bundle });
  }

  return {
    end,
    onLooked: (outcome) => {
      if (!ended) metrics.bundleDownloads.inc({ bundle, outcome });
    },
    onActivated: ({ policy: { revision }, digest, unorderedAfter: before }, source) => {
      if (ended) return;
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
      if (before !== null)
        log('warn', 'nothing in the two revisions says which is older: one of this kind could go back', {
          bundle,
          revision,
          before,
        });
    },
    onRefused: ({ code, message }, cause) => {
      if (ended) return;
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
      if (ended) return;
      metrics.bundleFailing.set({ bundle }, lastError === null ? 0 : 1);
      if (lastError !== null || lastTold === '') return;
      lastTold = '';
      log('info', `the ${bundle} bundle of the source is in force again`, { bundle, revision });
    },
    onPersistFailure: (cause) => log('error', 'what is in force could not be persisted', { bundle, cause: describeCause(cause) }),
  };
}
