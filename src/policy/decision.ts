/**
 * What a policy answered, or why that is no answer. An undefined result, a member too many, a string for a boolean:
 * everything but the exact shape is a refusal, because a careless `allow` must not become one.
 */
import { isObject, type JsonObject } from '../mcp/message.ts';
import { POLICY_REASONS, type Reason } from '../reasons.ts';
import { deny, ok, type Result } from '../result.ts';
import type { Denial } from '../verdict.ts';

/** Which delegation token the backend gets (RFC 8693 section 2.1). */
export interface Outbound {
  readonly audience: string;
  readonly scopes: readonly string[];
  readonly ttlSeconds: number;
  readonly resource: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Inbound {
  /** What rules would have refused that are only watched so far. */
  readonly logOnly: readonly LogOnly[];
}

/** One of these rules, and what it would have said. */
export interface LogOnly {
  readonly rule: string;
  readonly reason: Reason;
  readonly message?: string;
}

const MAX_LOG_ONLY = 16;
const RULE = /^[A-Za-z0-9_./-]{1,128}$/;
const LOG_ONLY = new Set(['rule', 'reason', 'message']);
const MAX_NAME = 2048;
const MAX_SCOPE = 4096;

const INBOUND = new Set(['allow', 'reason', 'message', 'required_scopes', 'log_only']);
const OUTBOUND = new Set(['allow', 'reason', 'message', 'audience', 'scope', 'ttl_seconds', 'resource', 'headers']);
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/;
/** Letters and digits only in what we set from policy: a header name cannot be one that Envoy or HTTP gives a meaning. */
const HEADER_NAME = /^x-[a-z0-9]+(-[a-z0-9]+)*$/;
const RESERVED_HEADER = /^x-(envoy|forwarded|mcp|request-id)/;
const HEADER_VALUE = /^[\x20-\x7e]{0,1024}$/;

/** The value of the rule asked for, out of OPA's result set; undefined where the rule is. */
export function readResultSet(text: string): unknown {
  const results: unknown = JSON.parse(text);
  const only: unknown = Array.isArray(results) && results.length === 1 ? results[0] : undefined;
  return isObject(only) ? only.result : undefined;
}

export function readInbound(result: unknown): Result<Inbound> {
  const logOnly = isObject(result) && Object.hasOwn(result, 'log_only') ? result.log_only : [];
  if (!isLogOnly(logOnly)) return invalid('log_only');
  const shaped = readAllow(result, INBOUND);
  return shaped.ok ? ok({ logOnly }) : shaped;
}

export function readOutbound(result: unknown, maxTtlSeconds: number): Result<Outbound> {
  const shaped = readAllow(result, OUTBOUND);
  if (!shaped.ok) return shaped;
  const { audience, scope, ttl_seconds: ttlSeconds, resource = null, headers = {} } = shaped.value;
  if (!isName(audience)) return invalid('audience');
  if (typeof scope !== 'string' || scope.length > MAX_SCOPE || !SCOPE.test(scope)) return invalid('scope');
  if (!Number.isInteger(ttlSeconds) || (ttlSeconds as number) < 1 || (ttlSeconds as number) > maxTtlSeconds)
    return invalid('ttl_seconds');
  if (resource !== null && !isName(resource)) return invalid('resource');
  if (!isHeaders(headers)) return invalid('headers');
  return ok({ audience, scopes: scope.split(' '), ttlSeconds: ttlSeconds as number, resource, headers });
}

function readAllow(result: unknown, members: ReadonlySet<string>): Result<JsonObject> {
  if (result === undefined) return deny({ reason: 'policy_undefined' });
  if (!isObject(result)) return invalid('decision');
  const extra = Object.keys(result).find((key) => !members.has(key));
  if (extra !== undefined) return invalid(extra);
  const { allow, reason, message } = result;
  if (typeof allow !== 'boolean') return invalid('allow');
  if (typeof reason !== 'string' || !POLICY_REASONS.has(reason)) return invalid('reason');
  if (allow !== (reason === 'allowed')) return invalid('reason');
  if (message !== undefined && !isSentence(message)) return invalid('message');
  if (!allow) return refusal(result, reason as Reason, message);
  return result.required_scopes === undefined ? ok(result) : invalid('required_scopes');
}

function refusal(result: JsonObject, reason: Reason, message: string | undefined): Result<never> {
  const scopes = result.required_scopes;
  if (reason === 'insufficient_scope' && scopes === undefined) return invalid('required_scopes');
  if (scopes !== undefined && !areScopes(scopes)) return invalid('required_scopes');
  const denial: Denial = {
    reason,
    ...(message === undefined ? {} : { message }),
    ...(scopes === undefined ? {} : { requiredScopes: scopes }),
  };
  return deny(denial);
}

function invalid(member: string): Result<never> {
  return deny({ reason: 'policy_invalid', cause: `the decision's ${member} is missing or of the wrong shape` });
}

function isLogOnly(value: unknown): value is LogOnly[] {
  return Array.isArray(value) && value.length <= MAX_LOG_ONLY && value.every(isLogged);
}

function isLogged(value: unknown): boolean {
  if (!isObject(value) || !Object.keys(value).every((key) => LOG_ONLY.has(key))) return false;
  const { rule, reason, message } = value;
  if (typeof rule !== 'string' || !RULE.test(rule)) return false;
  if (typeof reason !== 'string' || reason === 'allowed' || !POLICY_REASONS.has(reason)) return false;
  return message === undefined || isSentence(message);
}

function areScopes(value: unknown): value is string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= 64 &&
    value.every((one) => typeof one === 'string' && SCOPE.test(one) && !one.includes(' '))
  );
}

/** An audience or a URI: it becomes a claim and a form parameter. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME && !/\p{Cc}/u.test(value);
}

function isSentence(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 512 && !/[\p{Cc}"]/u.test(value);
}

function isHeaders(value: unknown): value is Record<string, string> {
  return (
    isObject(value) &&
    Object.keys(value).length <= 16 &&
    Object.entries(value).every(
      ([name, text]) =>
        HEADER_NAME.test(name) && !RESERVED_HEADER.test(name) && typeof text === 'string' && HEADER_VALUE.test(text),
    )
  );
}
