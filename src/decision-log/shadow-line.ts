/**
 * A line of the decision log for a request that a candidate policy would have answered otherwise than the policy in force
 * did. Only flips and a candidate's errors have lines, and of these a sample. It has what the decision's own line says of
 * the request in names, under the same decision id, and no argument of a call.
 */
import type { DecisionRecord } from '../check/record.ts';

/** What one of the two said; of the token only what is no secret. */
export interface ShadowResult {
  readonly allow: boolean;
  readonly reason: string;
  readonly token?: {
    readonly audience: string;
    readonly scope: string;
    readonly ttl_seconds: number;
    readonly resource: string | null;
  };
}

export interface ShadowEvent {
  readonly timeMs: number;
  readonly record: Pick<
    DecisionRecord,
    'decision_id' | 'method' | 'tool' | 'backend' | 'issuer' | 'subject' | 'client_id' | 'trace_id' | 'request_id'
  >;
  readonly direction: string;
  /** Members of the token that differ. */
  readonly changed: readonly string[];
  readonly revisions: { readonly policy: string; readonly shadow: string };
  readonly results: { readonly policy: ShadowResult; readonly shadow: ShadowResult };
}

export function shadowLine(
  { timeMs, record, direction, changed, revisions, results }: ShadowEvent,
  labels: Readonly<Record<string, string>>,
): string {
  const { decision_id, method, tool, backend, issuer, subject, client_id, trace_id, request_id } = record;
  return JSON.stringify({
    type: 'shadow',
    timestamp: new Date(timeMs).toISOString(),
    labels,
    decision_id,
    direction,
    changed: changed.length === 0 ? undefined : changed,
    method,
    tool,
    backend,
    issuer,
    subject,
    client_id,
    trace_id,
    request_id,
    bundles: { policy: { revision: revisions.policy }, shadow: { revision: revisions.shadow } },
    results,
  });
}

export interface SampleOptions {
  /** Of all, from 0 to 1. */
  readonly ratio: number;
  readonly maxPerSecond: number;
  /** Milliseconds. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** Whether the next one is among those that are kept. */
export function createSampler({ ratio, maxPerSecond, now, random }: SampleOptions): () => boolean {
  let second = Number.NEGATIVE_INFINITY;
  let kept = 0;
  return () => {
    if (random() >= ratio) return false;
    const current = Math.floor(now() / 1000);
    if (current !== second) {
      second = current;
      kept = 0;
    }
    if (kept >= maxPerSecond) return false;
    kept += 1;
    return true;
  };
}
