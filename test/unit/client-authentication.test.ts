import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { suite, test } from 'node:test';
import { clientAuthentication } from '../../src/client-authentication.ts';

const pem = (key: { export: (options: { type: 'pkcs8'; format: 'pem' }) => unknown }): string =>
  String(key.export({ type: 'pkcs8', format: 'pem' }));

function withKey(keyPem: string) {
  return clientAuthentication({ method: 'private_key_jwt', keyPem, kid: 'k1' });
}

suite('a key for private_key_jwt', () => {
  test('is P-256, RSA or Ed25519', () => {
    withKey(pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey));
    withKey(pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey));
    withKey(pem(generateKeyPairSync('ed25519').privateKey));
  });

  test('is refused otherwise, without a word of the key', () => {
    const others = [
      pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey),
      pem(generateKeyPairSync('x25519').privateKey),
      '-----BEGIN PRIVATE KEY-----\nc2VjcmV0LWtleS1ieXRlcw==\n-----END PRIVATE KEY-----\n',
      'not a key at all: hunter2',
      '',
    ];
    for (const keyPem of others) {
      assert.throws(
        () => withKey(keyPem),
        (error: Error) => !/c2VjcmV0|hunter2|BEGIN/.test(`${error.message} ${error.cause ?? ''}`),
      );
    }
  });
});
