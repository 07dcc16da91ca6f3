/**
 * The decision log: one JSON line for each Check, allowed or not, with OPA's field names where OPA has the field.
 * Lines are written together, once per turn of the event loop. When the sink does not keep up the log says that it is full,
 * and Checks are refused rather than answered unrecorded or kept without bound.
 */
import type { Writable } from 'node:stream';
import type { Verdict } from '../check.ts';
import type { DecisionRecord } from '../record.ts';
import { describeCause } from './redact.ts';

export interface DecisionLogOptions {
  readonly sink: Writable;
  /** Bytes that may wait for the sink. */
  readonly maxBufferedBytes: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly onLines?: (outcome: 'written' | 'lost', count: number) => void;
}

export interface DecisionLog {
  readonly write: (verdict: Verdict, record: DecisionRecord, elapsedMs: number, late: boolean) => void;
  readonly isFull: () => boolean;
  /** Resolves when everything written so far has left the process. */
  readonly flush: () => Promise<void>;
}

export function createDecisionLog({ sink, maxBufferedBytes, labels, onLines }: DecisionLogOptions): DecisionLog {
  let waiting: string[] = [];
  let broken = false;
  sink.on('error', () => {
    broken = true;
  });
  const isFull = (): boolean => broken || sink.writableLength > maxBufferedBytes;

  function push(done?: () => void): void {
    const lines = waiting;
    waiting = [];
    if (lines.length === 0 && done === undefined) return;
    if (broken) {
      onLines?.('lost', lines.length);
      done?.();
      return;
    }
    sink.write(lines.length === 0 ? '' : `${lines.join('\n')}\n`, done);
    onLines?.('written', lines.length);
  }

  function write(verdict: Verdict, record: DecisionRecord, elapsedMs: number, late: boolean): void {
    if (isFull()) {
      onLines?.('lost', 1);
      return;
    }
    if (waiting.length === 0) setImmediate(push);
    waiting.push(decisionLine(verdict, record, elapsedMs, late, labels));
  }

  return { write, isFull, flush: () => new Promise((resolve) => push(resolve)) };
}

/** OPA's decision-log event with our facts beside its own. */
export function decisionLine(
  { outcome, facts, cause }: Verdict,
  record: DecisionRecord,
  elapsedMs: number,
  late: boolean,
  labels: Readonly<Record<string, string>>,
): string {
  const { revision, ...known } = record;
  const metrics: Record<string, number> = { timer_server_handler_ns: nanoseconds(elapsedMs) };
  for (const [stage, ms] of Object.entries(facts.stages)) metrics[`timer_${stage}_ns`] = nanoseconds(ms);
  return JSON.stringify({
    type: 'decision',
    timestamp: new Date(facts.http.timeMs).toISOString(),
    labels,
    ...known,
    ...(revision === undefined ? {} : { path: 'mcp/inbound/decision', bundles: { policy: { revision } } }),
    result: { allow: outcome === 'allow', reason: record.reason },
    requested_by: facts.http.sourceIp,
    http: { method: facts.http.method, path: facts.http.path.slice(0, 256), host: facts.http.host.slice(0, 256) },
    ...(late ? { late } : {}),
    ...(cause === undefined ? {} : { error: describeCause(cause) }),
    metrics,
  });
}

function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}
