/** Verified tokens, kept: what is asked anew for every request, and how long anything is remembered. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { inspect } from 'node:util';
import { LRUCache } from 'lru-cache';
import type { KeySet } from '../../../src/token/jwks.ts';
import { createVerifier, type Expected, type VerifierOptions } from '../../../src/token/verifier.ts';
import { denial, fixedKeys, ISSUER, issuers, NOW_MS, RESOURCE, rules, token, value } from './tokens.ts';

const GATEWAY = 'ai-identity-gateway';
const TTL_MS = 60_000;

/** A verifier whose time stands still until it is moved, and whose key look-ups are counted. */
function world(options: Partial<VerifierOptions> = {}) {
  const state = { now: NOW_MS, clock: 1, lookups: [] as string[], signatures: 0 };
  const keys = fixedKeys();
  const keySet: KeySet = {
    ...keys,
    keyFor: (header) => {
      state.signatures++;
      return keys.keyFor(header);
    },
  };
  const verifier = createVerifier({
    issuers: issuers(rules({ keySet, audiences: new Set(['https://everywhere.example']) })),
    actor: GATEWAY,
    cacheEntries: 100,
    cacheTtlMs: TTL_MS,
    now: () => state.now,
    clock: () => state.clock,
    onLookup: (result) => state.lookups.push(result),
    ...options,
  });
  const expected: Expected = { audiences: new Set([RESOURCE]), issuers: new Set([ISSUER]) };
  const verify = (jwt: string, other: Partial<Expected> = {}) => verifier.verify(jwt, { ...expected, ...other });
  const pass = (ms: number) => {
    state.now += ms;
    state.clock += ms;
  };
  return { state, verifier, verify, pass };
}

suite('what is kept', () => {
  test('a token is verified once', async () => {
    const { state, verify, verifier } = world();
    const jwt = token();
    const first = value(await verify(jwt));
    assert.equal(value(await verify(jwt)), first);
    assert.deepEqual([state.signatures, state.lookups, verifier.cached()], [1, ['miss', 'hit'], 1]);
  });

  test('is one token, to the letter', async () => {
    const { state, verify } = world();
    const jwt = token();
    value(await verify(jwt));
    value(await verify(token()));
    denial(await verify(`${jwt.slice(0, -2)}AA`), 'token_signature_invalid');
    assert.equal(state.signatures, 3);
  });

  test('is no longer kept than it was said', async () => {
    const { state, verify, pass } = world();
    const jwt = token();
    await verify(jwt);
    pass(TTL_MS);
    await verify(jwt);
    pass(1);
    await verify(jwt);
    assert.deepEqual(state.lookups, ['miss', 'hit', 'miss']);
  });

  test('is never kept beyond its token', async () => {
    const { state, verify, pass } = world({ cacheTtlMs: 3_600_000 });
    const jwt = token({ claims: { exp: NOW_MS / 1000 + 10 } });
    value(await verify(jwt));
    pass(9_999);
    value(await verify(jwt));
    pass(1);
    value(await verify(jwt));
    assert.deepEqual(state.lookups, ['miss', 'hit', 'miss'], 'from here on only the clock tolerance lets it in');
    pass(5_000);
    denial(await verify(jwt), 'token_expired');
  });

  test('also not when the clock of the host leaps', async () => {
    const { state, verify } = world({ cacheTtlMs: 3_600_000 });
    const jwt = token();
    value(await verify(jwt));
    state.now += 86_400_000;
    denial(await verify(jwt), 'token_expired');
  });

  test('and not longer when the clock of the host is set back', async () => {
    const { state, verify } = world();
    const jwt = token();
    await verify(jwt);
    state.now -= 5_000;
    state.clock += TTL_MS + 1;
    await verify(jwt);
    assert.deepEqual(state.lookups, ['miss', 'miss']);
  });

  test('a token that only the clock tolerance lets in is not kept', async () => {
    const { verify, verifier } = world();
    value(await verify(token({ claims: { exp: NOW_MS / 1000 - 2 } })));
    assert.equal(verifier.cached(), 0);
  });

  test('a bad token is not kept', async () => {
    const { verify, verifier } = world();
    const forged = token().replace(/[^.]+$/, token({ claims: { sub: 'bob' } }).split('.')[2] ?? '');
    for (const jwt of [forged, 'x', token({ claims: { exp: 1 } })]) assert.equal((await verify(jwt)).ok, false);
    assert.equal(verifier.cached(), 0);
  });

  test('a token for somewhere else is kept, and refused each time', async () => {
    const { verify, verifier } = world();
    const jwt = token({ claims: { aud: 'https://other.example' } });
    for (let time = 0; time < 3; time++) denial(await verify(jwt), 'token_audience_mismatch');
    assert.equal(verifier.cached(), 1);
    value(await verify(jwt, { audiences: new Set(['https://other.example']) }));
  });

  test('is bounded', async () => {
    const { verify, verifier } = world({ cacheEntries: 3 });
    for (let number = 0; number < 5; number++) value(await verify(token({ claims: { jti: `t${number}` } })));
    assert.equal(verifier.cached(), 3);
  });

  test('holds nothing of the token', async (t) => {
    const kept: unknown[] = [];
    const { set } = LRUCache.prototype;
    t.mock.method(LRUCache.prototype, 'set', function (this: LRUCache<string, object>, ...entry: Parameters<typeof set>) {
      kept.push(...entry.slice(0, 2));
      return set.apply(this, entry);
    });
    const { verify, verifier } = world();
    const jwt = token();
    value(await verify(jwt));
    const shown = inspect([kept, verifier], { depth: 20, showHidden: true, maxStringLength: null });
    assert.equal(kept.length, 2);
    for (const part of jwt.split('.')) assert.ok(!shown.includes(part) && !shown.includes(part.slice(0, 30)));
  });
});

