import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import * as oauth from 'oauth4webapi';
import { createOwnTokens } from '../../../src/delegation/own-token.ts';
import { createHttpClient } from '../../../src/http-client.ts';
import { deny, ok, type Result } from '../../../src/result.ts';
import type { Principal } from '../../../src/token/principal.ts';
import { alice } from '../support/facts.ts';
import { type Answer, json, startPeer } from '../support/peer.ts';

const RESOURCE = { resource: 'https://gateway.example/ledger/mcp', scopes: ['catalog:read'] };
const issued = json({ access_token: 'own-token', token_type: 'Bearer', expires_in: 300 });
const gateway: Principal = { ...alice, subject: 'gateway', clientId: 'gateway', expiresAt: 1300 };

async function open(t: TestContext, answer: Answer = issued, verified: Result<Principal> = ok(gateway)) {
  const peer = await startPeer(t, answer);
  const client = createHttpClient({ timeoutMs: 20_000, maxResponseBytes: 10_000 });
  t.after(client.close);
  let now = 1_000_000;
  const ownToken = createOwnTokens({
    metadata: async () => ({ issuer: peer.url, token_endpoint: `${peer.url}/token` }),
    clientId: 'gateway',
    clientAuthentication: oauth.ClientSecretPost('secret'),
    fetch: client.fetch,
    verify: async () => verified,
    now: () => now,
  });
  return {
    peer,
    ownToken,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

suite("the gateway's own token", () => {
  test('is asked for by client credentials, for one resource', async (t) => {
    const { peer, ownToken } = await open(t);
    const token = await ownToken(RESOURCE);
    assert.deepEqual(token, ok({ subjectToken: 'own-token', principal: gateway }));
    assert.deepEqual(Object.fromEntries(new URLSearchParams(peer.seen[0]?.body)), {
      client_id: 'gateway',
      client_secret: 'secret',
      grant_type: 'client_credentials',
      resource: RESOURCE.resource,
      scope: 'catalog:read',
    });
  });

  test('is kept until shortly before it ends, for each resource and scope', async (t) => {
    const { peer, ownToken, pass } = await open(t);
    await Promise.all([ownToken(RESOURCE), ownToken(RESOURCE)]);
    await ownToken(RESOURCE);
    assert.equal(peer.seen.length, 1);
    await ownToken({ ...RESOURCE, resource: 'https://gateway.example/other' });
    await ownToken({ ...RESOURCE, scopes: [] });
    assert.equal(peer.seen.length, 3);
    pass(289_999);
    await ownToken(RESOURCE);
    assert.equal(peer.seen.length, 3);
    pass(1);
    await ownToken(RESOURCE);
    assert.equal(peer.seen.length, 4);
  });

  const wrong: Record<string, readonly [answer: Answer, verified?: Result<Principal>]> = {
    'a refusal': [json({ error: 'invalid_scope' }, 400)],
    'no token': [json({ token_type: 'Bearer' })],
    'no JSON': [(response) => void response.writeHead(200).end('<p>')],
    'no answer': [(response) => void response.destroy()],
    'a token that cannot be verified': [issued, deny({ reason: 'token_signature_invalid' })],
    'a token for another client': [issued, ok({ ...gateway, clientId: 'other' })],
  };
  for (const [what, [answer, verified]] of Object.entries(wrong)) {
    test(`cannot be had of ${what}, and is asked for again`, async (t) => {
      const { peer, ownToken } = await open(t, answer, verified);
      for (const round of [1, 2]) {
        const token = await ownToken(RESOURCE);
        assert.equal(token.ok, false);
        assert.equal(!token.ok && token.denial.reason, 'exchange_unavailable');
        assert.equal(peer.seen.length, round);
      }
    });
  }
});
