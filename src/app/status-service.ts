/** The status upload of the running sidecar; without `status` in the configuration there is none. */
import type { Config } from '../config.ts';
import { createService } from '../services/service.ts';
import { createStatusReporter } from '../telemetry/status.ts';
import { statusMetrics } from '../telemetry/status-metrics.ts';
import type { BundleFacts, UploadFailure } from '../telemetry/status-update.ts';
import type { PolicyState } from './policy/state.ts';
import type { Observers } from './ports.ts';

export interface StatusParts extends Observers {
  readonly config: Config;
  /** Those of the decision log. */
  readonly labels: Readonly<Record<string, string>>;
  readonly policy: () => PolicyState;
  /** Null where the configuration has no candidate. */
  readonly candidate: () => PolicyState | null;
  readonly isLogFull: () => boolean;
  readonly lastUploadFailure: () => UploadFailure | null;
  /** Gauges that are read when somebody looks. */
  readonly collect: () => void;
}

/** Gives how to end it. */
export function startStatus({ config, metrics, log, ...parts }: StatusParts): () => Promise<void> {
  const { status, services } = config;
  const settings = services.find(({ name }) => name === status?.service);
  if (status === undefined || settings === undefined) return async () => {};
  for (const outcome of ['ok', 'failed']) metrics.statusUploads.inc({ outcome }, 0);
  const service = createService(settings);
  const { resource, partition, minIntervalMs, maxIntervalMs } = status;
  const reporter = createStatusReporter({
    send: service.send,
    path: partition === undefined ? resource : `${resource}/${partition}`,
    facts: () => ({
      labels: parts.labels,
      bundles: bundlesOf(parts),
      decisionLogError: parts.isLogFull() ? 'full' : null,
      uploadFailure: parts.lastUploadFailure(),
    }),
    metrics: async () => {
      if (!status.metrics) return null;
      parts.collect();
      return statusMetrics(metrics.register);
    },
    minIntervalMs,
    maxIntervalMs,
    log,
    onUpload: (outcome) => metrics.statusUploads.inc({ outcome }),
    now: () => performance.now(),
  });
  reporter.start();
  return async () => {
    await reporter.stop();
    await service.close();
  };
}

function bundlesOf({ policy, candidate }: Pick<StatusParts, 'policy' | 'candidate'>): BundleFacts[] {
  const beside = candidate();
  return [factsOf('policy', policy()), ...(beside === null ? [] : [factsOf('shadow', beside)])];
}

function factsOf(name: string, state: PolicyState): BundleFacts {
  return {
    name,
    revision: state.revision,
    sizeBytes: state.archiveBytes,
    activatedAt: state.activatedAt,
    downloadedAt: state.downloadedAt,
    requestedAt: state.lastAttemptAt,
    answeredAt: state.answeredAt,
    error: state.lastError && { code: state.lastError.code, message: state.lastError.message },
  };
}
