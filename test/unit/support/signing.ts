/** Bundles signed here, to be wrong in one way each; and those that OPA signed. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CompactSign } from 'jose';
import type { BundleRules } from '../../../src/bundle/bundle.ts';
import { hashMember, isDocument } from '../../../src/bundle/hash.ts';
import { readTree } from '../../../src/bundle/json-tree.ts';
import type { SignatureAlgorithm, VerificationKey } from '../../../src/bundle/signature.ts';
import { bundleRules, type Member } from './bundles.ts';

export type SignedByOpa = 'rs256' | 'es256' | 'hs256' | 'wasm-ps256' | 'folder-es256' | 'nameless-rs256';

const fixture = (name: string) => readFileSync(new URL(`../../fixtures/bundles/${name}`, import.meta.url));

export function bundleByOpa(name: SignedByOpa): Buffer {
  return fixture(`${name}.tar.gz`);
}

export const OPA_KEYS = {
  rs256: { id: 'default', algorithm: 'RS256', key: String(fixture('rsa.pub.pem')) },
  es256: { id: 'default', algorithm: 'ES256', key: String(fixture('ec.pub.pem')) },
  hs256: { id: 'default', algorithm: 'HS256', key: 'a secret that is long enough for HMAC' },
  'wasm-ps256': { id: 'default', algorithm: 'PS256', key: String(fixture('rsa.pub.pem')) },
  'folder-es256': { id: 'claimed', algorithm: 'ES256', key: String(fixture('ec.pub.pem')), scope: 'gateway' },
  'nameless-rs256': { id: 'mine', algorithm: 'RS256', key: String(fixture('rsa.pub.pem')) },
} as const satisfies Record<SignedByOpa, VerificationKey>;

/** Rules under which a bundle has to be signed. */
export function signedRules(key: VerificationKey, signing: Partial<NonNullable<BundleRules['signing']>> = {}): BundleRules {
  return { ...bundleRules, signing: { keys: [key], ...signing } };
}

export interface Signer {
  readonly key: VerificationKey;
  /** The token over these members. */
  readonly sign: (members: readonly Member[], change?: Change) => Promise<string>;
}

/** What a token is to have that a right one has not, or the other way round. */
export interface Change {
  readonly header?: Record<string, unknown>;
  readonly payload?: (payload: Payload) => unknown;
}

interface Payload {
  files: { name: string; hash: string; algorithm: string }[];
  [claim: string]: unknown;
}

export function createSigner(algorithm: SignatureAlgorithm = 'ES256', id = 'k1'): Signer {
  const { publicKey, privateKey } = keyPair(algorithm);
  const key = typeof publicKey === 'string' ? publicKey : String(publicKey.export({ type: 'spki', format: 'pem' }));
  return {
    key: { id, algorithm, key },
    sign: async (members, { header = {}, payload: change = (payload: Payload): unknown => payload } = {}) => {
      const payload = change({ files: members.map(describeMember), keyid: id });
      const parameters = { alg: algorithm, kid: id, typ: 'JWT', ...header };
      for (const [name, value] of Object.entries(parameters))
        if (value === undefined) delete (parameters as Record<string, unknown>)[name];
      const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
      const signed = new CompactSign(new TextEncoder().encode(text)).setProtectedHeader(parameters as { alg: string });
      const options = header.crit === undefined ? {} : { crit: { [String((header.crit as string[])[0])]: true } };
      return signed.sign(typeof privateKey === 'string' ? Buffer.from(privateKey) : privateKey, options);
    },
  };
}

function keyPair(algorithm: SignatureAlgorithm): { publicKey: KeyObject | string; privateKey: KeyObject | string } {
  const secret = 'a secret of a test, long enough for any of the three of them: 64';
  if (algorithm.startsWith('HS')) return { publicKey: secret, privateKey: secret };
  if (algorithm === 'EdDSA') return generateKeyPairSync('ed25519');
  const curves: Record<string, string> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };
  const namedCurve = curves[algorithm];
  return namedCurve === undefined
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve });
}

function describeMember({ name, content = '' }: Member): Payload['files'][number] {
  const bytes = Buffer.from(content as string);
  return { name, hash: hashMember('SHA-256', isDocument(name) ? readTree(bytes) : bytes), algorithm: 'SHA-256' };
}

export function signatures(...tokens: readonly string[]): Member {
  return { name: '.signatures.json', content: JSON.stringify({ signatures: tokens }) };
}
