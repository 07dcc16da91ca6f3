/**
 * What one HTTP request asks of an MCP server: read from the body, confirmed by the headers.
 * Streamable HTTP of MCP 2025-03-26 to 2026-07-28. Refused: whatever is not in the tables, headers that disagree with the
 * body, bodies that did not arrive whole.
 */
import { type HttpFacts, singleHeader } from '../http.ts';
import type { Reason } from '../reasons.ts';
import { deny, ok, type Result } from '../result.ts';
import type { Denial } from '../verdict.ts';
import { type JsonLimits, readJson } from './json.ts';
import { hasLookAlike, knownKeys } from './keys.ts';
import { isObject, type JsonObject, type Message, parseMessage } from './message.ts';
import { findMethod, type MethodRow, type Target } from './methods.ts';
import { ASSUMED_LEGACY, type Era, eraOf, isRevision, LATEST_LEGACY, MODERN, REVISIONS, type Revision } from './revisions.ts';

export interface Operation {
  readonly era: Era;
  /** As the message claims; for `initialize` what the client proposes, where we know it. */
  readonly revision: Revision;
  readonly kind: 'request' | 'notification' | 'response' | 'http';
  /** Raw JSON token of a request's id, else null. */
  readonly id: string | null;
  /** JSON-RPC method; `GET` or `DELETE` for kind http; null for a posted response. */
  readonly method: string | null;
  readonly targets: readonly Target[];
  /** `params.name` of tools/call, else null. */
  readonly tool: string | null;
  readonly arguments: JsonObject | null;
  /** The answer may be a task: asked for in the params (2025-11-25) or by a capability of the client (SEP-2663). */
  readonly asTask: boolean;
}

type Call = Exclude<Message, { kind: 'response' }>;

const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES_KEY = 'io.modelcontextprotocol/clientCapabilities';
const TASKS_KEY = 'io.modelcontextprotocol/tasks';
const META = knownKeys([VERSION_KEY, CAPABILITIES_KEY]);

/** Reads a POST, GET or DELETE on an MCP endpoint. */
export function readOperation(http: HttpFacts, limits: JsonLimits): Result<Operation> {
  switch (http.method) {
    case 'POST':
      return readPost(http, limits);
    case 'GET':
    case 'DELETE':
      return readStream(http, http.method);
    default:
      return deny({ reason: 'method_not_allowed' });
  }
}

/** GET (listen, resume) and DELETE (end the session) exist in the legacy era only and carry no body. */
function readStream(http: HttpFacts, method: 'GET' | 'DELETE'): Result<Operation> {
  const incomplete = wholeBodyProblem(http);
  if (incomplete !== null) return deny({ reason: incomplete });
  if (http.body.byteLength > 0) return deny({ reason: 'message_invalid' });
  const revision = headerRevision(http);
  if (!revision.ok) return revision;
  if (revision.value !== undefined && eraOf(revision.value) === 'modern') return deny({ reason: 'method_not_allowed' });
  if (isMirrored(http)) return deny({ reason: 'header_mismatch' });
  return ok({
    era: 'legacy',
    revision: revision.value ?? ASSUMED_LEGACY,
    kind: 'http',
    id: null,
    method,
    targets: [],
    tool: null,
    arguments: null,
    asTask: false,
  });
}

function readPost(http: HttpFacts, limits: JsonLimits): Result<Operation> {
  const problem = bodyProblem(http);
  if (problem !== null) return deny({ reason: problem });
  const document = readJson(http.body, limits, 'id');
  if (!document.ok) return document;
  const message = parseMessage(document.value);
  if (!message.ok) return message;
  const operation = readMessage(http, message.value);
  return operation.ok ? operation : deny({ ...operation.denial, read: { ...readOf(message.value), ...operation.denial.read } });
}

function readMessage(http: HttpFacts, message: Message): Result<Operation> {
  if (message.kind === 'response') {
    const header = headerRevision(http);
    return header.ok ? readResponse(http, header.value) : header;
  }
  const revision = claimedRevision(message, http);
  if (!revision.ok) return revision;
  const era = eraOf(revision.value);

  const row = findMethod(message.method, message.kind, revision.value);
  if (row === undefined) return deny({ reason: 'method_unknown', read: { era } });
  const mismatch = headerProblem(http, message, row, era);
  if (mismatch !== null) return deny({ ...mismatch, read: { era } });
  const targets = row.targets(message.params);
  if (targets === null) return deny({ reason: 'params_invalid', read: { era } });

  const tool = message.method === 'tools/call' ? (message.params.name as string) : null;
  const args = message.params.arguments;
  return ok({
    era,
    revision: revision.value,
    kind: message.kind,
    id: message.kind === 'request' ? message.id : null,
    method: message.method,
    targets,
    tool,
    arguments: isObject(args) ? args : null,
    asTask: (tool !== null || message.method.startsWith('tasks/')) && mayBecomeTask(message.params),
  });
}

function mayBecomeTask({ task, _meta }: JsonObject): boolean {
  if (task !== undefined) return true;
  const capabilities = isObject(_meta) ? _meta[CAPABILITIES_KEY] : undefined;
  const extensions = isObject(capabilities) ? capabilities.extensions : undefined;
  return isObject(extensions) && extensions[TASKS_KEY] !== undefined;
}

