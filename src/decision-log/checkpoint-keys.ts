/** Keys that checkpoints are verified with: one public key, or a set that `kid` chooses from (RFC 7517). */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { type CompactVerifyGetKey, compactVerify, createLocalJWKSet, type JSONWebKeySet } from 'jose';
import { CHECKPOINT_TYPE, type CheckpointClaims, signatureAlgorithm } from './chain.ts';

/** Rejects where the signature does not count. */
export type VerifyCheckpoint = (jws: string) => Promise<CheckpointClaims>;

const ALGORITHMS = ['ES256', 'ES384', 'EdDSA', 'PS256'];

/** @param given a public key or a certificate as PEM, or the private key itself. Throws where it is none. */
export function verifyByKey(given: string | KeyObject): VerifyCheckpoint {
  const key = createPublicKey(given);
  return verifier(key, [signatureAlgorithm(key)]);
}

/** @param jwks a key set as JSON text. Throws where it is none. */
export function verifyByKeySet(jwks: string): VerifyCheckpoint {
  return verifier(createLocalJWKSet(JSON.parse(jwks) as JSONWebKeySet), ALGORITHMS);
}

function verifier(key: KeyObject | CompactVerifyGetKey, algorithms: string[]): VerifyCheckpoint {
  return async (jws) => {
    // Bits that count for nothing could be changed unnoticed.
    if (jws.split('.').some((part) => Buffer.from(part, 'base64url').toString('base64url') !== part))
      throw new Error('it is not in its canonical form');
    // Two kinds of key, two overloads.
    const verified = await (typeof key === 'function'
      ? compactVerify(jws, key, { algorithms })
      : compactVerify(jws, key, { algorithms }));
    if (verified.protectedHeader.typ !== CHECKPOINT_TYPE) throw new Error('it is no checkpoint');
    return JSON.parse(Buffer.from(verified.payload).toString('utf8')) as CheckpointClaims;
  };
}
