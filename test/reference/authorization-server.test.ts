/**
 * The reference authorization server as its clients see it: metadata, keys, who gets which token for which resource.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import { agentCoreRedirectUri } from '../../examples/reference/authorization-server.ts';
import { clientCredentials, signIn } from '../../examples/reference/sign-in.ts';
import { TOKEN_EXCHANGE } from '../../examples/reference/token-exchange.ts';
import { allScopes, directoryUrl, ledgerUrl, startIssuer, tokenOf } from './support/deployment.ts';
import { json } from './support/json.ts';

test('metadata is published by RFC 8414 and OpenID Connect', async (t) => {
  const { issuer } = await startIssuer(t);
  for (const name of ['oauth-authorization-server', 'openid-configuration']) {
    const metadata = await json<Record<string, unknown>>(await fetch(`${issuer}/.well-known/${name}`));
    assert.equal(metadata.issuer, issuer);
    assert.deepEqual(metadata.code_challenge_methods_supported, ['S256']);
    assert.deepEqual(metadata.response_types_supported, ['code']);
    assert.deepEqual(metadata.grant_types_supported, [
      'authorization_code',
      'refresh_token',
      'client_credentials',
      TOKEN_EXCHANGE,
    ]);
  }
});

test('an agent gets a token for itself, with the scopes an agent may have', async (t) => {
  const { issuer, jwksUri, agentCoreSecret } = await startIssuer(t);
  const client = { issuer, clientId: 'bedrock-agentcore', clientSecret: agentCoreSecret };
  const response = await clientCredentials({ ...client, resource: ledgerUrl, scope: allScopes });

  assert.equal(response.scope, 'ledger:read directory:read');
  const { payload, protectedHeader } = await jwtVerify(response.access_token, createRemoteJWKSet(new URL(jwksUri)));
  assert.equal(protectedHeader.alg, 'ES256');
  assert.equal(protectedHeader.typ, 'at+jwt');
  const { iat = 0, exp = 0, jti, ...claims } = payload;
  assert.equal(exp - iat, 300);
  assert.equal(typeof jti, 'string');
  assert.deepEqual(claims, {
    iss: issuer,
    sub: 'bedrock-agentcore',
    client_id: 'bedrock-agentcore',
    aud: ledgerUrl,
    scope: 'ledger:read directory:read',
    roles: ['agent'],
  });
});

test('an agent gets a token for a user who signs in to it', async (t) => {
  const { issuer, passwords, agentCoreSecret } = await startIssuer(t);
  const { access_token, refresh_token } = await signIn({
    issuer,
    clientId: 'bedrock-agentcore',
    clientSecret: agentCoreSecret,
    redirectUri: agentCoreRedirectUri,
    username: 'alice',
    password: passwords.alice ?? '',
    resource: ledgerUrl,
    scope: 'ledger:read',
  });
  const { sub, client_id, aud } = decodeJwt(access_token);
  assert.deepEqual([sub, client_id, aud], ['alice', 'bedrock-agentcore', ledgerUrl]);
  assert.equal(refresh_token, undefined);
});

test('a front door can have several names, each an audience of its own', async (t) => {
  const server = await startIssuer(t);
  const resource = 'https://gateway.example/enterprise-ledger/mcp';
  assert.equal(decodeJwt(await tokenOf(server, 'alice', resource)).aud, resource);
});

test('a token needs a known front door', async (t) => {
  const { issuer, agentCoreSecret } = await startIssuer(t);
  const client = { issuer, clientId: 'bedrock-agentcore', clientSecret: agentCoreSecret, scope: 'ledger:read' };
  for (const resource of ['https://localhost:8443/other/mcp', 'https://enterprise-ledger.internal/mcp', '']) {
    await assert.rejects(clientCredentials({ ...client, resource }), /invalid_target/);
  }
});

test('a wrong client secret is refused', async (t) => {
  const { issuer } = await startIssuer(t);
  const options = { issuer, clientId: 'bedrock-agentcore', clientSecret: 'wrong', resource: ledgerUrl, scope: '' };
  await assert.rejects(clientCredentials(options), /bedrock-agentcore failed: invalid_client, client authentication failed/);
});

test('an authorization request without PKCE is refused', async (t) => {
  const { issuer } = await startIssuer(t);
  const url = new URL(`${issuer}/auth`);
  const redirectUri = 'http://127.0.0.1:5000/callback';
  const parameters = {
    response_type: 'code',
    client_id: 'claude-code',
    redirect_uri: redirectUri,
    resource: ledgerUrl,
  };
  url.search = new URLSearchParams({ ...parameters, scope: 'ledger:read' }).toString();
  const location = new URL((await fetch(url, { redirect: 'manual' })).headers.get('location') ?? '');
  assert.equal(location.origin, 'http://127.0.0.1:5000');
  assert.equal(location.searchParams.get('error'), 'invalid_request');
  assert.match(location.searchParams.get('error_description') ?? '', /PKCE/);
});

test('a refresh token gives a new access token for the same resource, and rotates', async (t) => {
  const { issuer, passwords } = await startIssuer(t);
  const user = { username: 'bob', password: passwords.bob ?? '' };
  const first = await signIn({ issuer, clientId: 'claude-code', ...user, resource: directoryUrl, scope: allScopes });

  const { status, answer } = await refresh(issuer, first.refresh_token);
  assert.equal(status, 200);
  assert.notEqual(answer.refresh_token, first.refresh_token);
  const { aud, scope, roles, tenant } = decodeJwt(answer.access_token);
  assert.deepEqual(
    { aud, scope, roles, tenant },
    {
      aud: directoryUrl,
      scope: 'ledger:read directory:read',
      roles: ['employee'],
      tenant: 'acme',
    },
  );

  const again = await refresh(issuer, first.refresh_token);
  assert.deepEqual([again.status, again.answer.error], [400, 'invalid_grant']);
});

test('a sign-in outlives a rotation of the keys', async (t) => {
  const server = await startIssuer(t);
  const user = { username: 'bob', password: server.passwords.bob ?? '' };
  const request = { issuer: server.issuer, clientId: 'claude-code', ...user, resource: directoryUrl };
  const { refresh_token } = await signIn({ ...request, scope: 'directory:read' });
  await server.rotateKeys({ retireOld: true });
  const { answer } = await refresh(server.issuer, refresh_token);
  await jwtVerify(answer.access_token, createRemoteJWKSet(new URL(server.jwksUri)));
});

test('lifetimes and the delay of the token endpoint can be set', async (t) => {
  const server = await startIssuer(t, { accessTokenSeconds: 60, tokenDelayMs: 60_000 });
  const options = { issuer: server.issuer, clientId: 'bedrock-agentcore', clientSecret: server.agentCoreSecret };
  const impatient: typeof fetch = (url, init) => fetch(url, { ...init, signal: AbortSignal.timeout(100) });
  const request = { ...options, resource: ledgerUrl, scope: 'ledger:read' };
  await assert.rejects(clientCredentials({ ...request, fetch: impatient }), /timeout/);

  server.setTokenDelay(0);
  const { iat = 0, exp = 0 } = decodeJwt((await clientCredentials(request)).access_token);
  assert.equal(exp - iat, 60);
});

test('keys rotate while the server runs: old tokens stay good until the old keys are retired', async (t) => {
  const server = await startIssuer(t);
  const verify = (token: string) => jwtVerify(token, createRemoteJWKSet(new URL(server.jwksUri)));
  const before = await tokenOf(server, 'alice', ledgerUrl);

  await server.rotateKeys();
  const after = await tokenOf(server, 'alice', ledgerUrl);
  assert.notEqual(decodeProtectedHeader(after).kid, decodeProtectedHeader(before).kid);
  await verify(before);
  await verify(after);

  await server.rotateKeys({ retireOld: true });
  await assert.rejects(verify(after), errors.JWKSNoMatchingKey);
});

test('the server starts on a given port and frees it when it stops', async (t) => {
  const first = await startIssuer(t);
  await first.stop();
  const second = await startIssuer(t, { port: first.port });
  assert.equal(second.issuer, first.issuer);
});

test('a start and a token leave nothing on the console, and the process ends by itself', async () => {
  const reference = new URL('../../examples/reference/', import.meta.url);
  const program = `
    const { startAuthorizationServer } = await import('${new URL('authorization-server.ts', reference)}');
    const { referenceBackends } = await import('${new URL('backends.ts', reference)}');
    const { signIn } = await import('${new URL('sign-in.ts', reference)}');
    const server = await startAuthorizationServer({ backends: referenceBackends(['https://localhost:8443']) });
    const user = { username: 'alice', password: server.passwords.alice };
    const request = { resource: '${ledgerUrl}', scope: 'ledger:read' };
    await signIn({ issuer: server.issuer, clientId: 'claude-code', ...user, ...request });
    await server.stop();`;
  const run = promisify(execFile);
  const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '--eval', program], {
    timeout: 300_000,
  });
  assert.deepEqual({ stdout, stderr }, { stdout: '', stderr: '' });
});

async function refresh(issuer: string, refreshToken = '') {
  const grant = { grant_type: 'refresh_token', client_id: 'claude-code', refresh_token: refreshToken };
  const response = await fetch(`${issuer}/token`, { method: 'POST', body: new URLSearchParams(grant) });
  return { status: response.status, answer: await json(response) };
}
