/** What is in force, in the words of OPA's status API: the same names and types for what OPA has too. Pure. */

/** One bundle and how it came. Times are epoch milliseconds, null where that has not happened yet. */
export interface BundleFacts {
  readonly name: string;
  readonly revision: string | null;
  readonly sizeBytes: number | null;
  readonly activatedAt: number | null;
  readonly downloadedAt: number | null;
  /** When its source was asked, and when it last answered. */
  readonly requestedAt: number | null;
  readonly answeredAt: number | null;
  /** Why the last attempt came to nothing. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** Why lines for a service do not arrive there. */
export interface UploadFailure {
  readonly message: string;
  /** Null where nothing answered. */
  readonly httpCode: number | null;
}

export interface StatusFacts {
  readonly labels: Readonly<Record<string, string>>;
  readonly bundles: readonly BundleFacts[];
  /** Null where decisions are recorded. */
  readonly decisionLogError: string | null;
  /** Null while lines arrive, or none are sent. */
  readonly uploadFailure: UploadFailure | null;
}

type Json = Readonly<Record<string, unknown>>;

/** As Go writes a time that never was. */
const NEVER = '0001-01-01T00:00:00Z';

/** @param metrics as they are; null: none are told. */
export function statusUpdate({ labels, bundles, decisionLogError, uploadFailure }: StatusFacts, metrics: Json | null): Json {
  // A policy may be in force while a later bundle is refused, or a candidate beside it is missing: that is said of the bundle.
  const isActive = bundles[0]?.activatedAt != null;
  const broken = decisionLogError !== null;
  return {
    labels,
    bundles: Object.fromEntries(bundles.map((bundle) => [bundle.name, bundleStatus(bundle)])),
    decision_logs: decisionLogStatus(decisionLogError, uploadFailure),
    ...(metrics === null ? {} : { metrics }),
    plugins: {
      bundle: { state: isActive ? 'OK' : 'NOT_READY' },
      // As in OPA: what is not uploaded yet is tried again, and is nothing that the plugin does wrong.
      decision_logs: broken ? { state: 'ERROR', message: decisionLogError } : { state: 'OK' },
      status: { state: 'OK' },
    },
  };
}

/** A log that takes nothing more may be so because of its service: that says more. */
function decisionLogStatus(error: string | null, upload: UploadFailure | null): Json {
  const message = upload?.message ?? error;
  if (message === null) return {};
  const httpCode = upload?.httpCode ?? null;
  return { code: 'decision_log_error', message, ...(httpCode === null ? {} : { http_code: httpCode }) };
}

function bundleStatus({ name, revision, sizeBytes, error, ...times }: BundleFacts): Json {
  return {
    name,
    ...(revision === null ? {} : { active_revision: revision, type: 'snapshot' }),
    last_successful_activation: timeText(times.activatedAt),
    ...(sizeBytes === null ? {} : { size: sizeBytes }),
    last_successful_download: timeText(times.downloadedAt),
    last_successful_request: timeText(times.answeredAt),
    last_request: timeText(times.requestedAt),
    ...(error === null ? {} : errorStatus(error)),
  };
}

/** OPA has one code for all of it; ours stands where OPA has those of its compiler. */
function errorStatus({ code, message }: NonNullable<BundleFacts['error']>): Json {
  return {
    code: 'bundle_error',
    message: `${code}: ${message}`,
    errors: [{ code, message }],
  };
}

function timeText(ms: number | null): string {
  return ms === null ? NEVER : new Date(ms).toISOString();
}

/** The same text for what says the same, whenever it was asked. */
export function fingerprint({ labels, bundles, decisionLogError, uploadFailure }: StatusFacts): string {
  const said = bundles.map(({ requestedAt: _asked, answeredAt: _answered, ...rest }) => rest);
  return JSON.stringify([labels, said, decisionLogError, uploadFailure]);
}
