/** How the gateway proves at a token endpoint who it is (RFC 6749 section 2.3, RFC 7523 section 2.2). */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as oauth from 'oauth4webapi';

export type Credentials =
  | { readonly method: 'client_secret_basic' | 'client_secret_post'; readonly secret: string }
  | { readonly method: 'private_key_jwt'; readonly keyPem: string; readonly kid: string | undefined };

/** Throws for a key that cannot sign an assertion. */
export function clientAuthentication(credentials: Credentials): oauth.ClientAuth {
  switch (credentials.method) {
    case 'client_secret_basic':
      return oauth.ClientSecretBasic(credentials.secret);
    case 'client_secret_post':
      return oauth.ClientSecretPost(credentials.secret);
    case 'private_key_jwt': {
      const key = createPrivateKey(credentials.keyPem);
      const cryptoKey = key.toCryptoKey(algorithmFor(key), false, ['sign']);
      return oauth.PrivateKeyJwt(credentials.kid === undefined ? cryptoKey : { key: cryptoKey, kid: credentials.kid });
    }
  }
}

function algorithmFor(key: KeyObject): Parameters<KeyObject['toCryptoKey']>[0] {
  switch (key.asymmetricKeyType) {
    case 'ec':
      return { name: 'ECDSA', namedCurve: 'P-256' };
    case 'rsa':
      return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
    case 'ed25519':
      return { name: 'Ed25519' };
    default:
      throw new TypeError('the key of private_key_jwt is P-256, RSA or Ed25519');
  }
}

type Secret = { readonly file: string } | { readonly env: string };

/** As the configuration has it: where the secret or the key is. */
export type Authentication =
  | { readonly method: 'client_secret_basic' | 'client_secret_post'; readonly secret: Secret }
  | { readonly method: 'private_key_jwt'; readonly keyFile: string; readonly kid?: string | undefined };

/** Rejects where there is nothing to read. */
export async function readCredentials(authentication: Authentication): Promise<Credentials> {
  if (authentication.method === 'private_key_jwt') {
    return { method: 'private_key_jwt', keyPem: await readFile(authentication.keyFile, 'utf8'), kid: authentication.kid };
  }
  return { method: authentication.method, secret: await readSecret(authentication.secret) };
}

/** Rejects where there is none. */
export async function readSecret(secret: Secret): Promise<string> {
  const value = 'file' in secret ? (await readFile(secret.file, 'utf8')).trim() : process.env[secret.env];
  if (!value) throw new Error(`the secret in ${'file' in secret ? secret.file : `$${secret.env}`} is empty`);
  return value;
}
