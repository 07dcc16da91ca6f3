/** The keys of one issuer: when they are fetched, how long they serve, and which of them are keys at all. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { suite, test } from 'node:test';
import { errors } from 'jose';
import { createKeySet, KeysUnavailable, usableKeys } from '../../../src/token/jwks.ts';
import { type Json, JWKS, PAIRS, publicJwk } from './tokens.ts';

const COOLDOWN = 30_000;
const MAX_AGE = 600_000;
const MAX_STALE = 3_600_000;

/** A key set over an issuer that answers when it is told to. */
function world(first: unknown = JWKS, options: Partial<Parameters<typeof createKeySet>[0]> = {}) {
  const state = { now: 1_000_000, document: first, fetches: 0, outcomes: [] as string[] };
  let gate: Promise<void> = Promise.resolve();
  const keySet = createKeySet({
    fetchKeys: async () => {
      state.fetches++;
      await gate;
      if (state.document instanceof Error) throw state.document;
      return structuredClone(state.document);
    },
    now: () => state.now,
    cooldownMs: COOLDOWN,
    maxAgeMs: MAX_AGE,
    maxStaleMs: MAX_STALE,
    onFetch: (outcome) => state.outcomes.push(outcome),
    ...options,
  });
  const find = (kid = 'ES256', alg = kid) => keySet.keyFor({ alg, kid });
  /** Holds every fetch until it is opened. */
  function close(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    return resolve;
  }
  return { state, keySet, find, close };
}

