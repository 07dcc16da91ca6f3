/**
 * One line: an event with the names of OPA's decision log where OPA has the field, and ours beside them. `result` is what the
 * inbound rule said; `decision` and `reason` are the verdict, which may be another for reasons that are not the policy's.
 */
import type { Stage, Verdict } from '../check/authorize.ts';
import type { PolicyAsked, Said } from '../check/question.ts';
import { cut, type DecisionRecord } from '../check/record.ts';
import { keptText, quote, rfc3339 } from '../json-text.ts';
import { describeCause } from '../telemetry/redact.ts';
import { type Redact, redactAll } from './redaction.ts';

/** What a line is made of. */
export type Entry = readonly [verdict: Verdict, record: DecisionRecord, elapsedMs: number, late: boolean];

export interface LineOptions {
  readonly labels: Readonly<Record<string, string>>;
  readonly redact?: Redact;
}

export function decisionLine(
  [{ outcome, facts, cause }, record, elapsedMs, late]: Entry,
  { labels, redact = redactAll }: LineOptions,
): string {
  const { http, stages, asked } = facts;
  const { revision } = record;
  let line = `{"type":"decision","timestamp":"${rfc3339(http.timeMs)}","labels":${keptText(labels)}`;
  for (const name in record) {
    const value = record[name as keyof DecisionRecord];
    if (value !== undefined && name !== 'revision') line += `,"${name}":${valueText(value)}`;
  }
  if (revision !== undefined) line += `,"path":"mcp/inbound/decision","bundles":{"policy":{"revision":${quote(revision)}}}`;
  line += asked === null ? `,"result":{"allow":${outcome === 'allow'},"reason":"${record.reason}"}` : askedText(asked, redact);
  line += `,"requested_by":${quote(http.sourceIp)}`;
  line += `,"http":{"method":${quote(cut(http.method))},"path":${quote(cut(http.path))},"host":${quote(cut(http.host))}}`;
  if (late) line += ',"late":true';
  if (cause !== undefined) line += `,"error":${quote(describeCause(cause))}`;
  line += `,"metrics":{"timer_server_handler_ns":${nanoseconds(elapsedMs)}`;
  for (const stage in stages) line += `,"timer_${stage}_ns":${nanoseconds(stages[stage as Stage] as number)}`;
  return `${line}}}`;
}

/** For what no line can be made of: the answer has left, and the other lines must not go with it. */
export function brokenLine([, { decision_id, decision, reason }]: Entry, { labels }: LineOptions, cause: unknown): string {
  return JSON.stringify({ type: 'decision', labels, decision_id, decision, reason, error: describeCause(cause) });
}

function askedText({ input, inbound, outbound }: PolicyAsked, redact: Redact): string {
  const { text, erased } = redact(input);
  let members = text === null ? '' : `,"input":${text}`;
  if (erased.length > 0) members += `,"erased":${valueText(erased)}`;
  members += `,"result":${saidText(inbound)}`;
  return outbound === null ? members : `${members},"outbound":${saidText(outbound)}`;
}

function saidText({ allow, reason, logOnly = [] }: Said): string {
  const watched = logOnly.length === 0 ? '' : `,"log_only":${JSON.stringify(logOnly)}`;
  return `{"allow":${allow},"reason":"${reason}"${watched}}`;
}

function valueText(value: string | number | readonly string[]): string {
  if (typeof value === 'string') return quote(value);
  return typeof value === 'number' ? String(value) : `[${value.map(quote).join(',')}]`;
}

function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}
