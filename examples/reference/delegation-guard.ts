/**
 * What a backend does with the bearer token it receives. It does not trust the gateway in front of it: it verifies every
 * delegation token as a resource server must (RFC 9068 section 4), insists that the gateway is the actor (RFC 8693
 * section 4.1), that the token lives for seconds, is meant for exactly this operation and was never seen before.
 * Anything else is refused with a challenge (RFC 6750 section 3).
 */
import { createRemoteJWKSet, decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';

export type DelegationClaims = JWTPayload & {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string;
  readonly jti: string;
  readonly iat: number;
  readonly exp: number;
  readonly scope: string;
  readonly act: { readonly sub: string };
};

export type Refusal = {
  readonly refused: true;
  readonly status: 401 | 403;
  /** Error code of RFC 6750 section 3.1; absent when the request had no token at all. */
  readonly error?: 'invalid_token' | 'insufficient_scope';
  readonly description: string;
  /** Value of the `WWW-Authenticate` header. */
  readonly challenge: string;
};

export type Guard = (authorization: string | undefined, neededScope: string) => Promise<DelegationClaims | Refusal>;

export type GuardOptions = {
  /** Name of the guarded backend: the realm of its challenges. */
  readonly backend: string;
  /** Who may issue delegation tokens: an authorization server, or a gateway that mints its own. */
  readonly issuers: readonly { readonly issuer: string; readonly jwksUri: string }[];
  /** The only acceptable `aud`. */
  readonly audience: string;
  /** The only acceptable `act.sub`: the gateway. */
  readonly actor: string;
  /** Longest acceptable `exp - iat`; default 5. */
  readonly maxLifetimeSeconds?: number;
  /** Whether a `jti` opens the door only once; default true: one token, one operation. */
  readonly singleUse?: boolean;
  /** The time, for tests. */
  readonly now?: () => Date;
};

const algorithms = ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256'];
const requiredClaims = ['sub', 'jti', 'iat', 'exp', 'scope', 'act'];

/** Tells a refusal from the claims of an accepted token. */
export function isRefusal(outcome: DelegationClaims | Refusal): outcome is Refusal {
  return outcome.refused === true;
}

/** The scope a message needs: `<backend>:<tool>` for a tool call, `<backend>:protocol` for anything else. */
export function neededScope(backend: string, message: unknown): string {
  const { method, params } = Object(message) as { method?: unknown; params?: unknown };
  if (method !== 'tools/call') return `${backend}:protocol`;
  const { name } = Object(params) as { name?: unknown };
  return `${backend}:${String(name)}`;
}

/** A guard for one backend. It remembers the tokens it has accepted, so make one and keep it. */
export function createGuard(options: GuardOptions): Guard {
  const { backend, issuers, singleUse = true, now = () => new Date() } = options;
  // A short cooldown, for the reference authorization server signs with a new key as soon as it has one.
  const keySets = new Map(
    issuers.map(({ issuer, jwksUri }) => [issuer, createRemoteJWKSet(new URL(jwksUri), { cooldownDuration: 1_000 })]),
  );
  const isFirstUse = rememberTokens();
  const refuse = (...refusal: RefusalParts) => createRefusal(backend, ...refusal);

  /** The claims of a token that may be trusted, or what is wrong with it. */
  const verify = async (token: string, currentDate: Date): Promise<DelegationClaims | string> => {
    try {
      const { iss: issuer = '' } = decodeJwt(token);
      const keySet = keySets.get(issuer);
      if (!keySet) return 'the issuer is not trusted';
      const checks = { issuer, typ: 'at+jwt', algorithms, requiredClaims, currentDate };
      const { payload } = await jwtVerify(token, keySet, checks);
      return findFault(payload, options, currentDate) ?? (payload as DelegationClaims);
    } catch (error) {
      return describe(error);
    }
  };

  return async (authorization, scope) => {
    if (authorization === undefined) return refuse(401, undefined, 'a delegation token is required', scope);
    const token = /^Bearer ([\w.~+/-]+=*)$/i.exec(authorization)?.[1];
    if (!token) return refuse(401, 'invalid_token', 'the authorization header is not one bearer token');

    const currentDate = now();
    const claims = await verify(token, currentDate);
    if (typeof claims === 'string') return refuse(401, 'invalid_token', claims);
    if (!claims.scope.split(' ').includes(scope)) {
      return refuse(403, 'insufficient_scope', `the token is not for ${scope}`, scope);
    }
    // Last, so that a token refused for its scope is not used up; and synchronous, so that two requests cannot share it.
    if (singleUse && !isFirstUse(claims, currentDate)) return refuse(401, 'invalid_token', 'the token was already used');
    return claims;
  };
}

/** What a well-signed token from a trusted issuer can still have wrong for this backend. */
function findFault(payload: JWTPayload, expected: GuardOptions, currentDate: Date): string | undefined {
  const { aud, act, iat = 0, exp = 0, sub, jti, scope } = payload;
  // jose would also accept an audience that is one of several.
  if (aud !== expected.audience) return 'the token is for another audience';
  if (Object(act).sub !== expected.actor) return 'the actor is not the gateway';
  if (exp - iat > (expected.maxLifetimeSeconds ?? 5)) return 'the token lives too long';
  if (iat > currentDate.getTime() / 1000 + 1) return 'the token was issued in the future';
  const strings = [sub, jti, scope].every((claim) => typeof claim === 'string' && claim !== '');
  return strings ? undefined : 'sub, jti and scope must be strings';
}

/** Remembers each token until it expires; answers whether this is its first use. */
function rememberTokens() {
  const expiries = new Map<string, number>();
  return ({ iss, jti, exp }: DelegationClaims, currentDate: Date): boolean => {
    // All lifetimes are about the same, so the oldest entries expire first and the sweep stops early.
    for (const [used, expiry] of expiries) {
      if (expiry > currentDate.getTime() / 1000) break;
      expiries.delete(used);
    }
    const token = JSON.stringify([iss, jti]);
    if (expiries.has(token)) return false;
    expiries.set(token, exp);
    return true;
  };
}

function describe(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired';
  if (error instanceof errors.JWTClaimValidationFailed) return `the ${error.claim} claim is not acceptable`;
  if (error instanceof errors.JOSEError) return 'the token cannot be verified';
  return 'the keys of the issuer cannot be fetched';
}

type RefusalParts = [status: 401 | 403, error: Refusal['error'], description: string, scope?: string];

function createRefusal(realm: string, ...[status, error, description, scope]: RefusalParts): Refusal {
  const parameters = Object.entries({ realm, error, scope, error_description: error && description })
    .filter(([, value]) => value !== undefined)
    // The scope repeats the name of a tool, which the caller chose: only characters that need no escape.
    .map(([name, value]) => `${name}="${String(value).replaceAll(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '?')}"`);
  return { refused: true, status, ...(error && { error }), description, challenge: `Bearer ${parameters.join(', ')}` };
}
