/**
 * A real Keycloak at the front door and, for the exchange, behind it. One is started for the whole file, with the realm and
 * the configuration that examples/keycloak shows; what a test changes there it puts back. The last tests stop it.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { signInAt } from '../../../examples/keycloak/sign-in.ts';
import { searchKeycloak } from '../../../scripts/keycloak.ts';
import type { Reply } from '../../support/ask.ts';
import { createBrowserProvider } from '../../support/browser.ts';
import { asOneServer } from './support/front-door-tests.ts';
import { GATEWAY, startWorld, type World } from './support/world.ts';

const { home, problem } = searchKeycloak();
const LEDGER_AUDIENCE = 'https://enterprise-ledger.internal/mcp';

let world: World;

describe('Keycloak', { skip: problem ?? false }, () => {
  before(async () => {
    world = await startWorld(home as string);
  });
  after(() => world.stop());

  asOneServer(() => world);
  inbound();
  exchange();
  mint();
  keyRotation();
  outage();
});

/** Restores what a test changed, whatever becomes of it. */
async function during(changed: Promise<() => Promise<void>>, work: () => Promise<void>): Promise<void> {
  const restore = await changed;
  try {
    await work();
  } finally {
    await restore();
  }
}

const listAccounts = (token: string) => world.ask({ to: 'ledger', token, tool: 'listAccounts' });
const listDepartments = (token: string) => world.ask({ to: 'directory', token, tool: 'listDepartments' });

/** The sidecar let it through, and the backend took the delegation token. */
async function assertDelegated(reply: Reply): Promise<Record<string, any>> {
  const { decision, reason } = await world.lineOf(reply);
  assert.deepEqual({ decision, reason }, { decision: 'allow', reason: 'allowed' });
  const { verified, refusal, delegation } = world.lastSeen();
  assert.equal(verified, true, refusal ?? 'refused');
  return delegation as Record<string, any>;
}

/** Refused, for this reason; with what the log says in addition, and without a word of it to the backend. */
async function assertRefused(reply: Reply, status: number, reason: string, error?: RegExp): Promise<void> {
  assert.deepEqual([reply.status, reply.reason], [status, reason]);
  const line = await world.lineOf(reply);
  assert.equal(line.reason, reason);
  if (error !== undefined) assert.match(line.error, error);
}

