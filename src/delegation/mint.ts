/**
 * A delegation token made here (RFC 9068 shape, RFC 8693 `act`), for authorization servers that cannot exchange and for a
 * hot path without a network hop. Signing goes straight to node:crypto: one synchronous call of some tens of microseconds,
 * where WebCrypto would add a trip through the thread pool.
 */
import { createPublicKey, type KeyObject, randomUUID, sign } from 'node:crypto';
import type { JsonObject } from '../mcp/message.ts';
import { deny, ok, type Result } from '../result.ts';
import type { Actor } from '../token/principal.ts';
import type { Delegation, DelegationRequest } from './delegation.ts';

export interface MintKey {
  readonly kid: string;
  /** Private key: P-256 (ES256) or Ed25519 (EdDSA). */
  readonly key: KeyObject;
}

export interface MintOptions {
  readonly issuer: string;
  readonly actor: string;
  /** The first signs; all are published, so that a key can be announced before it is used and kept after. */
  readonly keys: readonly [MintKey, ...MintKey[]];
  readonly now: () => number;
}

export interface Mint {
  readonly delegate: (request: DelegationRequest) => Result<Delegation>;
  /** The public keys (RFC 7517), for backends. */
  readonly jwks: { readonly keys: readonly JsonObject[] };
}

export function createMint({ issuer, actor, keys, now }: MintOptions): Mint {
  const [{ key, kid }] = keys;
  const alg = algorithmOf(key);
  const header = encode({ alg, typ: 'at+jwt', kid });
  const digest = alg === 'ES256' ? 'sha256' : null;
  const signingKey = { key, dsaEncoding: 'ieee-p1363' } as const;

  function delegate({ principal, outbound }: DelegationRequest): Result<Delegation> {
    const issuedAt = Math.floor(now() / 1000);
    const expiresAt = issuedAt + outbound.ttlSeconds;
    const tokenId = randomUUID();
    const scope = outbound.scopes.join(' ');
    const claims = {
      iss: issuer,
      sub: principal.subject,
      act: actorChain(actor, principal.actor),
      aud: outbound.audience,
      scope,
      client_id: principal.clientId,
      iat: issuedAt,
      exp: expiresAt,
      jti: tokenId,
    };
    try {
      const content = `${header}.${encode(claims)}`;
      const signature = sign(digest, Buffer.from(content), signingKey).toString('base64url');
      return ok({ token: `${content}.${signature}`, tokenId, audience: outbound.audience, scope, expiresAt, actor });
    } catch (cause) {
      return deny({ reason: 'mint_failed', cause });
    }
  }

  return { delegate, jwks: { keys: keys.map(publicJwk) } };
}

/** The gateway acts now, for whoever acted before (RFC 8693 section 4.1). */
function actorChain(actor: string, earlier: readonly Actor[]): JsonObject {
  const chain = earlier.reduceRight<JsonObject | undefined>(
    (act, one) => (act === undefined ? { ...one } : { ...one, act }),
    undefined,
  );
  return chain === undefined ? { sub: actor } : { sub: actor, act: chain };
}

function publicJwk({ key, kid }: MintKey): JsonObject {
  return { ...createPublicKey(key).export({ format: 'jwk' }), kid, alg: algorithmOf(key), use: 'sig' };
}

/** Throws a TypeError for a key that is neither P-256 nor Ed25519. */
export function algorithmOf(key: KeyObject): 'ES256' | 'EdDSA' {
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA';
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256';
  throw new TypeError('a minting key is P-256 or Ed25519');
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