/** A reply to a request of the server (sampling, elicitation, roots): legacy only. */
function readResponse(http: HttpFacts, revision: Revision | undefined): Result<Operation> {
  if (revision !== undefined && eraOf(revision) === 'modern') return deny({ reason: 'message_invalid', read: { era: 'modern' } });
  if (isMirrored(http)) return deny({ reason: 'header_mismatch' });
  return ok({
    era: 'legacy',
    revision: revision ?? ASSUMED_LEGACY,
    kind: 'response',
    id: null,
    method: null,
    targets: [],
    tool: null,
    arguments: null,
    asTask: false,
  });
}

/** The era ladder: what the body claims in `_meta` comes first, the header confirms it. */
function claimedRevision(message: Call, http: HttpFacts): Result<Revision> {
  const meta = message.params._meta;
  if (meta === undefined) return assumedRevision(message, headerRevision(http));
  if (!isObject(meta) || hasLookAlike(meta, META)) return deny({ reason: 'params_invalid' });
  const claim = meta[VERSION_KEY];
  if (claim === undefined) return assumedRevision(message, headerRevision(http));
  const header = singleHeader(http.headers, 'mcp-protocol-version');
  if (header === null) return deny({ reason: 'header_invalid' });
  // Two words that differ are a mismatch, whether or not we know either.
  const differs = header !== undefined && typeof claim === 'string' && header !== claim;
  if (differs) return deny({ reason: 'header_mismatch', read: { era: 'modern' } });
  // An envelope cannot choose a revision that has none: what server/discover offers is what counts here.
  if (claim !== MODERN) return unsupportedVersion(claim, [MODERN]);
  if (header !== MODERN) return deny({ reason: 'header_mismatch', read: { era: 'modern' } });
  return isObject(meta[CAPABILITIES_KEY]) ? ok(MODERN) : deny({ reason: 'envelope_missing', read: { era: 'modern' } });
}

/** Of a body that claims nothing: legacy. Under a modern header it lacks its envelope, and `initialize` is a contradiction. */
function assumedRevision({ method, params }: Call, read: Result<Revision | undefined>): Result<Revision> {
  if (!read.ok) return read;
  const header = read.value;
  const isHandshake = method === 'initialize';
  if (header === MODERN) return deny({ reason: isHandshake ? 'header_mismatch' : 'envelope_missing', read: { era: 'modern' } });
  if (!isHandshake) return ok(header ?? ASSUMED_LEGACY);
  const proposed = params.protocolVersion;
  return ok(isRevision(proposed) && eraOf(proposed) === 'legacy' ? proposed : LATEST_LEGACY);
}

function headerRevision(http: HttpFacts): Result<Revision | undefined> {
  const value = singleHeader(http.headers, 'mcp-protocol-version');
  if (value === null) return deny({ reason: 'header_invalid' });
  if (value === undefined || isRevision(value)) return ok(value);
  return unsupportedVersion(value, REVISIONS.toReversed());
}

function unsupportedVersion(requested: unknown, supported: readonly Revision[]): Result<never> {
  const shown = typeof requested === 'string' ? requested.slice(0, 32) : null;
  return deny({ reason: 'protocol_version_unsupported', data: { supported, requested: shown } });
}

/** Mcp-Method and Mcp-Name (SEP-2243): required in the modern era, and where a legacy client sends them they must be true. */
function headerProblem(http: HttpFacts, message: Call, row: MethodRow, era: Era): Denial | null {
  const method = singleHeader(http.headers, 'mcp-method');
  const name = singleHeader(http.headers, 'mcp-name');
  const expected = row.mirrored === undefined ? undefined : message.params[row.mirrored];
  const required = era === 'modern';
  const agrees =
    (method === undefined ? !required : method === message.method) &&
    (name === undefined ? !required || expected === undefined : name !== null && decodeSentinel(name) === expected);
  return agrees ? null : { reason: 'header_mismatch' };
}

/** Whether a header claims what a request is about, where there is no request that it could confirm. */
function isMirrored({ headers }: HttpFacts): boolean {
  return headers.has('mcp-method') || headers.has('mcp-name');
}

/** `=?base64?…?=` carries what a header cannot (SEP-2243); null where it is not canonical. */
function decodeSentinel(value: string): string | null {
  const sentinel = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/.exec(value);
  if (sentinel === null) return value;
  const bytes = Buffer.from(sentinel[1] as string, 'base64');
  if (bytes.toString('base64') !== sentinel[1]) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** A value as a header can carry it (SEP-2243). */
export function encodeSentinel(value: string): string {
  const isPlain = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !/^=\?base64\?.*\?=$/i.test(value);
  return isPlain ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`;
}

/** What keeps a body from being read as JSON at all. */
export function bodyProblem(http: HttpFacts): Reason | null {
  return mediaProblem(http) ?? wholeBodyProblem(http);
}

function mediaProblem(http: HttpFacts): Reason | null {
  const type = singleHeader(http.headers, 'content-type');
  if (!type || !/^application\/json(\s*;\s*charset=("utf-8"|utf-8))?\s*$/i.test(type)) return 'media_type_unsupported';
  const encoding = singleHeader(http.headers, 'content-encoding');
  if (encoding !== undefined && encoding?.toLowerCase() !== 'identity') return 'content_encoding_unsupported';
  return null;
}

/** Envoy hands over part of a body in some configurations even where it was told not to: never judge a part. */
function wholeBodyProblem(http: HttpFacts): Reason | null {
  if (http.partialBody) return 'body_incomplete';
  if (http.statedSize !== null && http.statedSize !== http.body.byteLength) return 'body_incomplete';
  return null;
}

function readOf(message: Message): NonNullable<Denial['read']> {
  if (message.kind === 'response') return {};
  return message.kind === 'request' ? { id: message.id, method: message.method } : { method: message.method };
}