function inbound(): void {
  describe('tokens of clients', () => {
    test('an official client finds Keycloak from the challenge, signs alice in and calls a tool', async () => {
      const alice = world.user('alice');
      const provider = createBrowserProvider(alice);
      let callback = new URL('about:blank');
      const authProvider = {
        ...provider,
        redirectToAuthorization: async (url: URL) => {
          callback = await signInAt(url, String(provider.redirectUrl), alice);
        },
      };
      const options = { authProvider: authProvider as never, fetch: world.fetch };
      const first = new StreamableHTTPClientTransport(new URL(world.ledgerUrl), options);
      await assert.rejects(new Client({ name: 'test', version: '1' }).connect(first as never), UnauthorizedError);
      await first.finishAuth(callback.searchParams.get('code') ?? '');

      const client = new Client({ name: 'test', version: '1' });
      await client.connect(new StreamableHTTPClientTransport(new URL(world.ledgerUrl), options) as never);
      const result = (await client.callTool({ name: 'getBalance', arguments: { accountId: 'ACC-2001' } })) as any;
      assert.equal(result.structuredContent.result.currency, 'USD');
      await client.close();
    });

    test('alice is who Keycloak says, with her roles, tenant and scopes', async () => {
      const { access_token: token } = await world.signIn('alice');
      assert.equal(decodeProtectedHeader(token).typ, 'JWT');
      const reply = await listAccounts(token);
      await assertDelegated(reply);
      const line = await world.lineOf(reply);
      const { sub, jti } = decodeJwt(token);
      assert.deepEqual([line.subject, line.client_id, line.token_id], [sub, 'claude-code', jti]);
      const transfer = { from: 'ACC-1001', to: 'ACC-2001', amount: 5, currency: 'EUR' };
      await assertDelegated(await world.ask({ to: 'ledger', token, tool: 'transferFunds', arguments: transfer }));
    });

    test('bob has neither her role nor her scopes, whatever he asks for', async () => {
      const { access_token: token, scope } = await world.signIn('bob');
      assert.equal(scope?.split(' ').sort().join(' '), 'directory:read ledger:read');
      await assertDelegated(await listAccounts(token));
      await assertRefused(await world.ask({ to: 'ledger', token, tool: 'getCustomerPII' }), 200, 'role_missing');
    });

    test('the agent comes for a user, or for itself', async () => {
      const { access_token: forAlice } = await world.signInThroughAgent('alice');
      const { access_token: forItself } = await world.agent();
      for (const token of [forAlice, forItself]) {
        const reply = await listDepartments(token);
        await assertDelegated(reply);
        const { subject, client_id } = await world.lineOf(reply);
        assert.deepEqual([subject, client_id], [decodeJwt(token).sub, 'bedrock-agentcore']);
      }
      await assertRefused(await world.ask({ to: 'ledger', token: forItself, tool: 'transferFunds' }), 200, 'role_missing');
    });

    test('an ID token and a refresh token are no access tokens', async () => {
      const { id_token: idToken = '', refresh_token: refreshToken = '' } = await world.signIn('alice', 'openid ledger:read');
      assert.deepEqual([decodeJwt(idToken).typ, decodeJwt(refreshToken).typ], ['ID', 'Refresh']);
      await assertRefused(await listAccounts(idToken), 401, 'token_claims_invalid', /typ/);
      await assertRefused(await listAccounts(refreshToken), 401, 'token_algorithm_forbidden');
    });

    test('a token for one server is none for the other', async () => {
      const { access_token: token } = await world.signIn('alice', 'directory:read');
      await assertDelegated(await listDepartments(token));
      await assertRefused(await listAccounts(token), 401, 'token_audience_mismatch');
    });

    test('a token ends on the second', async () => {
      const short = world.realm.changeClient('claude-code', ({ attributes }) => {
        attributes['access.token.lifespan'] = '5';
      });
      await during(short, async () => {
        const exact = world.reconfigure(({ issuers }) => {
          issuers[0].clockToleranceSeconds = 0;
        });
        await during(exact, async () => {
          const { access_token: token } = await world.signIn('alice');
          await assertDelegated(await listAccounts(token));
          await delay((decodeJwt(token).exp as number) * 1000 - Date.now() + 50);
          await assertRefused(await listAccounts(token), 401, 'token_expired');
        });
      });
    });

    test('the type JWT is accepted only where the configuration says so', async () => {
      const { access_token: token, id_token: idToken = '' } = await world.signIn('alice', 'openid ledger:read');
      const asByDefault = world.reconfigure(({ issuers }) => {
        delete issuers[0].tokenTypes;
        delete issuers[0].claims;
      });
      await during(asByDefault, async () => assertRefused(await listAccounts(token), 401, 'token_type_wrong'));
      // Without the claim nothing but its audience tells an ID token from an access token.
      const careless = world.reconfigure(({ issuers }) => {
        delete issuers[0].claims;
      });
      await during(careless, async () => assertRefused(await listAccounts(idToken), 401, 'token_audience_mismatch'));
    });

    test('with at+jwt switched on at the client, the defaults are enough', async () => {
      const typed = world.realm.changeClient('claude-code', ({ attributes }) => {
        attributes['access.token.header.type.rfc9068'] = 'true';
      });
      await during(typed, async () => {
        const { access_token: token, id_token: idToken = '' } = await world.signIn('alice', 'openid ledger:read');
        assert.equal(decodeProtectedHeader(token).typ, 'at+jwt');
        const asByDefault = world.reconfigure(({ issuers }) => {
          delete issuers[0].tokenTypes;
          delete issuers[0].claims;
        });
        await during(asByDefault, async () => {
          await assertDelegated(await listAccounts(token));
          await assertRefused(await listAccounts(idToken), 401, 'token_type_wrong');
        });
      });
    });
  });
}

