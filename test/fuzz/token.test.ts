/** Tokens: one byte changed is one token refused, and nothing that is brought makes the verifier throw. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { REASONS } from '../../src/reasons.ts';
import { readBearer } from '../../src/token/bearer.ts';
import { createKeySet, usableKeys } from '../../src/token/jwks.ts';
import { toPrincipal } from '../../src/token/principal.ts';
import { verifyToken } from '../../src/token/verify.ts';
import { facts } from '../unit/mcp/facts.ts';
import {
  type Algorithm,
  base64url,
  claims,
  header,
  issuers,
  JWKS,
  NOW,
  NOW_MS,
  PAIRS,
  rules,
  signed,
  token,
  value,
} from '../unit/token/tokens.ts';
import { document } from './messages.ts';
import { runs } from './runs.ts';

const trusted = issuers(rules());
const verify = (jwt: string) => verifyToken(jwt, trusted, NOW_MS);

/** Refused, and with a word for the caller. */
async function isRefused(jwt: string): Promise<void> {
  const result = await verify(jwt);
  assert.ok(!result.ok, jwt);
  assert.notEqual(REASONS[result.denial.reason].outcome, 'allow');
}

suite('a token of which something is changed never verifies', () => {
  const samples = (Object.keys(PAIRS) as Algorithm[]).map((alg) => token({ alg }));
  const sample = fc.constantFrom(...samples);
  const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const unit = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...BASE64URL, '.') },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
  );

  test('before the change it does', async () => {
    for (const jwt of samples) value(await verify(jwt));
  });

  test('another character', () =>
    fc.assert(
      fc.asyncProperty(sample, fc.nat(), unit, async (jwt, place, other) => {
        const at = place % jwt.length;
        if (other !== jwt[at]) await isRefused(jwt.slice(0, at) + other + jwt.slice(at + 1));
      }),
      runs(2500),
    ));

  test('a character more, or fewer', () =>
    fc.assert(
      fc.asyncProperty(sample, fc.nat(), unit, async (jwt, place, more) => {
        const at = place % (jwt.length + 1);
        await isRefused(jwt.slice(0, at) + more + jwt.slice(at));
        if (at < jwt.length) await isRefused(jwt.slice(0, at) + jwt.slice(at + 1));
      }),
      runs(1000),
    ));

  test('one bit of what is signed, or of the signature', () =>
    fc.assert(
      fc.asyncProperty(sample, fc.nat(2), fc.nat(), async (jwt, part, place) => {
        const parts = jwt.split('.');
        const bytes = Buffer.from(parts[part] ?? '', 'base64url');
        const bit = place % (bytes.length * 8);
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        parts[part] = base64url(bytes);
        await isRefused(parts.join('.'));
      }),
      runs(2000),
    ));

  test('the parts of several tokens put together', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...samples.flatMap((jwt) => jwt.split('.'))), { minLength: 1, maxLength: 4 }),
        async (parts) => {
          const jwt = parts.join('.');
          if (!samples.includes(jwt)) await isRefused(jwt);
        },
      ),
      runs(500),
    ));
});

suite('nothing is thrown', () => {
  test('at any text', () => fc.assert(fc.asyncProperty(fc.string({ unit: 'binary' }), isRefused), runs(1000)));

  test('at any text of three parts', () => {
    const part = fc.oneof(
      fc.base64String().map((text) => text.replaceAll('=', '')),
      document.map(base64url),
      fc.string(),
    );
    return fc.assert(
      fc.asyncProperty(part, part, part, (...parts) => isRefused(parts.join('.'))),
      runs(1500),
    );
  });

  test('at any header and any claims, well signed', () => {
    const anything = fc.oneof(document, fc.constantFrom('null', '[]', '{}', '1e308', '-1', '""'));
    const member = fc.constantFrom(
      'iss',
      'sub',
      'aud',
      'exp',
      'iat',
      'nbf',
      'jti',
      'client_id',
      'azp',
      'scope',
      'act',
      'cnf',
      'typ',
      'alg',
      'kid',
      'crit',
      'jwk',
      'other',
    );
    const change = fc.tuple(fc.boolean(), member, anything);
    return fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 2 }), async (changes) => {
        const texts = [JSON.stringify(header()), JSON.stringify(claims())].map((text, part) => {
          const members = new Map(Object.entries(JSON.parse(text)).map(([name, one]) => [name, JSON.stringify(one)]));
          for (const [ofHeader, name, other] of changes) if (ofHeader === (part === 0)) members.set(name, other);
          return `{${[...members].map(([name, one]) => `"${name}":${one}`).join(',')}}`;
        });
        const result = await verify(signed(texts[0] ?? '', texts[1] ?? ''));
        if (!result.ok) return assert.notEqual(REASONS[result.denial.reason].outcome, 'allow');
        const { issuer, subject, clientId, expiresAt, claims: all } = result.value;
        for (const name of [issuer, subject, clientId]) assert.ok(typeof name === 'string' && name !== '');
        assert.ok(expiresAt > NOW - 5 && expiresAt - (all.iat as number) <= 3600 && all.cnf === undefined);
      }),
      runs(1500),
    );
  });

  test('at any claims in the principal', () => {
    const some = fc.dictionary(
      fc.constantFrom('iss', 'sub', 'aud', 'exp', 'client_id', 'azp', 'scope', 'act', 'jti'),
      fc.anything(),
    );
    fc.assert(
      fc.property(some, (changes) => {
        const result = toPrincipal({ ...claims(), ...changes });
        if (result.ok) assert.ok(result.value.scopes.every((scope) => !/[\s"\\]/.test(scope)));
      }),
      runs(1000),
    );
  });

  test('at any Authorization header', () => {
    const line = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string().map((text) => `Bearer ${text}`),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 2 }), (authorization) => {
        const read = readBearer(facts({}, { authorization }));
        if (read.ok) assert.deepEqual([authorization.length, /^[\w.~+/-]+=*$/.test(read.value)], [1, true]);
      }),
      runs(1000),
    );
  });

  test('at any key set but as one that is refused', () => {
    const member = fc.oneof(fc.anything(), fc.constantFrom(...JWKS.keys.flatMap((key) => Object.values(key))));
    const name = fc.constantFrom('kty', 'crv', 'x', 'y', 'n', 'e', 'd', 'use', 'alg', 'kid', 'key_ops', 'ext');
    const key = fc
      .tuple(fc.constantFrom(...JWKS.keys, {}), fc.dictionary(name, member, { maxKeys: 2 }))
      .map(([good, changes]) => ({ ...good, ...changes }));
    return fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.anything(), fc.record({ keys: fc.array(fc.oneof(key, fc.anything()), { maxLength: 3 }) })),
        async (set) => {
          try {
            const { keys } = usableKeys(set);
            assert.ok(keys.every((one) => one.kty !== 'oct' && one.d === undefined));
          } catch (error) {
            assert.ok(error instanceof TypeError, String(error));
          }
          const keySet = createKeySet({
            fetchKeys: async () => set,
            now: () => NOW_MS,
            cooldownMs: 1,
            maxAgeMs: 1,
            maxStaleMs: 1,
          });
          const result = await verifyToken(token(), issuers(rules({ keySet })), NOW_MS);
          if (result.ok) assert.equal(result.value.subject, 'alice');
        },
      ),
      runs(500),
    );
  });
});
