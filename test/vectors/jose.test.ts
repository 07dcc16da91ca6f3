/** Wycheproof and the RFC 7520 cookbook: signatures, key sets and encrypted tokens, each also brought as a bearer token. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { compactVerify } from 'jose';
import { REASONS } from '../../src/reasons.ts';
import { readBearer } from '../../src/token/bearer.ts';
import { createKeySet, type KeySet, usableKeys } from '../../src/token/jwks.ts';
import { verifyToken } from '../../src/token/verify.ts';
import { corpusCases, needs } from '../support/corpora.ts';
import { facts } from '../unit/mcp/facts.ts';
import { issuers, type Json, NOW_MS, noKeys, rules } from '../unit/token/tokens.ts';

const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'EdDSA', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];

/** The keys as they would come from an issuer. */
function keySetOf(document: unknown): KeySet {
  return createKeySet({ fetchKeys: async () => document, now: () => NOW_MS, cooldownMs: 1000, maxAgeMs: 1000, maxStaleMs: 1000 });
}

/** A key or a key set as a key set. */
function asSet(key: Json): { keys: Json[] } {
  return Array.isArray(key.keys) ? (key as { keys: Json[] }) : { keys: [key] };
}

async function signatureHolds(jws: string, document: unknown): Promise<boolean> {
  const { keyFor } = keySetOf(document);
  return compactVerify(jws, (header) => keyFor(header), { algorithms: ALGORITHMS }).then(
    () => true,
    () => false,
  );
}

/** What a caller gets that brings this as its token. */
async function statusFor(token: string, keySet: KeySet): Promise<number> {
  const read = readBearer(facts({}, { authorization: `Bearer ${token}` }));
  const verified = read.ok ? await verifyToken(read.value, issuers(rules({ keySet, algorithms: ALGORITHMS })), NOW_MS) : read;
  assert.ok(!verified.ok);
  return REASONS[verified.denial.reason].status;
}

interface JwsCase {
  readonly id: string;
  readonly comment: string;
  readonly key: Json;
  readonly jws: string | Json;
  readonly verify_expect: 'signature_ok' | 'reject';
}

function headerOf(jws: string): { alg?: unknown } {
  return JSON.parse(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString());
}

/** Good by the vector, and still not for us: shared secrets, and keys whose own `alg` says something else. */
function isBeyondUs({ jws, key }: JwsCase): boolean {
  return (
    asSet(key).keys.every(({ alg }) => typeof jws === 'string' && alg !== headerOf(jws).alg) || asSet(key).keys[0]?.kty === 'oct'
  );
}

suite('Wycheproof signatures', needs('jose/jws_cases.jsonl'), () => {
  const cases = corpusCases<JwsCase>('jose', 'jws_cases.jsonl');

  test('are all there', () => {
    const good = cases.filter(({ verify_expect }) => verify_expect === 'signature_ok');
    assert.deepEqual([cases.length, good.length, good.filter(isBeyondUs).length], [470, 44, 9]);
  });

  for (const one of cases) {
    const holds = one.verify_expect === 'signature_ok' && !isBeyondUs(one);
    const jws = typeof one.jws === 'string' ? one.jws : JSON.stringify(one.jws);
    test(`${one.id} ${one.comment}: ${holds ? 'holds' : 'does not hold'}`, async () => {
      assert.equal(await signatureHolds(jws, asSet(one.key)), holds);
      assert.equal(await statusFor(jws, keySetOf(asSet(one.key))), 401);
    });
  }
});

suite('Wycheproof keys', needs('jose/jws_cases.jsonl'), () => {
  /** The sets in which one key may verify tokens; in the others there is none. */
  const usable = new Map([
    [1, 'a curve beside a secret'],
    [5, 'RSA beside a key for encryption'],
    [19, 'P-256 under the name of ES521, which no token can use'],
    [20, 'P-256 under the name of ES224, which no token can use'],
  ]);
  const sets = corpusCases<JwsCase>('jose', 'jws_cases.jsonl').filter(({ id }) => id.startsWith('wy:json_web_key:'));

  test('are all there', () => assert.equal(sets.length, 26));

  for (const { id, comment, key } of sets) {
    const what = usable.get(Number(id.split(':')[2]));
    test(`${id} ${comment}: ${what ?? 'none is left'}`, () => {
      if (what === undefined) assert.throws(() => usableKeys(key), TypeError);
      else assert.equal(usableKeys(key).keys.length, 1);
    });
  }

  test('of the keys of the signatures all but secrets and those of these may verify tokens', () => {
    const expected = new Set([
      'wy:json_web_signature:353 rejectWrongUse',
      'wy:json_web_signature:354 rejectWrongUse',
      'wy:json_web_signature:355 rejectWrongKeyOps',
      'wy:json_web_signature:356 rejectWrongKeyOps',
      'wy:json_web_crypto:46 rejectsKeyWithRocaVulnerability',
    ]);
    for (const { id, comment, key } of corpusCases<JwsCase>('jose', 'jws_cases.jsonl')) {
      if (Array.isArray(key.keys) || key.kty === 'oct') continue;
      const name = `${id} ${comment}`;
      if (expected.delete(name)) assert.throws(() => usableKeys({ keys: [key] }), TypeError, name);
      else assert.equal(usableKeys({ keys: [key] }).keys.length, 1, name);
    }
    assert.deepEqual([...expected], []);
  });
});

suite('Wycheproof encrypted tokens', needs('jose/jwe_cases.jsonl'), () => {
  const cases = corpusCases<{ readonly id: string; readonly jwe: string | Json }>('jose', 'jwe_cases.jsonl');

  test('are all there', () => assert.equal(cases.length, 173));

  for (const { id, jwe } of cases)
    test(`${id} is refused before a key is looked for`, async () => {
      assert.equal(await statusFor(typeof jwe === 'string' ? jwe : JSON.stringify(jwe), noKeys), 401);
    });
});

suite('the cookbook of RFC 7520', needs('jose/rfc7520_cases.jsonl'), () => {
  interface CookbookCase {
    readonly id: string;
    readonly title: string;
    readonly compact: string;
    readonly key: Json | null;
    readonly parts: number;
  }
  const cases = corpusCases<CookbookCase>('jose', 'rfc7520_cases.jsonl');
  const publicHalf = ({ kty, crv, x, y, n, e, kid }: Json): Json => JSON.parse(JSON.stringify({ kty, crv, x, y, n, e, kid }));

  test('is all there', () => assert.equal(cases.length, 17));

  for (const { id, title, compact, key, parts } of cases) {
    test(`${id} ${title}`, async () => {
      const document = { keys: key === null ? [] : [key, publicHalf(key)] };
      const isSignature = parts === 3 && key?.kty !== 'oct' && compact.split('.')[1] !== '';
      assert.equal(await signatureHolds(compact, document), isSignature);
      assert.equal(await statusFor(compact, keySetOf(document)), 401);
    });
  }
});
