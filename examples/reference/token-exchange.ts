/**
 * The token exchange grant (RFC 8693) of the reference authorization server: the gateway brings the access token of a
 * user or client and gets a delegation token for one backend, for seconds, with itself as the actor.
 * Error codes are those of RFC 8693 section 2.2.2: a bad subject token is `invalid_request` (not `invalid_grant`), an
 * unknown target `invalid_target`; a scope the backend does not have is `invalid_scope` (RFC 6749 section 5.2).
 */
import { randomUUID } from 'node:crypto';
import { createLocalJWKSet, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import type { Provider } from 'oidc-provider';
import { type Backend, delegationScopes } from './backends.ts';
import { errors } from './oidc-provider.ts';
import { type SigningKey, signingAlgorithm } from './signing-key.ts';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

export type TokenExchangeOptions = {
  readonly issuer: string;
  /** The first key signs; a subject token may be signed by any of them. */
  readonly keys: readonly [SigningKey, ...SigningKey[]];
  readonly backends: readonly Backend[];
  readonly delegationSeconds: number;
};

type ExchangeParameters = {
  subject_token?: string;
  subject_token_type?: string;
  actor_token?: string;
  actor_token_type?: string;
  requested_token_type?: string;
  audience?: string | string[];
  resource?: string | string[];
  scope?: string;
};

const parameterNames = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'audience',
  'resource',
  'scope',
] satisfies (keyof ExchangeParameters)[];

type Subject = JWTPayload & { readonly sub: string; readonly aud: string };

/** Teaches an authorization server the grant. Which clients may use it is in their registration. */
export function registerTokenExchange(provider: Provider, options: TokenExchangeOptions): void {
  const publicKeys = createLocalJWKSet({ keys: options.keys.map(({ publicJwk }) => publicJwk) });

  const verifySubject = async (token: string): Promise<Subject> => {
    const audience = options.backends.flatMap(({ frontDoors }) => frontDoors);
    const requiredClaims = ['sub', 'exp', 'client_id'];
    const checks = { issuer: options.issuer, audience, typ: 'at+jwt', algorithms: [signingAlgorithm], requiredClaims };
    try {
      const { payload } = await jwtVerify<Subject>(token, publicKeys, checks);
      return payload;
    } catch {
      throw new errors.InvalidRequest('subject_token is not a valid access token for a front door');
    }
  };

  provider.registerGrantType<ExchangeParameters>(
    TOKEN_EXCHANGE,
    async (ctx) => {
      const { params, client } = ctx.oidc;
      const subject = await verifySubject(readSubjectToken(params));
      const backend = findTarget(params, subject, options.backends);
      const scope = checkScope(params.scope, backend);
      ctx.body = {
        access_token: await signDelegation(subject, client.clientId, backend.audience, scope, options),
        issued_token_type: ACCESS_TOKEN,
        token_type: 'Bearer',
        expires_in: options.delegationSeconds,
        scope,
      };
    },
    parameterNames,
    ['audience', 'resource'],
  );
}

function readSubjectToken(params: ExchangeParameters): string {
  if (!params.subject_token) throw new errors.InvalidRequest('subject_token is required');
  if (params.subject_token_type !== ACCESS_TOKEN) {
    throw new errors.InvalidRequest(`subject_token_type must be ${ACCESS_TOKEN}`);
  }
  if (params.requested_token_type !== undefined && params.requested_token_type !== ACCESS_TOKEN) {
    throw new errors.InvalidRequest(`requested_token_type can only be ${ACCESS_TOKEN}`);
  }
  // Silently ignoring it would issue a token with another actor than the one that was asked for.
  if (params.actor_token !== undefined || params.actor_token_type !== undefined) {
    throw new errors.InvalidRequest('actor_token is not supported: the authenticated client is the actor');
  }
  return params.subject_token;
}

function findTarget(params: ExchangeParameters, subject: Subject, backends: readonly Backend[]): Backend {
  const names = [params.audience ?? [], params.resource ?? []].flat();
  if (names.length === 0) throw new errors.InvalidRequest('audience or resource is required');
  const backend = backends.find(({ audience }) => names.every((name) => name === audience));
  if (!backend) throw new errors.InvalidTarget('the target is unknown, or is more than one');
  // A token opens only what lies behind the front door it was issued for.
  if (!backend.frontDoors.includes(subject.aud)) {
    throw new errors.InvalidTarget('the subject token was issued for another resource');
  }
  return backend;
}

function checkScope(scope: string | undefined, backend: Backend): string {
  // RFC 6749 section 3.3: a server without a default scope fails the request.
  if (!scope) throw new errors.InvalidScope('scope is required', '');
  const known = delegationScopes(backend);
  const unknown = scope.split(' ').find((token) => !known.includes(token));
  if (unknown !== undefined) throw new errors.InvalidScope('the backend has no such scope', unknown);
  return scope;
}

function signDelegation(
  subject: Subject,
  actor: string,
  audience: string,
  scope: string,
  { issuer, keys: [key], delegationSeconds }: TokenExchangeOptions,
): Promise<string> {
  const issuedAt = Math.floor(Date.now() / 1000);
  // RFC 8693 section 4.1: the outermost actor is the current one, earlier ones are nested.
  const act = { sub: actor, ...(subject.act !== undefined && { act: subject.act }) };
  return new SignJWT({ act, scope, client_id: actor })
    .setProtectedHeader({ alg: signingAlgorithm, typ: 'at+jwt', kid: key.kid })
    .setIssuer(issuer)
    .setSubject(subject.sub)
    .setAudience(audience)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + delegationSeconds)
    .setJti(randomUUID())
    .sign(key.privateKey);
}
