/**
 * The decision log: one JSON line for each Check, allowed or not, with OPA's field names where OPA has the field.
 * Lines are made and written together, some milliseconds after the first. When the sink does not keep up the log says that
 * it is full, and Checks are refused rather than answered unrecorded or kept without bound.
 */
import type { Writable } from 'node:stream';
import type { Stage, Verdict } from '../check/authorize.ts';
import { cut, type DecisionRecord } from '../check/record.ts';
import { keptText, quote, rfc3339 } from '../json-text.ts';
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
    sink.write(lines.length === 0 ? '' : `${lines.join('\n')}\n`, (failure) => {
      onLines?.(failure ? 'lost' : 'written', lines.length);
      done?.();
    });
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
  let line = `{"type":"decision","timestamp":"${rfc3339(http.timeMs)}","labels":${keptText(labels)}`;
  for (const name in record) {
    const value = record[name as keyof DecisionRecord];
    if (value !== undefined && name !== 'revision') line += `,"${name}":${valueText(value)}`;
  }
  if (revision !== undefined) line += `,"path":"mcp/inbound/decision","bundles":{"policy":{"revision":${quote(revision)}}}`;
  line += `,"result":{"allow":${outcome === 'allow'},"reason":"${record.reason}"},"requested_by":${quote(http.sourceIp)}`;
  line += `,"http":{"method":${quote(cut(http.method))},"path":${quote(cut(http.path))},"host":${quote(cut(http.host))}}`;
  if (late) line += ',"late":true';
  if (cause !== undefined) line += `,"error":${quote(describeCause(cause))}`;
  line += `,"metrics":{"timer_server_handler_ns":${nanoseconds(elapsedMs)}`;
  for (const stage in stages) line += `,"timer_${stage}_ns":${nanoseconds(stages[stage as Stage] as number)}`;
  return `${line}}}`;
}

function valueText(value: string | number | readonly string[]): string {
  if (typeof value === 'string') return quote(value);
  return typeof value === 'number' ? String(value) : `[${value.map(quote).join(',')}]`;
}

function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}
