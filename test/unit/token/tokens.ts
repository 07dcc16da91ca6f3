/** Issuers, keys and tokens under our hands, so that any token can be made and time is a number. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createLocalJWKSet } from 'jose';
import type { Reason } from '../../../src/reasons.ts';
import type { Result } from '../../../src/result.ts';
import { type KeySet, KeysUnavailable } from '../../../src/token/jwks.ts';
import type { IssuerRules } from '../../../src/token/verify.ts';
import type { Denial } from '../../../src/verdict.ts';

export const ISSUER = 'https://as.example';
export const RESOURCE = 'https://mcp.example/ledger';
/** Midnight of 2026-11-20, in seconds. */
export const NOW = 1_795_132_800;
export const NOW_MS = NOW * 1000;

export type Json = Record<string, unknown>;
export type Pair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };

const rsa = (modulusLength: number, publicExponent = 65_537): Pair =>
  generateKeyPairSync('rsa', { modulusLength, publicExponent });
const ec = (namedCurve: string): Pair => generateKeyPairSync('ec', { namedCurve });

/** One pair for each algorithm; its name is the `kid`. */
export const PAIRS = {
  ES256: ec('P-256'),
  ES384: ec('P-384'),
  ES512: ec('P-521'),
  EdDSA: generateKeyPairSync('ed25519') as Pair,
  RS256: rsa(2048),
  PS256: rsa(2048),
} as const;
export type Algorithm = keyof typeof PAIRS;

export function publicJwk(pair: Pair, members: Json = {}): Json {
  return { ...pair.publicKey.export({ format: 'jwk' }), ...members };
}

export const JWKS = {
  keys: Object.entries(PAIRS).map(([kid, pair]) => publicJwk(pair, { kid, alg: kid, use: 'sig' })),
};

/** Keys that are simply there. */
export function fixedKeys(jwks: { keys: Json[] } = JWKS): KeySet {
  const find = createLocalJWKSet(jwks as never);
  return {
    keyFor: (header) => find(header),
    held: () => ({ find, at: NOW_MS, size: jwks.keys.length }),
    warm: async () => {},
  };
}

/** A key set that must not be asked. */
export const noKeys: KeySet = {
  keyFor: () => Promise.reject(new KeysUnavailable('no key should have been looked for')),
  held: () => null,
  warm: async () => {},
};

export function rules(changes: Partial<IssuerRules> = {}): IssuerRules {
  return {
    issuer: ISSUER,
    keySet: fixedKeys(),
    tokenTypes: new Set(['at+jwt']),
    algorithms: Object.keys(PAIRS),
    audiences: new Set(),
    clients: null,
    claims: {},
    maxLifetimeSeconds: 3600,
    clockToleranceSeconds: 5,
    ...changes,
  };
}

export function issuers(...all: IssuerRules[]): ReadonlyMap<string, IssuerRules> {
  return new Map(all.map((one) => [one.issuer, one]));
}

/** Claims that pass. */
export function claims(changes: Json = {}): Json {
  return present({
    iss: ISSUER,
    sub: 'alice',
    client_id: 'claude-code',
    aud: RESOURCE,
    scope: 'ledger:read',
    iat: NOW - 10,
    exp: NOW + 290,
    jti: 'token-1',
    ...changes,
  });
}

export function header(changes: Json = {}): Json {
  return present({ alg: 'ES256', typ: 'at+jwt', kid: 'ES256', ...changes });
}

/** `undefined` takes a member away. */
function present(members: Json): Json {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

export function base64url(text: string | Uint8Array): string {
  return Buffer.from(text).toString('base64url');
}

/** A compact JWS of these very texts, signed by hand; jose would not write most of what is made here. */
export function signed(headerText: string, payload: string | Uint8Array, pair: Pair = PAIRS.ES256, alg = 'ES256'): string {
  const content = `${base64url(headerText)}.${base64url(payload)}`;
  return `${content}.${signatureOf(content, pair, alg)}`;
}

function signatureOf(content: string, { privateKey }: Pair, alg: string): string {
  const digest = alg === 'EdDSA' ? null : `sha${alg.slice(2)}`;
  const padding = alg.startsWith('PS') ? { padding: 6, saltLength: -1 } : {};
  return sign(digest, Buffer.from(content), { key: privateKey, dsaEncoding: 'ieee-p1363', ...padding }).toString('base64url');
}

export interface TokenSpec {
  readonly header?: Json;
  readonly claims?: Json;
  readonly pair?: Pair;
  readonly alg?: Algorithm;
}

/** A token that passes, but for what is changed. */
export function token({ header: headerChanges, claims: claimChanges, alg = 'ES256', pair = PAIRS[alg] }: TokenSpec = {}): string {
  const protectedHeader = header({ alg, kid: alg, ...headerChanges });
  return signed(JSON.stringify(protectedHeader), JSON.stringify(claims(claimChanges)), pair, alg);
}

export function value<T>(result: Result<T>): T {
  if (!result.ok) assert.fail(`${result.denial.reason}: ${String(result.denial.cause)}`);
  return result.value;
}

export function denial(result: Result<unknown>, reason: Reason, what?: string): Denial {
  const found: Denial | null = result.ok ? null : result.denial;
  assert.deepEqual({ what, reason: found?.reason ?? 'accepted' }, { what, reason });
  assert.ok(found);
  return found;
}
