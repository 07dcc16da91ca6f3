/**
 * ES256 signing keys of the reference authorization server, made at start and named by their thumbprint (RFC 7638).
 */
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';

export type SigningKey = {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly privateJwk: JWK;
  readonly publicJwk: JWK;
};

export const signingAlgorithm = 'ES256';

/** A new key pair, in the forms that jose and oidc-provider want. */
export async function createSigningKey(): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(signingAlgorithm, { extractable: true });
  const kid = await calculateJwkThumbprint(await exportJWK(publicKey));
  const named = async (key: CryptoKey): Promise<JWK> => ({
    ...(await exportJWK(key)),
    kid,
    alg: signingAlgorithm,
    use: 'sig',
  });
  return { kid, privateKey, privateJwk: await named(privateKey), publicJwk: await named(publicKey) };
}
