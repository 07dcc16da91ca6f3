/** What a source of policy is made of and what it tells: the plan from a configuration, its state, and who is told of it. */
import { type BundleRefusal, PolicyRefused } from '../../bundle/refusal.ts';
import type { Store } from '../../bundle/store.ts';
import type { Policy } from '../../policy/policy.ts';
import type { InForce, LoadArchive } from './slot.ts';
import type { Supply } from './supply.ts';

export interface PolicyError {
  readonly code: BundleRefusal;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly message: string;
}

/** Whatever else is thrown is a mistake of ours about these bytes. */
export function describeRefusal(cause: unknown, at: number): PolicyError {
  return cause instanceof PolicyRefused
    ? { code: cause.code, at, message: cause.message }
    : { code: 'archive_invalid', at, message: 'unexpected' };
}

/** For /readyz, metrics and status. */
export interface PolicyState {
  readonly revision: string | null;
  readonly digest: string | null;
  readonly activatedAt: number | null;
  readonly source: string;
  readonly lastAttemptAt: number | null;
  /** When the source last answered, and when with an archive. */
  readonly answeredAt: number | null;
  readonly downloadedAt: number | null;
  readonly archiveBytes: number | null;
  /** Null while the source's own latest is in force, and persisted where it is to be. */
  readonly lastError: PolicyError | null;
}

/** Those of its source. */
export type PolicyTimes = { -readonly [Time in 'lastAttemptAt' | 'answeredAt' | 'downloadedAt']: PolicyState[Time] };

/** What one configuration makes of a source. */
export interface PolicyPlan {
  /** Equal where nothing changed that concerns it. */
  readonly fingerprint: string;
  readonly openSupply: () => Supply;
  readonly load: LoadArchive;
  readonly polling: { readonly minDelayMs: number; readonly maxDelayMs: number };
}

export interface PolicyObserver {
  readonly onLooked: (outcome: 'changed' | 'unchanged' | 'failed') => void;
  readonly onActivated: (inForce: InForce, source: string) => void;
  readonly onRefused: (error: PolicyError, cause: unknown) => void;
  /** Whether the source's latest is in force. */
  readonly onState: (state: PolicyState) => void;
  readonly onPersistFailure: (cause: unknown) => void;
}

export interface PolicySource {
  readonly policy: () => Policy | null;
  readonly state: () => PolicyState;
  /** The archive in force, for whoever promotes it. */
  readonly archive: () => Uint8Array | null;
  /** First of all: what is known of the past. Rejects where it cannot be read. */
  readonly open: () => Promise<void>;
  /** Rejects where a file is refused and nothing persisted takes its place; a server may come later. */
  readonly start: () => Promise<void>;
  /** Gives how to put another plan in force, at once; rejects where it cannot be, and goes on as before. */
  readonly prepare: (next: PolicyPlan) => Promise<() => void>;
  /** A person lets a revision in, once, whatever was in force before. */
  readonly accept: (revision: string) => Promise<void>;
  /** Puts an archive in force that did not come from the source. Rejects with PolicyRefused. */
  readonly adopt: (archive: Uint8Array) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface PolicySourceOptions {
  readonly plan: PolicyPlan;
  /** Null where nothing outlives the process. */
  readonly store: Store | null;
  /** Revisions may go back: nothing here is obeyed. */
  readonly isFree: boolean;
  readonly observer: PolicyObserver;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly random: () => number;
  readonly later: (ms: number, work: () => void) => () => void;
}
