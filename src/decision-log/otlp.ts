/**
 * Lines as log records of OpenTelemetry (OTLP 1.x over HTTP, JSON). The body is the line itself, so that a chain can still be
 * verified; what one searches by is in attributes.
 */
import { isObject, type JsonObject } from '../mcp/message.ts';
import type { ServiceResponse } from '../services/service.ts';
import type { Receipt } from './shipper.ts';

const ATTRIBUTES = ['type', 'decision_id', 'decision', 'reason', 'method', 'tool', 'backend', 'request_id'] as const;
const INFO = { severityNumber: 9, severityText: 'INFO' };
const ERROR = { severityNumber: 17, severityText: 'ERROR' };

/** @param labels of this process, as in every line. */
export function createRecordWrap(labels: { readonly id: string; readonly version: string }, now: () => number) {
  const resource = {
    attributes: [
      textAttribute('service.name', 'mcp-ext-authz'),
      textAttribute('service.version', labels.version),
      textAttribute('service.instance.id', labels.id),
    ],
  };
  const scope = { name: 'mcp-ext-authz/decision-log', version: labels.version };
  return (lines: readonly string[]): string => {
    const observed = nanoseconds(now());
    const logRecords = lines.map((line) => recordOf(line, observed));
    return JSON.stringify({ resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords }] }] });
  };
}

function recordOf(line: string, observedTimeUnixNano: string) {
  const event = JSON.parse(line) as JsonObject;
  const at = Date.parse(String(event.timestamp));
  const { trace_id: traceId } = event;
  return {
    timeUnixNano: Number.isNaN(at) ? observedTimeUnixNano : nanoseconds(at),
    observedTimeUnixNano,
    ...(event.decision === 'error' ? ERROR : INFO),
    body: { stringValue: line },
    attributes: ATTRIBUTES.flatMap((name) => (typeof event[name] === 'string' ? [textAttribute(name, event[name])] : [])),
    ...(typeof traceId === 'string' && /^[0-9a-f]{32}$/.test(traceId) ? { traceId } : {}),
  };
}

/** Large numbers are strings in OTLP's JSON. */
function nanoseconds(ms: number): string {
  return String(BigInt(Math.round(ms)) * 1_000_000n);
}

function textAttribute(key: string, stringValue: string) {
  return { key, value: { stringValue } };
}

/** 400 is for what must not be sent again (OTLP, "Failures"); everything else may pass. */
export function judgeRecords({ status, body }: ServiceResponse, count: number): Receipt {
  if (status >= 200 && status < 300) return { taken: true, refused: Math.min(rejectedOf(body), count) };
  if (status === 413) return { taken: 'too_large' };
  const cause = `the service answered ${status}`;
  return status === 400 ? { taken: 'never', cause } : { taken: false, cause };
}

function rejectedOf(body: Uint8Array): number {
  try {
    const answer: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    const partial = isObject(answer) && isObject(answer.partialSuccess) ? answer.partialSuccess : {};
    const rejected = Number(partial.rejectedLogRecords ?? 0);
    return Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0;
  } catch {
    return 0;
  }
}