suite('what is asked for every request', () => {
  test('an audience of the resource, to the letter', async () => {
    const { verify } = world();
    value(await verify(token({ claims: { aud: ['https://other.example', RESOURCE] } })));
    for (const aud of [
      `${RESOURCE}/`,
      `${RESOURCE}x`,
      RESOURCE.slice(0, -1),
      RESOURCE.toUpperCase(),
      'https://mcp.example',
      `${RESOURCE} `,
    ])
      denial(await verify(token({ claims: { aud } })), 'token_audience_mismatch', aud);
    const one = token();
    denial(await verify(one, { audiences: new Set() }), 'token_audience_mismatch');
    denial(await verify(one, { audiences: new Set(['https://mcp.example/directory']) }), 'token_audience_mismatch');
    value(await verify(one));
  });

  test('or one that the issuer may use everywhere', async () => {
    const { verify } = world();
    value(await verify(token({ claims: { aud: 'https://everywhere.example' } }), { audiences: new Set() }));
  });

  test('an issuer that the resource accepts', async () => {
    const { verify } = world();
    const one = token();
    value(await verify(one));
    denial(await verify(one, { issuers: new Set() }), 'token_issuer_unknown');
    denial(await verify(one, { issuers: new Set(['https://other.example']) }), 'token_issuer_unknown');
    value(await verify(one));
  });

  test('the issuer comes before the audience', async () => {
    const { verify } = world();
    denial(await verify(token(), { issuers: new Set(), audiences: new Set() }), 'token_issuer_unknown');
  });

  test('that it is none of our own delegation tokens', async () => {
    const { verify } = world();
    const replayed = token({ claims: { act: { sub: GATEWAY, act: { sub: 'agent' } } } });
    for (let time = 0; time < 2; time++) denial(await verify(replayed), 'token_is_delegation');
    value(await verify(token({ claims: { act: { sub: 'backend', act: { sub: GATEWAY } } } })));
    value(await verify(token({ claims: { act: { sub: `${GATEWAY}-2` } } })));
  });
});

test('without a clock of its own it goes by the one of the process', async () => {
  const verifier = createVerifier({
    issuers: issuers(rules()),
    actor: GATEWAY,
    cacheEntries: 1,
    cacheTtlMs: TTL_MS,
    now: () => NOW_MS,
  });
  const expected = { audiences: new Set([RESOURCE]), issuers: new Set([ISSUER]) };
  const jwt = token();
  assert.equal(value(await verifier.verify(jwt, expected)), value(await verifier.verify(jwt, expected)));
});
