/**
 * The decision log: one JSON line for each Check, allowed or not, with OPA's field names where OPA has the field.
 * Lines are made and written together, some milliseconds after the first. When the sink does not keep up the log says that
 * it is full, and Checks are refused rather than answered unrecorded or kept without bound.
 */
import type { Writable } from 'node:stream';
import type { Verdict } from '../check.ts';
import { cut, type DecisionRecord } from '../record.ts';
import { describeCause } from './redact.ts';

export interface DecisionLogOptions {
  readonly sink: Writable;
  /** Bytes that may wait for the sink. */
  readonly maxBufferedBytes: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly onLines?: (outcome: 'written' | 'lost', count: number) => void;
  /** The sink failed: nothing is written any more. */
  readonly onBroken?: (cause: unknown) => void;
}

export interface DecisionLog {
  /** Throws for an allow that cannot be recorded any more: it must not be given. A refusal may be lost. */
  readonly write: (verdict: Verdict, record: DecisionRecord, elapsedMs: number, late: boolean) => void;
  readonly isFull: () => boolean;
  /** Resolves when everything written so far has left the process. */
  readonly flush: () => Promise<void>;
}

type Entry = Parameters<DecisionLog['write']>;

/** How long a Check waits for others before its line is made: a write for each would cost as much as a decision. */
const FLUSH_MS = 20;

export function createDecisionLog({ sink, maxBufferedBytes, labels, onLines, onBroken }: DecisionLogOptions): DecisionLog {
  let waiting: Entry[] = [];
  let broken = false;
  sink.on('error', (cause) => {
    if (!broken) onBroken?.(cause);
    broken = true;
  });
  const isFull = (): boolean => broken || sink.writableLength > maxBufferedBytes;

  /** The answer has left by now: a line that cannot be made must not take the process and the other lines with it. */
  function lineOf(entry: Entry): string {
    try {
      return decisionLine(...entry, labels);
    } catch (cause) {
      const [, { decision_id, decision, reason }] = entry;
      return JSON.stringify({ type: 'decision', labels, decision_id, decision, reason, error: describeCause(cause) });
    }
  }

  /** One line after the other: together they are cheaper than each in the midst of a Check. */
  function push(done?: () => void): void {
    const entries = waiting;
    waiting = [];
    const lines = entries.map(lineOf);
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
    const { outcome } = verdict;
    // Beyond the limit only Checks under way still come here to be allowed; that is a number with a bound of its own.
    if (broken || (isFull() && outcome !== 'allow')) {
      onLines?.('lost', 1);
      if (outcome === 'allow') throw new Error('the decision cannot be recorded');
      return;
    }
    if (waiting.length === 0) setTimeout(push, FLUSH_MS);
    waiting.push([verdict, record, elapsedMs, late]);
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
  const { http, stages } = facts;
  const { revision } = record;
  // Written out rather than spread: this line is made for every Check, and objects of one shape serialise fastest.
  return JSON.stringify({
    type: 'decision',
    timestamp: new Date(http.timeMs),
    labels,
    decision_id: record.decision_id,
    decision: record.decision,
    reason: record.reason,
    status: record.status,
    method: record.method,
    tool: record.tool,
    targets: record.targets,
    era: record.era,
    protocol_revision: record.protocol_revision,
    backend: record.backend,
    issuer: record.issuer,
    subject: record.subject,
    client_id: record.client_id,
    actor: record.actor,
    token_id: record.token_id,
    audience: record.audience,
    scope: record.scope,
    delegation_token_id: record.delegation_token_id,
    trace_id: record.trace_id,
    request_id: record.request_id,
    path: revision === undefined ? undefined : 'mcp/inbound/decision',
    bundles: revision === undefined ? undefined : { policy: { revision } },
    result: { allow: outcome === 'allow', reason: record.reason },
    requested_by: http.sourceIp,
    http: { method: cut(http.method), path: cut(http.path), host: cut(http.host) },
    late: late || undefined,
    error: cause === undefined ? undefined : describeCause(cause),
    metrics: {
      timer_server_handler_ns: nanoseconds(elapsedMs),
      timer_read_ns: nanoseconds(stages.read),
      timer_verify_ns: nanoseconds(stages.verify),
      timer_inbound_ns: nanoseconds(stages.inbound),
      timer_outbound_ns: nanoseconds(stages.outbound),
      timer_delegate_ns: nanoseconds(stages.delegate),
    },
  });
}

function nanoseconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 1e6);
}
