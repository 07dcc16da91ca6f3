import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { suite, test } from 'node:test';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { algorithmOf, createMint, type Mint, type MintKey } from '../../../src/delegation/mint.ts';
import type { Actor } from '../../../src/token/principal.ts';
import { ACTOR, AUDIENCE, alice, delegationRequest, NOW, NOW_MS, outbound } from '../support/facts.ts';

const ISSUER = 'https://gateway.example/authz';
const ec = (namedCurve = 'P-256'): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey;
const ed25519 = (): KeyObject => generateKeyPairSync('ed25519').privateKey;

function mintWith(...keys: [MintKey, ...MintKey[]]): Mint {
  return createMint({ issuer: ISSUER, actor: ACTOR, keys, now: () => NOW_MS + 999 });
}

function mint(maker: Mint, changes: Parameters<typeof delegationRequest>[0] = {}) {
  const result = maker.delegate(delegationRequest(changes));
  assert.ok(result.ok);
  return result.value;
}

/** As a backend does it: by what we publish. */
function verify(token: string, { jwks }: Mint) {
  return jwtVerify(token, createLocalJWKSet(jwks as unknown as JSONWebKeySet), {
    issuer: ISSUER,
    audience: AUDIENCE,
    typ: 'at+jwt',
    currentDate: new Date(NOW_MS),
    requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id', 'scope', 'act'],
  });
}

suite('a minted token', () => {
  for (const [alg, key] of [
    ['ES256', ec()],
    ['EdDSA', ed25519()],
  ] as const) {
    test(`is verified by the published keys (${alg})`, async () => {
      const maker = mintWith({ kid: 'k1', key });
      const made = mint(maker);
      const { payload, protectedHeader } = await verify(made.token, maker);
      assert.deepEqual(protectedHeader, { alg, typ: 'at+jwt', kid: 'k1' });
      assert.deepEqual(payload, {
        iss: ISSUER,
        sub: 'alice',
        act: { sub: ACTOR },
        aud: AUDIENCE,
        scope: 'ledger:getBalance',
        client_id: 'claude-code',
        iat: NOW,
        exp: NOW + 5,
        jti: made.tokenId,
      });
      const { token, tokenId, ...facts } = made;
      assert.deepEqual(facts, { audience: AUDIENCE, scope: 'ledger:getBalance', expiresAt: NOW + 5, actor: ACTOR });
      assert.ok(token.length < 8192 && tokenId.length === 36);
    });
  }

  test('is for one operation: no two have the same id', () => {
    const maker = mintWith({ kid: 'k1', key: ed25519() });
    const made = Array.from({ length: 100 }, () => mint(maker));
    assert.equal(new Set(made.map(({ tokenId }) => tokenId)).size, 100);
    assert.equal(new Set(made.map(({ token }) => token)).size, 100);
  });

  test('holds the scopes, the audience and the life that policy gave', async () => {
    const maker = mintWith({ kid: 'k1', key: ec() });
    const { token } = mint(maker, { outbound: { ...outbound, scopes: ['a', 'b'], ttlSeconds: 1, audience: AUDIENCE } });
    const { payload } = await verify(token, maker);
    assert.equal(payload.scope, 'a b');
    assert.equal(payload.exp, NOW + 1);
  });

  test('tells the whole chain of actors, ours first', async () => {
    const maker = mintWith({ kid: 'k1', key: ec() });
    const actor: Actor[] = [{ sub: 'agent-2', iss: 'https://agents.example' }, { sub: 'agent-1' }];
    const { payload } = await verify(mint(maker, { principal: { ...alice, actor } }).token, maker);
    assert.deepEqual(payload.act, {
      sub: ACTOR,
      act: { sub: 'agent-2', iss: 'https://agents.example', act: { sub: 'agent-1' } },
    });
  });

  test('takes nothing else over from the token that came', async () => {
    const maker = mintWith({ kid: 'k1', key: ec() });
    const principal = { ...alice, claims: { ...alice.claims, roles: ['admin'], aud: 'x', cnf: {} }, scopes: ['everything'] };
    const { payload } = await verify(mint(maker, { principal }).token, maker);
    assert.deepEqual(Object.keys(payload).sort(), ['act', 'aud', 'client_id', 'exp', 'iat', 'iss', 'jti', 'scope', 'sub']);
    assert.equal(payload.scope, 'ledger:getBalance');
  });

  test('survives names that mean something in JSON', async () => {
    const maker = mintWith({ kid: 'k1', key: ec() });
    const subject = 'a"b\\c\u2028\r\n\0𝄞';
    const { payload } = await verify(mint(maker, { principal: { ...alice, subject } }).token, maker);
    assert.equal(payload.sub, subject);
  });
});

suite('the keys', () => {
  const [old, next] = [
    { kid: 'old', key: ec() },
    { kid: 'next', key: ed25519() },
  ];

  test('rotate without a moment in which a token cannot be verified', async () => {
    const stages = [mintWith(old), mintWith(old, next), mintWith(next, old), mintWith(next)] as const;
    assert.deepEqual(
      stages.map(({ jwks }) => jwks.keys.map(({ kid }) => kid)),
      [['old'], ['old', 'next'], ['next', 'old'], ['next']],
    );
    // A backend may hold the keys of the stage before or after the one that signed.
    for (const [at, stage] of stages.entries()) {
      const { token } = mint(stage);
      const held = [stage, at % 2 === 0 ? stages[at + 1] : stages[at - 1]];
      for (const keys of held) await verify(token, keys as Mint);
    }
    await verify(mint(stages[1]).token, stages[2]);
  });

  test('are published without anything private', () => {
    const { jwks } = mintWith(old, next);
    for (const key of jwks.keys) {
      assert.deepEqual(
        ['d', 'p', 'q', 'k', 'dp', 'dq', 'qi'].filter((member) => member in key),
        [],
      );
      assert.equal(key.use, 'sig');
    }
    assert.deepEqual(
      jwks.keys.map(({ kty, crv, alg }) => ({ kty, crv, alg })),
      [
        { kty: 'EC', crv: 'P-256', alg: 'ES256' },
        { kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA' },
      ],
    );
  });

  test('are P-256 or Ed25519, also those that only wait', () => {
    const wrong = [ec('P-384'), ec('secp256k1'), generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey];
    wrong.push(generateKeyPairSync('x25519').privateKey, generateKeyPairSync('ed448').privateKey);
    for (const key of wrong) {
      assert.throws(() => algorithmOf(key), TypeError);
      assert.throws(() => mintWith({ kid: 'k', key }), TypeError);
      assert.throws(() => mintWith(old, { kid: 'k', key }), TypeError);
    }
  });
});
