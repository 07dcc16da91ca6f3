/**
 * Signing in: what each of the three users can be granted, and what a person is told when it does not work.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeJwt } from 'jose';
import { signIn } from '../../examples/reference/sign-in.ts';
import { allScopes, ledgerUrl, startIssuer } from './support/deployment.ts';

const users = [
  { username: 'alice', roles: ['analyst'], granted: 'ledger:read ledger:write pii:read directory:read' },
  { username: 'bob', roles: ['employee'], granted: 'ledger:read directory:read' },
  { username: 'carol', roles: ['auditor'], granted: 'ledger:read audit:read directory:read' },
];

for (const { username, roles, granted } of users) {
  test(`${username} asks for everything and is granted what the account allows`, async (t) => {
    const { issuer, passwords } = await startIssuer(t);
    const password = passwords[username] ?? '';
    const request = { issuer, clientId: 'claude-code', resource: ledgerUrl, scope: allScopes };
    const response = await signIn({ ...request, username, password });

    assert.deepEqual(sorted(response.scope), sorted(granted));
    const { iat = 0, exp = 0, jti, scope, ...claims } = decodeJwt(response.access_token);
    assert.equal(exp - iat, 300);
    assert.ok(jti);
    assert.equal(scope, response.scope);
    const expected = { iss: issuer, sub: username, client_id: 'claude-code', aud: ledgerUrl, roles, tenant: 'acme' };
    assert.deepEqual(claims, expected);
  });
}

test('the failures of a sign-in say what went wrong', async (t) => {
  const { issuer, passwords } = await startIssuer(t, { passwords: { bob: 'a given password' } });
  assert.equal(passwords.bob, 'a given password');
  const bob = {
    issuer,
    clientId: 'claude-code',
    username: 'bob',
    password: 'a given password',
    resource: ledgerUrl,
    scope: 'ledger:read',
  };
  await signIn(bob);
  await assert.rejects(signIn({ ...bob, password: 'wrong' }), /^Error: sign-in of bob failed: wrong user name or password$/);
  await assert.rejects(signIn({ ...bob, username: 'mallory' }), /wrong user name or password/);
  await assert.rejects(signIn({ ...bob, scope: 'pii:read' }), /access_denied/);
  await assert.rejects(signIn({ ...bob, resource: 'https://other.example/mcp' }), /invalid_target/);
  await assert.rejects(signIn({ ...bob, redirectUri: 'https://other.example/callback' }), /invalid_redirect_uri/);
  await assert.rejects(signIn({ ...bob, clientId: 'nobody' }), /invalid_client/);
});

test('a redirect to another origin gets neither cookie nor password', async (t) => {
  const { issuer, passwords } = await startIssuer(t);
  const elsewhere: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    return response.status === 303 ? Response.redirect('https://attacker.example/interaction/x', 303) : response;
  };
  const user = { username: 'alice', password: passwords.alice ?? '' };
  const request = { issuer, clientId: 'claude-code', ...user, resource: ledgerUrl, scope: 'ledger:read' };
  await assert.rejects(signIn({ ...request, fetch: elsewhere }), /redirects to https:\/\/attacker\.example/);
});

function sorted(scope = ''): string[] {
  return scope.split(' ').sort();
}