function exchange(): void {
  describe('exchange at Keycloak', () => {
    test('the claims of the delegation token, member by member', async () => {
      const { access_token: token } = await world.signIn('alice');
      const { sid, iat, exp, jti, ...claims } = await assertDelegated(await listAccounts(token));
      assert.deepEqual(claims, {
        iss: world.keycloak.issuer,
        sub: decodeJwt(token).sub,
        aud: LEDGER_AUDIENCE,
        scope: 'enterprise-ledger:listAccounts',
        act: { sub: GATEWAY },
        azp: GATEWAY,
        typ: 'Bearer',
      });
      assert.equal(exp - iat, 5);
      assert.notEqual(jti, decodeJwt(token).jti);
      assert.equal(sid, decodeJwt(token).sid);
    });

    test('each call is an exchange of its own', async () => {
      const { access_token: token } = await world.signIn('alice');
      const ids = new Set<string>();
      for (let round = 0; round < 3; round += 1) ids.add((await assertDelegated(await listAccounts(token))).jti);
      assert.equal(ids.size, 3);
    });

    test('Keycloak would give the gateway more than the caller has: it is not asked', async () => {
      const { access_token: bob } = await world.signIn('bob', 'ledger:read');
      const granted = await exchangeDirectly(bob, 'enterprise-ledger:transferFunds enterprise-ledger:getCustomerPII');
      assert.equal(granted.scope.split(' ').length, 2);
      const { tokens } = await world.asked();
      await assertRefused(await world.ask({ to: 'ledger', token: bob, tool: 'transferFunds' }), 200, 'role_missing');
      assert.equal((await world.asked()).tokens, tokens);
    });

    test('what Keycloak adds unasked is not passed on', async () => {
      const { access_token: token } = await world.signIn('alice');
      const added = world.realm.changeScope(GATEWAY, 'enterprise-ledger:transferFunds', 'default');
      await during(added, async () =>
        assertRefused(await listAccounts(token), 503, 'exchange_invalid', /scope: wider than asked/),
      );
      await assertDelegated(await listAccounts(token));
    });

    test('a token that lives longer than policy says is not passed on', async () => {
      const { access_token: token } = await world.signIn('alice');
      const long = world.realm.changeClient(GATEWAY, ({ attributes }) => {
        attributes['access.token.lifespan'] = '60';
      });
      await during(long, async () =>
        assertRefused(await listAccounts(token), 503, 'exchange_invalid', /token_lifetime_excessive/),
      );
    });

    test("Keycloak's no is a no: a scope that the gateway may not have, a user who was signed out", async () => {
      const { access_token: token } = await world.signIn('carol');
      const taken = world.realm.changeScope(GATEWAY, 'enterprise-ledger:listAccounts', 'none');
      await during(taken, async () => assertRefused(await listAccounts(token), 200, 'exchange_refused', /invalid_scope/));
      await assertDelegated(await listAccounts(token));
      await world.realm.signOut('carol');
      await assertRefused(await listAccounts(token), 200, 'exchange_refused', /invalid_request/);
    });

    test('a gateway that Keycloak does not know by its secret gets nothing', async () => {
      const { access_token: token } = await world.signIn('alice');
      const secretFile = join(world.dir, 'another-secret');
      await writeFile(secretFile, 'not this one');
      const stranger = world.reconfigure(({ delegation }) => {
        delegation.exchange.clientAuthentication.secret = { file: secretFile };
      });
      await during(stranger, async () =>
        assertRefused(await listAccounts(token), 503, 'exchange_unavailable', /unauthorized_client/),
      );
    });

    test('the gateway can prove itself by a signed assertion', async () => {
      const { access_token: token } = await world.signIn('alice');
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const keyFile = join(world.dir, 'assertion-key.pem');
      await writeFile(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }));
      const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'gateway', alg: 'ES256', use: 'sig' };
      const registered = world.realm.changeClient(GATEWAY, (client) => {
        client.clientAuthenticatorType = 'client-jwt';
        Object.assign(client.attributes, { 'use.jwks.string': 'true', 'jwks.string': JSON.stringify({ keys: [jwk] }) });
      });
      await during(registered, async () => {
        const signing = world.reconfigure(({ delegation }) => {
          delegation.exchange.clientAuthentication = { method: 'private_key_jwt', keyFile, kid: 'gateway' };
        });
        await during(signing, async () => {
          await assertDelegated(await listAccounts(token));
          await assertDelegated(await listAccounts(token));
        });
      });
    });

    describe('with the client as Keycloak makes it, without act and at+jwt', () => {
      let restore: (() => Promise<void>)[] = [];
      before(async () => {
        restore = [
          await world.realm.changeClient(GATEWAY, ({ attributes }) => {
            attributes['access.token.header.type.rfc9068'] = 'false';
          }),
          await world.realm.removeMapper(GATEWAY, 'actor'),
        ];
      });
      after(async () => {
        for (const one of restore.reverse()) await one();
      });

      const settings = (exchange: object) =>
        world.reconfigure(({ delegation }) => {
          Object.assign(delegation.exchange, exchange);
        });

      test('its tokens are refused by default', async () => {
        const { access_token: token } = await world.agent();
        await assertRefused(await listDepartments(token), 503, 'exchange_invalid', /token_type_wrong/);
        await during(settings({ tokenTypes: ['jwt'] }), async () =>
          assertRefused(await listDepartments(token), 503, 'exchange_invalid', /act/),
        );
      });

      test('allowMissingActor lets them through to a backend that does not insist either', async () => {
        const { access_token: token } = await world.agent();
        await during(settings({ tokenTypes: ['jwt'], allowMissingActor: true }), async () => {
          const { act, azp, sub } = await assertDelegated(await listDepartments(token));
          assert.deepEqual([act, azp, sub], [undefined, GATEWAY, decodeJwt(token).sub]);
          // The ledger does.
          const reply = await listAccounts(token);
          assert.equal(reply.status, 401);
          assert.equal(world.lastSeen().verified, false);
        });
      });
    });
  });
}

