/**
 * Token exchange (RFC 8693): exactly which delegation token comes back, and which error for everything that is not right.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createRemoteJWKSet, decodeJwt, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import * as oauth from 'oauth4webapi';
import type { Provider } from 'oidc-provider';
import type { AuthorizationServer } from '../../examples/reference/authorization-server.ts';
import { referenceBackends } from '../../examples/reference/backends.ts';
import { clientCredentials } from '../../examples/reference/sign-in.ts';
import { createSigningKey } from '../../examples/reference/signing-key.ts';
import { registerTokenExchange, TOKEN_EXCHANGE } from '../../examples/reference/token-exchange.ts';
import { directoryAudience, gatewayOf, ledgerAudience, ledgerUrl, startIssuer, tokenOf } from './support/deployment.ts';
import { ACCESS_TOKEN, createExchange } from './support/gateway.ts';
import { json } from './support/json.ts';

const scope = 'enterprise-ledger:getAccount';

test('a user token becomes a delegation token for one operation', async (t) => {
  const server = await startIssuer(t);
  const subjectToken = await tokenOf(server, 'alice', ledgerUrl);
  const response = await gatewayOf(server)(exchangeOf(subjectToken));
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('cache-control'), 'no-store');

  const { access_token, ...rest } = await json(response);
  assert.deepEqual(rest, { issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5, scope });
  const { payload, protectedHeader } = await jwtVerify(access_token, createRemoteJWKSet(new URL(server.jwksUri)));
  assert.deepEqual([protectedHeader.alg, protectedHeader.typ], ['ES256', 'at+jwt']);
  const { iat = 0, exp = 0, jti, ...claims } = payload;
  assert.equal(exp, iat + 5);
  assert.equal(typeof jti, 'string');
  assert.deepEqual(claims, {
    iss: server.issuer,
    sub: 'alice',
    act: { sub: 'ai-identity-gateway' },
    aud: ledgerAudience,
    scope,
    client_id: 'ai-identity-gateway',
  });
});

test('a token that an agent got for itself is delegated as the agent', async (t) => {
  const server = await startIssuer(t);
  const agent = { clientId: 'bedrock-agentcore', clientSecret: server.agentCoreSecret };
  const request = { issuer: server.issuer, ...agent, resource: ledgerUrl, scope: 'ledger:read' };
  const { access_token } = await clientCredentials(request);
  const { answer } = await exchanged(t, { subject_token: access_token }, server);
  const { sub, act } = decodeJwt(answer.access_token);
  assert.deepEqual({ sub, act }, { sub: 'bedrock-agentcore', act: { sub: 'ai-identity-gateway' } });
});

test('the actors of the subject token are kept, inside', async () => {
  const { exchange, sign } = await grantAlone();
  const subjectToken = await sign({ act: { sub: 'orchestrator', act: { sub: 'planner' } } });
  const { access_token } = await exchange(exchangeOf(subjectToken));
  assert.deepEqual(decodeJwt(access_token).act, {
    sub: 'ai-identity-gateway',
    act: { sub: 'orchestrator', act: { sub: 'planner' } },
  });
});

for (const [name, change] of Object.entries({
  'has expired': { exp: 1 },
  'has no subject': { sub: undefined },
  'is for no front door': { aud: 'https://elsewhere.example' },
  'is of another issuer': { iss: 'https://elsewhere.example' },
})) {
  test(`refused: a subject token that ${name}`, async () => {
    const { exchange, sign } = await grantAlone();
    await assert.rejects(exchange(exchangeOf(await sign(change))), { error: 'invalid_request' });
  });
}

test('refused: a subject token that is another kind of JWT', async () => {
  const { exchange, sign } = await grantAlone();
  await assert.rejects(exchange(exchangeOf(await sign({}, 'JWT'))), { error: 'invalid_request' });
});

test('the gateway can authenticate with a signed assertion', async (t) => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const server = await startIssuer(t, { gateway: { publicJwk: await exportJWK(publicKey) } });
  assert.equal(server.gatewaySecret, undefined);
  const subjectToken = await tokenOf(server, 'alice', ledgerUrl);

  const response = await createExchange(server.issuer, oauth.PrivateKeyJwt(privateKey))(exchangeOf(subjectToken));
  assert.equal(response.status, 200);

  const stranger = await generateKeyPair('ES256');
  const refused = await createExchange(server.issuer, oauth.PrivateKeyJwt(stranger.privateKey))(exchangeOf(subjectToken));
  assert.deepEqual([refused.status, (await json(refused)).error], [401, 'invalid_client']);
});

test('only the gateway may exchange', async (t) => {
  const server = await startIssuer(t);
  const body = new URLSearchParams({ grant_type: TOKEN_EXCHANGE, client_id: 'claude-code', ...exchangeOf('x') });
  const response = await fetch(`${server.issuer}/token`, { method: 'POST', body });
  const { error, error_description } = await json(response);
  assert.deepEqual([response.status, error], [400, 'invalid_request']);
  assert.match(error_description, /grant type is not allowed/);
});

test('the target can be named by resource or by both, but is only one', async (t) => {
  const named = { audience: '', resource: ledgerAudience };
  assert.equal((await exchanged(t, named)).status, 200);
  assert.equal((await exchanged(t, { audience: ledgerAudience, resource: ledgerAudience })).status, 200);

  const server = await startIssuer(t);
  const parameters = Object.entries(exchangeOf(await tokenOf(server, 'alice', ledgerUrl)));
  const twice = await gatewayOf(server)([...parameters, ['audience', directoryAudience]]);
  assert.deepEqual([twice.status, (await json(twice)).error], [400, 'invalid_target']);
});

test('the delegation lifetime can be set', async (t) => {
  const server = await startIssuer(t, { delegationSeconds: 2 });
  const { answer } = await exchanged(t, {}, server);
  const { iat = 0, exp = 0 } = decodeJwt(answer.access_token);
  assert.deepEqual([exp - iat, answer.expires_in], [2, 2]);
});

const refusals: { name: string; change: Record<string, string>; error: string }[] = [
  { name: 'an unknown audience', change: { audience: 'https://other.internal/mcp' }, error: 'invalid_target' },
  { name: 'a front door as the target', change: { audience: ledgerUrl }, error: 'invalid_target' },
  { name: 'two different targets', change: { resource: directoryAudience }, error: 'invalid_target' },
  {
    name: 'the backend of another front door',
    change: { audience: directoryAudience, scope: 'employee-directory:getEmployee' },
    error: 'invalid_target',
  },
  { name: 'no target', change: { audience: '' }, error: 'invalid_request' },
  { name: 'a scope of another backend', change: { scope: 'employee-directory:getEmployee' }, error: 'invalid_scope' },
  { name: 'an unknown tool', change: { scope: 'enterprise-ledger:dropTables' }, error: 'invalid_scope' },
  { name: 'one good and one bad scope', change: { scope: `${scope} ledger:read` }, error: 'invalid_scope' },
  { name: 'no scope', change: { scope: '' }, error: 'invalid_scope' },
  { name: 'no subject token', change: { subject_token: '' }, error: 'invalid_request' },
  { name: 'a garbled subject token', change: { subject_token: 'e30.e30.x' }, error: 'invalid_request' },
  {
    name: 'another kind of subject token',
    change: { subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' },
    error: 'invalid_request',
  },
  {
    name: 'another kind of token asked for',
    change: { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
    error: 'invalid_request',
  },
  { name: 'an actor token', change: { actor_token: 'x', actor_token_type: ACCESS_TOKEN }, error: 'invalid_request' },
];

for (const { name, change, error } of refusals) {
  test(`refused: ${name} (${error})`, async (t) => {
    const { status, answer } = await exchanged(t, change);
    assert.deepEqual([status, answer.error], [400, error]);
    assert.equal(answer.access_token, undefined);
  });
}

test('a delegation token is no subject token, nor is one of another issuer', async (t) => {
  const server = await startIssuer(t);
  const { answer } = await exchanged(t, {}, server);
  const other = await startIssuer(t);
  for (const subject_token of [answer.access_token, await tokenOf(other, 'alice', ledgerUrl)]) {
    const refused = await exchanged(t, { subject_token }, server);
    assert.deepEqual([refused.status, refused.answer.error], [400, 'invalid_request']);
  }
});

/** The parameters of a good exchange. */
function exchangeOf(subjectToken: string): Record<string, string> {
  return { subject_token: subjectToken, subject_token_type: ACCESS_TOKEN, audience: ledgerAudience, scope };
}

