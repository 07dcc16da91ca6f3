/**
 * The guard of a backend: one good token opens the door once, everything else is refused, each for its own reason.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type TestContext, test } from 'node:test';
import { SignJWT } from 'jose';
import { createGuard, type GuardOptions, isRefusal, neededScope } from '../../examples/reference/delegation-guard.ts';
import { listenOnLoopback } from '../../examples/reference/listen.ts';
import { createSigningKey } from '../../examples/reference/signing-key.ts';

const actor = 'ai-identity-gateway';
const audience = 'https://enterprise-ledger.internal/mcp';
const scope = 'enterprise-ledger:getAccount';

test('a good token is accepted once, and its claims are returned', async (t) => {
  const { guard, sign } = await start(t);
  const authorization = `Bearer ${await sign({ jti: 'one' })}`;
  const claims = await guard(authorization, scope);
  assert.ok(!isRefusal(claims));
  assert.deepEqual([claims.sub, claims.act, claims.jti], ['alice', { sub: actor }, 'one']);

  const replayed = await guard(authorization, scope);
  assert.ok(isRefusal(replayed));
  assert.deepEqual([replayed.status, replayed.description], [401, 'the token was already used']);
});

test('of two requests at once with the same token one is refused', async (t) => {
  const { guard, sign } = await start(t);
  const authorization = `Bearer ${await sign({})}`;
  const outcomes = await Promise.all([guard(authorization, scope), guard(authorization, scope)]);
  assert.equal(outcomes.filter(isRefusal).length, 1);
});

test('single use can be turned off', async (t) => {
  const { guard, sign } = await start(t, { singleUse: false });
  const authorization = `Bearer ${await sign({})}`;
  assert.ok(!isRefusal(await guard(authorization, scope)));
  assert.ok(!isRefusal(await guard(authorization, scope)));
});

test('a token refused for its scope is not used up', async (t) => {
  const { guard, sign } = await start(t);
  const authorization = `Bearer ${await sign({})}`;
  const refusal = await guard(authorization, 'enterprise-ledger:transferFunds');
  assert.ok(isRefusal(refusal));
  assert.equal(refusal.status, 403);
  assert.equal(
    refusal.challenge,
    'Bearer realm="enterprise-ledger", error="insufficient_scope", scope="enterprise-ledger:transferFunds", ' +
      'error_description="the token is not for enterprise-ledger:transferFunds"',
  );
  assert.ok(!isRefusal(await guard(authorization, scope)));
});

test('without a token the challenge has no error', async (t) => {
  const { guard } = await start(t);
  const refusal = await guard(undefined, scope);
  assert.ok(isRefusal(refusal));
  assert.equal(refusal.status, 401);
  assert.equal(refusal.challenge, `Bearer realm="enterprise-ledger", scope="${scope}"`);
});

const now = Math.floor(Date.now() / 1000);
const refusals: { name: string; claims: Record<string, unknown>; because: RegExp }[] = [
  { name: 'another audience', claims: { aud: 'https://employee-directory.internal/mcp' }, because: /another audience/ },
  {
    name: 'its audience among others',
    claims: { aud: [audience, 'https://other.example'] },
    because: /another audience/,
  },
  { name: 'another actor', claims: { act: { sub: 'bedrock-agentcore' } }, because: /actor/ },
  { name: 'the gateway only inside', claims: { act: { sub: 'x', act: { sub: actor } } }, because: /actor/ },
  { name: 'no actor', claims: { act: undefined }, because: /act claim/ },
  { name: 'a long life', claims: { exp: now + 60 }, because: /too long/ },
  { name: 'a future start', claims: { iat: now + 3_600, exp: now + 3_602 }, because: /future/ },
  { name: 'an end in the past', claims: { iat: now - 10, exp: now - 5 }, because: /expired/ },
  { name: 'no end', claims: { exp: undefined }, because: /exp claim/ },
  { name: 'no start', claims: { iat: undefined }, because: /iat claim/ },
  { name: 'no jti', claims: { jti: undefined }, because: /jti claim/ },
  { name: 'no subject', claims: { sub: undefined }, because: /sub claim/ },
  { name: 'no scope', claims: { scope: undefined }, because: /scope claim/ },
  { name: 'a scope that is a list', claims: { scope: [scope] }, because: /must be strings/ },
  { name: 'an unknown issuer', claims: { iss: 'https://as.example' }, because: /issuer is not trusted/ },
];

for (const { name, claims, because } of refusals) {
  test(`refused: a token with ${name}`, async (t) => {
    const { guard, sign } = await start(t);
    const refusal = await guard(`Bearer ${await sign(claims)}`, scope);
    assert.ok(isRefusal(refusal));
    assert.equal(refusal.status, 401);
    assert.equal(refusal.error, 'invalid_token');
    assert.match(refusal.description, because);
  });
}

test('refused: another kind of JWT, another key, no JWT at all, two tokens', async (t) => {
  const { guard, sign } = await start(t);
  const { sign: forge } = await start(t);
  const good = await sign({});
  const bad = {
    'another kind': `Bearer ${await sign({}, { typ: 'JWT' })}`,
    'another key': `Bearer ${await forge({ iss: (await start(t)).issuer })}`,
    'a changed signature': `Bearer ${good.slice(0, -4)}AAAA`,
    'no signature': `Bearer ${good.split('.').slice(0, 2).join('.')}.`,
    'no JWT': 'Bearer opaque',
    'no bearer token': 'Basic YTpi',
    'two tokens': `Bearer ${good}, Bearer ${good}`,
    nothing: '',
  };
  for (const [name, authorization] of Object.entries(bad)) {
    const refusal = await guard(authorization, scope);
    assert.ok(isRefusal(refusal), name);
    assert.deepEqual([refusal.status, refusal.error], [401, 'invalid_token'], name);
  }
  assert.ok(!isRefusal(await guard(`Bearer ${good}`, scope)));
});

test('refused: any token while the keys of the issuer cannot be fetched', async (t) => {
  const { guard, sign, stop } = await start(t);
  await stop();
  const refusal = await guard(`Bearer ${await sign({})}`, scope);
  assert.ok(isRefusal(refusal));
  assert.match(refusal.description, /cannot be fetched/);
});

test('the scope a message needs names the tool, or the protocol', () => {
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'getAccount' } };
  assert.equal(neededScope('enterprise-ledger', call), scope);
  for (const message of [undefined, null, [call], 'tools/call', { method: 'tools/list' }, { params: { name: 'x' } }]) {
    assert.equal(neededScope('enterprise-ledger', message), 'enterprise-ledger:protocol');
  }
});

/** An issuer of any token one likes, its published key, and a guard that trusts it. */
async function start(t: TestContext, options: Partial<GuardOptions> = {}) {
  const key = await createSigningKey();
  const server = createServer((_request, response) => response.end(JSON.stringify({ keys: [key.publicJwk] })));
  const { port, stop } = await listenOnLoopback(server, 0);
  t.after(stop);

  const issuer = `http://127.0.0.1:${port}`;
  const issuers = [{ issuer, jwksUri: `${issuer}/jwks` }];
  const guard = createGuard({ backend: 'enterprise-ledger', issuers, audience, actor, ...options });
  const sign = (change: Record<string, unknown>, { typ = 'at+jwt' } = {}) => {
    const iat = Math.floor(Date.now() / 1000);
    const life = { iat, exp: iat + 5, jti: crypto.randomUUID() };
    const claims = { iss: issuer, sub: 'alice', aud: audience, act: { sub: actor }, scope, ...life, ...change };
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ, kid: key.kid }).sign(key.privateKey);
  };
  return { issuer, guard, sign, stop };
}
