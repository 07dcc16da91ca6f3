/**
 * The verified claims of an access token, in the words of RFC 9068 and RFC 8693.
 * Keycloak and others write `azp` where RFC 9068 has `client_id`, and an audience as a string or a list: both are read.
 */

import type { JsonObject } from '../mcp/message.ts';
import { isObject } from '../mcp/message.ts';
import { deny, ok, type Result } from '../result.ts';

export interface Actor {
  readonly sub: string;
  readonly iss?: string;
}

export interface Principal {
  readonly issuer: string;
  readonly subject: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  readonly audience: readonly string[];
  /** Who acts for the subject, the most recent first (RFC 8693 section 4.1). */
  readonly actor: readonly Actor[];
  /** The claims that have no member of their own here. */
  readonly claims: JsonObject;
  /** Epoch seconds. */
  readonly expiresAt: number;
  /** `jti`, or null. */
  readonly tokenId: string | null;
  /** Always null: a bound token is refused, since no proof of possession is checked. */
  readonly binding: null;
}

const MAX_ACTORS = 8;

export function toPrincipal(claims: JsonObject): Result<Principal> {
  const { iss, sub, exp, jti, aud: _aud, scope: _scope, act: _act, client_id: _clientId, ...others } = claims;
  const clientId = claims.client_id ?? claims.azp;
  const scopes = readScopes(claims.scope);
  const audience = readAudience(claims.aud);
  const actor = readActors(claims.act);
  const invalid = (claim: string) => deny({ reason: 'token_claims_invalid', cause: `claim ${claim}` });

  if (!isName(iss)) return invalid('iss');
  if (!isName(sub)) return invalid('sub');
  if (!isName(clientId)) return invalid('client_id');
  if (!Number.isSafeInteger(exp)) return invalid('exp');
  if (jti !== undefined && !isName(jti)) return invalid('jti');
  if (scopes === null) return invalid('scope');
  if (audience === null) return invalid('aud');
  if (actor === null) return invalid('act');
  return ok({
    issuer: iss,
    subject: sub,
    clientId,
    scopes,
    audience,
    actor,
    claims: others,
    expiresAt: exp as number,
    tokenId: jti ?? null,
    binding: null,
  });
}

/** Scope tokens of RFC 6749 section 3.3, separated by single spaces; null where it is something else. */
export function readScopes(value: unknown): readonly string[] | null {
  if (value === undefined || value === '') return [];
  if (typeof value !== 'string') return null;
  const scopes = value.split(' ');
  return scopes.every((scope) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)) ? scopes : null;
}

function readAudience(value: unknown): readonly string[] | null {
  const list = typeof value === 'string' ? [value] : value;
  return Array.isArray(list) && list.length > 0 && list.every(isName) ? list : null;
}

function readActors(value: unknown): readonly Actor[] | null {
  const actors: Actor[] = [];
  for (let act = value; act !== undefined; act = (act as JsonObject).act) {
    if (actors.length === MAX_ACTORS || !isObject(act) || !isName(act.sub)) return null;
    if (act.iss !== undefined && !isName(act.iss)) return null;
    actors.push(act.iss === undefined ? { sub: act.sub } : { sub: act.sub, iss: act.iss });
  }
  return actors;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 2048;
}
