/**
 * Token exchange at an authorization server (RFC 8693), the pure half: what is asked, and whether the answer may be used.
 * An authorization server may grant more than was asked (RFC 8693 section 2.2.1 lets it choose), leave the actor out or
 * return the subject token itself, so its answer is judged as strictly as a caller's token.
 */
import { isObject, type JsonObject } from '../mcp/message.ts';
import { deny, ok, type Result } from '../result.ts';
import type { Principal } from '../token/principal.ts';
import type { Delegation, DelegationRequest } from './delegation.ts';

export const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';

export interface ExchangeRules {
  /** Our name as an actor, expected in `act.sub`. */
  readonly actor: string;
  /** Accept an answer without `act`, from servers that cannot issue one. The audit trail then names the actor alone. */
  readonly allowMissingActor: boolean;
}

/** The form parameters of RFC 8693 section 2.1, without client authentication. */
export function exchangeParameters({ subjectToken, outbound }: DelegationRequest): Record<string, string> {
  return {
    subject_token: subjectToken,
    subject_token_type: ACCESS_TOKEN,
    requested_token_type: ACCESS_TOKEN,
    audience: outbound.audience,
    scope: outbound.scopes.join(' '),
    ...(outbound.resource === null ? {} : { resource: outbound.resource }),
  };
}

/** Reads the token response (RFC 8693 section 2.2.1). */
export function issuedToken(response: unknown, request: DelegationRequest): Result<string> {
  if (!isObject(response)) return unfit('response');
  const { access_token: token, issued_token_type: issued, token_type: type } = response;
  if (typeof token !== 'string' || token === '') return unfit('access_token');
  if (issued !== ACCESS_TOKEN && issued !== JWT) return unfit('issued_token_type');
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer') return unfit('token_type');
  return token === request.subjectToken ? unfit('access_token: the subject token came back') : ok(token);
}

/** Judges the verified claims of the answer: made for this caller, this backend, this operation, now. */
export function judge(
  token: string,
  issued: Principal,
  request: DelegationRequest,
  rules: ExchangeRules,
  nowMs: number,
): Result<Delegation> {
  const { principal, outbound } = request;
  const claims: JsonObject = issued.claims;
  const [actor] = issued.actor;
  const lifetime = issued.expiresAt - (claims.iat as number);

  if (issued.subject !== principal.subject) return unfit('sub');
  if (issued.audience.length !== 1 || issued.audience[0] !== outbound.audience) return unfit('aud');
  if (actor === undefined ? !rules.allowMissingActor : actor.sub !== rules.actor) return unfit('act');
  if (actor !== undefined && !continuesChain(issued, principal)) return unfit('act.act');
  if (!issued.scopes.every((scope) => outbound.scopes.includes(scope))) return unfit('scope: wider than asked');
  if (!outbound.scopes.every((scope) => issued.scopes.includes(scope))) return unfit('scope: narrower than asked');
  if (!(lifetime <= outbound.ttlSeconds)) return unfit('exp: lives too long');
  if (issued.expiresAt * 1000 <= nowMs) return unfit('exp: expired');
  if (issued.tokenId === null || issued.tokenId === principal.tokenId) return unfit('jti');
  return ok({
    token,
    tokenId: issued.tokenId,
    audience: outbound.audience,
    scope: outbound.scopes.join(' '),
    expiresAt: issued.expiresAt,
    actor: rules.actor,
  });
}

/** Who acted before us stays in the chain, in order (RFC 8693 section 4.1); a server may leave earlier actors out. */
function continuesChain(issued: Principal, principal: Principal): boolean {
  const earlier = issued.actor.slice(1);
  return (
    earlier.length === 0 ||
    (earlier.length === principal.actor.length && earlier.every((actor, index) => actor.sub === principal.actor[index]?.sub))
  );
}

function unfit(what: string): Result<never> {
  return deny({ reason: 'exchange_invalid', cause: what });
}