function mint(): void {
  describe('mint, with the same tokens of Keycloak', () => {
    test('the claims of the delegation token; Keycloak is not asked', async () => {
      const { access_token: token } = await world.signInThroughAgent('alice');
      await during(setMode('mint'), async () => {
        const { tokens } = await world.asked();
        const { iat, exp, jti, ...claims } = await assertDelegated(await listAccounts(token));
        assert.deepEqual(claims, {
          iss: world.mintIssuer,
          sub: decodeJwt(token).sub,
          act: { sub: GATEWAY },
          aud: LEDGER_AUDIENCE,
          scope: 'enterprise-ledger:listAccounts',
          client_id: 'bedrock-agentcore',
        });
        assert.equal(exp - iat, 5);
        assert.equal(typeof jti, 'string');
        assert.equal((await world.asked()).tokens, tokens);
      });
    });

    test('who was signed out stays in until the token ends: only an exchange asks Keycloak again', async () => {
      const { access_token: token } = await world.signIn('carol');
      await world.realm.signOut('carol');
      await during(setMode('mint'), async () => {
        await assertDelegated(await listAccounts(token));
      });
      await assertRefused(await listAccounts(token), 200, 'exchange_refused');
    });
  });
}

function setMode(mode: 'exchange' | 'mint') {
  return world.reconfigure(({ delegation }) => {
    delegation.mode = mode;
  });
}

function keyRotation(): void {
  test('a new key of Keycloak is fetched once, when its first token comes', async () => {
    const { access_token: before } = await world.signIn('alice');
    await assertDelegated(await listAccounts(before));
    await world.realm.rotateKeys();
    const [{ access_token: alice }, { access_token: bob }] = await Promise.all([world.signIn('alice'), world.signIn('bob')]);
    assert.notEqual(decodeProtectedHeader(alice).kid, decodeProtectedHeader(before).kid);
    assert.equal(decodeProtectedHeader(alice).kid, decodeProtectedHeader(bob).kid);

    const { keys } = await world.asked();
    const replies = await Promise.all([listAccounts(alice), listAccounts(bob), listAccounts(before)]);
    for (const reply of replies) assert.equal((await world.lineOf(reply)).reason, 'allowed');
    await assertDelegated(await listAccounts(bob));
    assert.equal((await world.asked()).keys, keys + 1);
  });
}

/** Last: nothing of Keycloak is there any more. */
function outage(): void {
  describe('Keycloak is down', () => {
    let token = '';
    let fresh = '';
    before(async () => {
      ({ access_token: token } = await world.signIn('alice'));
      ({ access_token: fresh } = await world.signIn('bob'));
      await assertDelegated(await listAccounts(token));
      await world.keycloak.stop();
    });

    test('no exchange, so no call: 503, to be tried again', async () => {
      const reply = await listAccounts(token);
      await assertRefused(reply, 503, 'exchange_unavailable');
      assert.deepEqual(reply.headers.get('retry-after'), ['1']);
    });

    test('the keys that are held go on, also for a token not seen before; with mint calls succeed', async () => {
      await during(setMode('mint'), async () => {
        await assertDelegated(await listAccounts(token));
        await assertDelegated(await listAccounts(fresh));
      });
    });

    test('a bad token is a bad token still, and no reason to ask Keycloak', async () => {
      const { keys } = await world.asked();
      await assertRefused(await listAccounts(`${fresh.slice(0, -8)}AAAAAAAA`), 401, 'token_signature_invalid');
      assert.equal((await world.asked()).keys, keys);
    });
  });
}

/** What Keycloak answers the gateway, with nobody of ours in between. */
async function exchangeDirectly(subjectToken: string, scope: string): Promise<{ scope: string }> {
  const { issuer, secrets } = world.keycloak;
  const response = await fetch(`${issuer}/protocol/openid-connect/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${GATEWAY}:${secrets.gatewaySecret}`).toString('base64')}` },
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: subjectToken,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      audience: LEDGER_AUDIENCE,
      scope,
    }),
  });
  assert.equal(response.status, 200);
  return (await response.json()) as { scope: string };
}