/** Exchanges a token of alice with some parameters changed; an empty one is left out. */
async function exchanged(t: TestContext, change: Record<string, string>, running?: AuthorizationServer) {
  const server = running ?? (await startIssuer(t));
  const all = { ...exchangeOf(await tokenOf(server, 'alice', ledgerUrl)), ...change };
  const response = await gatewayOf(server)(Object.entries(all).filter(([, value]) => value !== ''));
  return { status: response.status, answer: await json(response) };
}

/** The grant without a server around it, and its key: for subject tokens that no real sign-in gives. */
async function grantAlone() {
  const issuer = 'https://as.example';
  const key = await createSigningKey();
  const backends = referenceBackends(['https://localhost:8443']);
  const handlers: ((ctx: object) => Promise<void>)[] = [];
  const provider = { registerGrantType: (_name: string, handler: (typeof handlers)[0]) => handlers.push(handler) };
  const options = { issuer, keys: [key] as const, backends, delegationSeconds: 5 };
  registerTokenExchange(provider as unknown as Provider, options);

  const exchange = async (params: Record<string, string>) => {
    const ctx = { oidc: { params, client: { clientId: 'ai-identity-gateway' } }, body: { access_token: '' } };
    await handlers[0]?.(ctx);
    return ctx.body;
  };
  const sign = (change: Record<string, unknown>, typ = 'at+jwt') => {
    const exp = Math.floor(Date.now() / 1000) + 60;
    const claims = { iss: issuer, sub: 'alice', aud: ledgerUrl, client_id: 'claude-code', exp, ...change };
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ, kid: key.kid }).sign(key.privateKey);
  };
  return { exchange, sign };
}
