/** One line of the decision log as the tools use it: who asked what, what policy saw of it, what it said. */
import { isObject, type JsonObject } from '../mcp/message.ts';
import type { Outbound } from '../policy/decision.ts';
import { REASONS, type Reason } from '../reasons.ts';

/** What a rule said, as far as a line has it. */
export interface RecordedSaid {
  readonly allow: boolean;
  readonly reason: string;
}

export interface RecordedToken {
  readonly audience: string | null;
  readonly scope: string | null;
  /** Null where the line does not say. */
  readonly ttlSeconds: number | null;
  /** Left out where the line does not say; null is what a policy says that names none. */
  readonly resource?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Recorded {
  readonly id: string;
  readonly timestamp: string;
  /** Epoch milliseconds, when it was asked. */
  readonly atMs: number;
  readonly decision: string;
  readonly reason: string;
  readonly subject: string;
  readonly client: string;
  readonly backend: string;
  /** A tool, or the method where there is none. */
  readonly what: string;
  readonly revision: string | null;
  /** JSON pointers of what is missing or changed in the line. */
  readonly erased: readonly string[];
  /** What policy saw, without what was erased; null where it was not asked or the log leaves it out. */
  readonly input: JsonObject | null;
  readonly inbound: RecordedSaid | null;
  readonly outbound: RecordedSaid | null;
  readonly token: RecordedToken | null;
  readonly line: JsonObject;
}

/** Null for what is no line of a decision. */
export function readRecorded(text: string): Recorded | null {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(line) || typeof line.decision_id !== 'string' || (line.type !== undefined && line.type !== 'decision'))
    return null;
  const input = isObject(line.input) ? line.input : null;
  const mcp = isObject(input?.mcp) ? input.mcp : {};
  const inbound = input === null ? null : readSaid(line.result);
  const outbound = readSaid(line.outbound);
  const timestamp = textOr(line.timestamp, '');
  return {
    id: line.decision_id,
    timestamp,
    atMs: Date.parse(timestamp) || 0,
    decision: textOr(line.decision, ''),
    reason: textOr(line.reason, ''),
    subject: textOr(line.subject, ''),
    client: textOr(line.client_id, ''),
    backend: textOr(mcp.backend, textOr(line.backend, '')),
    what: textOr(line.tool, textOr(mcp.tool, textOr(line.method, ''))),
    revision: readRevision(line.bundles),
    erased: [...readTexts(line.erased), ...readTexts(line.masked)],
    input,
    inbound,
    outbound,
    token: outbound?.allow === true ? readToken(line) : null,
    line,
  };
}

function readSaid(value: unknown): RecordedSaid | null {
  if (!isObject(value) || typeof value.allow !== 'boolean') return null;
  return { allow: value.allow, reason: textOr(value.reason, value.allow ? 'allowed' : 'policy_denied') };
}

/** In `outbound` as the rule said it, or beside it as the record has it. */
function readToken(line: JsonObject): RecordedToken {
  const outbound = isObject(line.outbound) ? line.outbound : {};
  const ttl = outbound.ttl_seconds ?? line.ttl_seconds;
  const { resource, headers } = outbound;
  return {
    audience: textOr(outbound.audience, textOr(line.audience, null)),
    scope: textOr(outbound.scope, textOr(line.scope, null)),
    ttlSeconds: typeof ttl === 'number' ? ttl : null,
    ...(typeof resource === 'string' || resource === null ? { resource } : {}),
    ...(isObject(headers) ? { headers: headers as Readonly<Record<string, string>> } : {}),
  };
}

export function tokenOf({ audience, scopes, ttlSeconds, resource, headers }: Outbound): RecordedToken {
  return { audience, scope: scopes.join(' '), ttlSeconds, resource, headers };
}

function readRevision(bundles: unknown): string | null {
  const [bundle] = isObject(bundles) ? Object.values(bundles) : [];
  return isObject(bundle) && typeof bundle.revision === 'string' ? bundle.revision : null;
}

function readTexts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

function textOr<T>(value: unknown, otherwise: T): string | T {
  return typeof value === 'string' ? value : otherwise;
}

/** Pointers of what is missing in what policy saw. */
export function erasedOfInput({ erased }: Recorded): string[] {
  return erased.filter((pointer) => pointer.startsWith('/input')).map((pointer) => pointer.slice('/input'.length));
}

/** What policy may say for itself; anything else was decided elsewhere. */
export function isKnownReason(reason: string): reason is Reason {
  return Object.hasOwn(REASONS, reason);
}