/** Lets what runs beside come to its end. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

const down = new Error('the issuer is down');
const unknownKid = errors.JWKSNoMatchingKey;
const only = (kid: keyof typeof PAIRS, as: string = kid) => ({ keys: [publicJwk(PAIRS[kid], { kid: as })] });

suite('fetching', () => {
  test('happens when a key is first needed, and then no more', async () => {
    const { state, keySet, find } = world();
    assert.deepEqual([state.fetches, keySet.held()], [0, null]);
    assert.equal((await find()).type, 'public');
    await Promise.all([find(), find('RS256'), find('EdDSA')]);
    assert.deepEqual([state.fetches, state.outcomes, keySet.held()?.size], [1, ['ok'], JWKS.keys.length]);
    assert.equal(keySet.held()?.at, state.now);
  });

  test('is one for a thousand callers', async () => {
    const { state, find, close } = world();
    const open = close();
    const all = Promise.all(Array.from({ length: 1000 }, () => find()));
    await settled();
    open();
    await all;
    assert.equal(state.fetches, 1);
  });

  test('can be had in advance', async () => {
    const { state, keySet, find } = world();
    await keySet.warm();
    await keySet.warm();
    await find();
    assert.equal(state.fetches, 1);
  });

  test('goes on with the keys of an earlier set', async () => {
    const before = world();
    await before.keySet.warm();
    const { state, find } = world(down, { before: before.keySet.held() });
    await find();
    assert.equal(state.fetches, 0);
  });
});

suite('an unknown kid', () => {
  test('is looked for once more, after the cooldown', async () => {
    const { state, find } = world(only('ES256'));
    await find();
    state.document = only('ES384');
    await assert.rejects(find('ES384'), unknownKid);
    assert.equal(state.fetches, 1, 'within the cooldown the issuer is left alone');
    state.now += COOLDOWN;
    assert.equal((await find('ES384')).type, 'public');
    await assert.rejects(find('ES256'), unknownKid);
    assert.equal(state.fetches, 2);
  });

  test('flood: one fetch in a cooldown, and good keys are served meanwhile', async () => {
    const { state, find } = world();
    await find();
    for (let second = 0; second < 60; second++) {
      state.now += 1000;
      await Promise.all(
        Array.from({ length: 20 }, (_, index) => assert.rejects(find(`forged-${second}-${index}`, 'ES256'), unknownKid)),
      );
      await find();
    }
    assert.equal(state.fetches, 3);
  });

  test('flood while the issuer is slow: good keys do not wait', async () => {
    const { state, find, close } = world();
    await find();
    state.now += COOLDOWN;
    const open = close();
    const forged = assert.rejects(find('forged', 'ES256'), unknownKid);
    await find();
    open();
    await forged;
    assert.equal(state.fetches, 2);
  });

  test('is refused with the old keys while the issuer is down', async () => {
    const { state, find } = world();
    await find();
    state.document = down;
    state.now += COOLDOWN;
    await assert.rejects(find('new', 'ES256'), unknownKid);
    await find();
    assert.deepEqual(state.outcomes, ['ok', 'failed']);
  });

  test('a known kid with another algorithm is unknown', async () => {
    const { find } = world();
    await assert.rejects(find('ES256', 'RS256'), unknownKid);
    await assert.rejects(find('RS256', 'PS256'), unknownKid);
  });

  test('a kid that two keys have is no key', async () => {
    const { find } = world({ keys: [publicJwk(PAIRS.RS256, { kid: 'k' }), publicJwk(PAIRS.PS256, { kid: 'k' })] });
    await assert.rejects(find('k', 'RS256'), errors.JWKSMultipleMatchingKeys);
  });
});

suite('age', () => {
  test('old keys are fetched again beside the call that notices', async () => {
    const { state, find, close } = world(only('ES256'));
    await find();
    state.document = only('ES384');
    state.now += MAX_AGE + 1;
    const open = close();
    await find();
    assert.equal(state.fetches, 2);
    open();
    await settled();
    await assert.rejects(find('ES256'), unknownKid, 'a key that was withdrawn is gone');
    await find('ES384');
  });

  test('an issuer that is down is asked once in a cooldown, and the keys serve on', async () => {
    const { state, find } = world();
    await find();
    state.document = down;
    state.now += MAX_AGE + 1;
    for (let second = 0; second < 60; second++) {
      await find();
      await settled();
      state.now += 1000;
    }
    assert.equal(state.fetches, 3);
  });

  test('keys that are too old serve no more', async () => {
    const { state, find } = world();
    await find();
    state.document = down;
    state.now += MAX_STALE;
    await find();
    state.now += 1;
    await assert.rejects(find(), KeysUnavailable);
  });

  test('when the issuer is back, so are its keys', async () => {
    const { state, find } = world();
    await find();
    state.document = down;
    state.now += MAX_STALE + 1;
    await assert.rejects(find(), KeysUnavailable);
    state.document = JWKS;
    await assert.rejects(find(), KeysUnavailable, 'not asked again at once');
    state.now += 1000;
    await find();
    assert.equal(state.fetches, 3);
  });

  test('a clock that was set back makes keys old, not young', async () => {
    const { state, find } = world(only('ES256'));
    state.now = 10 * MAX_STALE;
    await find();
    state.document = only('ES384');
    state.now -= MAX_STALE + 1;
    await find('ES384');
    assert.equal(state.fetches, 2);
  });
});

suite('without any key', () => {
  test('every caller is told so, with the cause', async () => {
    const { find } = world(down);
    await assert.rejects(find(), (error: Error) => error instanceof KeysUnavailable && error.cause === down);
  });

  test('the issuer is asked every second, not every cooldown', async () => {
    const { state, find } = world(down);
    for (let tick = 0; tick < 50; tick++) {
      await assert.rejects(find(), KeysUnavailable);
      state.now += 100;
    }
    assert.equal(state.fetches, 5);
    state.document = JWKS;
    await find();
  });

  test('a shorter cooldown stays as short', async () => {
    const { state, find } = world(down, { cooldownMs: 50 });
    await assert.rejects(find(), KeysUnavailable);
    state.now += 50;
    state.document = JWKS;
    await find();
  });

  test('a failed fetch is one for all who wait', async () => {
    const { state, find, close } = world(down);
    const open = close();
    const all = Array.from({ length: 100 }, () => assert.rejects(find(), KeysUnavailable));
    await settled();
    open();
    await Promise.all(all);
    assert.equal(state.fetches, 1);
  });
});

suite('documents that are no key set', () => {
  const odd: [what: string, document: unknown][] = [
    ['nothing', undefined],
    ['null', null],
    ['text', 'keys'],
    ['a list', [publicJwk(PAIRS.ES256)]],
    ['a key outside of a set', publicJwk(PAIRS.ES256)],
    ['keys that are no list', { keys: { 0: publicJwk(PAIRS.ES256) } }],
    ['no keys', { keys: [] }],
    ['keys that are none', { keys: [null, 'x', 7, [], {}] }],
    ['101 keys', { keys: Array(101).fill(publicJwk(PAIRS.ES256)) }],
    ['an error document', { error: 'server_error' }],
  ];
  for (const [what, document] of odd) {
    test(what, async () => {
      assert.throws(() => usableKeys(document), TypeError);
      const { state, find } = world();
      await find();
      state.document = document;
      state.now += MAX_AGE + 1;
      await find();
      await settled();
      await find();
      assert.deepEqual(state.outcomes, ['ok', 'failed'], 'the keys before stay in force');
    });
  }

  test('100 keys are a key set', () =>
    assert.equal(usableKeys({ keys: Array(100).fill(publicJwk(PAIRS.ES256)) }).keys.length, 100));
});

suite('which keys verify tokens', () => {
  const es256 = publicJwk(PAIRS.ES256);
  const rs256 = publicJwk(PAIRS.RS256);
  const ed25519 = publicJwk(PAIRS.EdDSA);
  const rsa = (modulusLength: number, publicExponent: number): Json =>
    publicJwk(generateKeyPairSync('rsa', { modulusLength, publicExponent }));
  const weak = rsa(1024, 65_537);
  const isUsable = (key: unknown): boolean => {
    const other = publicJwk(PAIRS.ES384, { kid: 'other' });
    return usableKeys({ keys: [key, other] }).keys.length === 2;
  };

  const good: [what: string, key: Json][] = [
    ...JWKS.keys.map((key): [string, Json] => [String(key.kid), key]),
    ['one without any other member', es256],
    ['one with operations', { ...es256, key_ops: ['verify'] }],
    ['one with several operations', { ...rs256, key_ops: ['sign', 'verify'] }],
    ['one with members unheard of', { ...ed25519, 'x-note': { a: 1 } }],
    ['RSA with a larger exponent', rsa(2048, 65_539)],
    ['RSA with a modulus next to one of ROCA', { ...rs256, n: rocaModulus(2n) }],
  ];
  for (const [what, key] of good) test(`${what} does`, () => assert.ok(isUsable(key)));

  const behindZeros = (text: unknown): string =>
    Buffer.concat([Buffer.alloc(300), Buffer.from(String(text), 'base64url')]).toString('base64url');
  const bad: [what: string, key: unknown][] = [
    ['a secret', { kty: 'oct', k: 'c2VjcmV0' }],
    ['a key with a secret in it', { ...es256, k: 'c2VjcmV0' }],
    ...(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const).map((member): [string, Json] => [
      `a key with ${member}`,
      { ...rs256, [member]: 'AQ' },
    ]),
    ['a private key of P-256', PAIRS.ES256.privateKey.export({ format: 'jwk' })],
    ['a private RSA key', PAIRS.RS256.privateKey.export({ format: 'jwk' })],
    ['a private Ed25519 key', PAIRS.EdDSA.privateKey.export({ format: 'jwk' })],
    ['a key for encryption', { ...rs256, use: 'enc' }],
    ['a key with a use that is no text', { ...rs256, use: ['sig'] }],
    ['a key with operations other than verify', { ...es256, key_ops: ['sign'] }],
    ['a key without operations', { ...es256, key_ops: [] }],
    ['a key with operations that are no list', { ...es256, key_ops: 'verify' }],
    ['RSA of 1024 bits', weak],
    ['RSA of 2040 bits', rsa(2040, 65_537)],
    ['RSA of 1024 bits behind zeros', { ...weak, n: behindZeros(weak.n) }],
    ['RSA with the exponent 3', rsa(2048, 3)],
    ['RSA with the exponent 1', { ...rs256, e: 'AQ' }],
    ['RSA with an even exponent', { ...rs256, e: 'AQAC' }],
    ['RSA with an exponent behind zeros', { ...rs256, e: behindZeros('Aw') }],
    ['RSA without an exponent', { kty: 'RSA', n: rs256.n }],
    ['RSA without a modulus', { kty: 'RSA', e: 'AQAB' }],
    ['RSA with a modulus that is no text', { ...rs256, n: 7 }],
    ['RSA with an empty modulus', { ...rs256, n: '' }],
    ['RSA of more than 16384 bits', { ...rs256, n: Buffer.alloc(2049, 0xff).toString('base64url') }],
    ['a modulus with the mark of ROCA', { ...rs256, n: rocaModulus() }],
    ['a point beside its curve', { ...es256, y: es256.x }],
    ['a point without y', { kty: 'EC', crv: 'P-256', x: es256.x }],
    ['a curve that does not fit the point', { ...es256, crv: 'P-384' }],
    ['secp256k1', publicJwk(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }))],
    ['a curve unheard of', { ...es256, crv: 'P-192' }],
    ['Ed448', publicJwk(generateKeyPairSync('ed448'))],
    ['X25519', publicJwk(generateKeyPairSync('x25519'))],
    ['Ed25519 cut short', { ...ed25519, x: String(ed25519.x).slice(4) }],
    ['a key without a type', { crv: 'P-256', x: es256.x, y: es256.y }],
    ['a type in lower case', { ...es256, kty: 'ec' }],
    ['a type unheard of', { kty: 'AKP', alg: 'ML-DSA-44', pub: 'AQ' }],
    ['text', 'key'],
    ['null', null],
    ['a list', [es256]],
  ];
  for (const [what, key] of bad) test(`${what} does not`, () => assert.equal(isUsable(key), false));

  test('a dropped key does not take the others with it', () => {
    const { keys } = usableKeys({ keys: [{ kty: 'oct', k: 'x' }, ...JWKS.keys] });
    assert.deepEqual(keys, JWKS.keys);
  });
});

/** 2048 bits that are a power of 65537 modulo every prime to 167, as the moduli of CVE-2017-15361 are. */
function rocaModulus(beside = 0n): string {
  const primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103];
  const more = [107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167];
  const primorial = [...primes, ...more].reduce((product, prime) => product * BigInt(prime), 1n);
  const target = 1n << 2047n;
  const modulus = target - (target % primorial) + primorial + 65_537n + beside;
  return Buffer.from(modulus.toString(16), 'hex').toString('base64url');
}
