/**
 * The token that the backend gets in place of the client's, as the backend saw it: by exchange at the authorization server
 * over TCP, and minted in process over a Unix socket.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { importPKCS8 } from 'jose';
import * as oauth from 'oauth4webapi';
import { ask, lineOf } from '../support/ask.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { reconfigure } from '../support/reconfigure.ts';
import type { HeaderLine } from '../support/wire.ts';

const ACTOR = { sub: 'ai-identity-gateway' };
const LEDGER_AUDIENCE = 'https://enterprise-ledger.internal/mcp';
const DIRECTORY_AUDIENCE = 'https://employee-directory.internal/mcp';

/** Everything a client could send to be taken for somebody else. */
const FORGED: readonly HeaderLine[] = [
  ['X-Forwarded-User', 'root'],
  ['X_Forwarded_User', 'root'],
  ['x-delegation-token', 'forged'],
  ['X_Delegation_Token', 'forged'],
  ['X-Remote-User', 'root'],
  ['Proxy-Authorization', 'Basic cm9vdDpyb290'],
  ['Cookie', 'session=stolen'],
  ['X-Api-Key', 'stolen'],
  ['X-Mcp-Backend', 'enterprise-ledger'],
  ['x-envoy-original-path', '/admin'],
];

const WAYS = [
  { delegation: 'exchange', transport: 'tcp' },
  { delegation: 'mint', transport: 'unix' },
] as const;

for (const way of WAYS) {
  describe(`${way.delegation} over ${way.transport}`, () => {
    let deployment: TestDeployment;
    let issuer: string;
    before(async () => {
      deployment = await startTestDeployment({ ...way, adjustSidecar: withoutCatalog });
      issuer = way.delegation === 'exchange' ? deployment.authorizationServer.issuer : deployment.sidecarOptions.mintIssuer;
    });
    after(() => deployment.stop());

    const lastSeen = () => deployment.requests.at(-1) ?? assert.fail('the backend saw nothing');

    test('Envoy asks over the transport that was configured', () => {
      assert.match(deployment.sidecar.ready.target, way.transport === 'unix' ? /^unix:\/\/\// : /^127\.0\.0\.1:\d+$/);
    });

    const callers = [
      { caller: 'alice', subject: 'alice', client: 'claude-code' },
      { caller: 'alice-through-agent', subject: 'alice', client: 'bedrock-agentcore' },
      { caller: 'agent', subject: 'bedrock-agentcore', client: 'bedrock-agentcore' },
    ] as const;
    for (const { caller, subject, client } of callers) {
      test(`the claims for ${caller}, member by member`, async () => {
        const token = await deployment.tokenOf(caller, deployment.ledgerUrl);
        const before = Math.floor(Date.now() / 1000);
        await ask(deployment, { to: 'ledger', token, tool: 'listAccounts' });
        const { delegation, verified } = lastSeen();
        const { iat, exp, jti, ...claims } = delegation as Record<string, any>;
        assert.equal(verified, true);
        assert.deepEqual(claims, {
          iss: issuer,
          sub: subject,
          act: ACTOR,
          aud: LEDGER_AUDIENCE,
          scope: 'enterprise-ledger:listAccounts',
          client_id: way.delegation === 'exchange' ? 'ai-identity-gateway' : client,
        });
        assert.equal(exp, iat + 5);
        assert.ok(iat >= before && iat <= Date.now() / 1000, `issued at ${iat}`);
        assert.match(jti, /^[\w-]{16,}$/);
      });
    }

    test('a message that calls no tool gets a token that opens none', async () => {
      const token = await deployment.tokenOf('bob', deployment.directoryUrl);
      await ask(deployment, { token, method: 'tools/list' });
      const { aud, scope, sub } = lastSeen().delegation as Record<string, any>;
      assert.deepEqual({ aud, scope, sub }, { aud: DIRECTORY_AUDIENCE, scope: 'employee-directory:protocol', sub: 'bob' });
    });

    test('every request has a token of its own, also those that are the same', async () => {
      const token = await deployment.tokenOf('alice', deployment.directoryUrl);
      const from = deployment.requests.length;
      const replies = await Promise.all(Array.from({ length: 40 }, () => ask(deployment, { token, tool: 'listDepartments' })));
      assert.deepEqual([...new Set(replies.map(({ status }) => status))], [200]);
      const seen = deployment.requests.slice(from);
      assert.ok(seen.every(({ verified }) => verified));
      assert.equal(new Set(seen.map(({ delegation }) => delegation?.jti)).size, 40);
    });

    test('the decision log names the token that the backend got', async () => {
      const token = await deployment.tokenOf('carol', deployment.ledgerUrl);
      const line = await lineOf(deployment, await ask(deployment, { to: 'ledger', token, tool: 'getAuditTrail' }));
      const { jti, aud, scope, sub } = lastSeen().delegation as Record<string, any>;
      assert.deepEqual([line.delegation_token_id, line.audience, line.scope, line.subject], [jti, aud, scope, sub]);
      assert.notEqual(line.token_id, jti);
    });

    test('nothing that the client sent about itself is left', async () => {
      const token = await deployment.tokenOf('alice', deployment.directoryUrl);
      for (const over of ['http1', 'http2'] as const) {
        await ask(deployment, { token, tool: 'listEmployees', headers: FORGED, over });
        const { headers, delegation, verified } = lastSeen();
        assert.equal(verified, true);
        assert.deepEqual(
          FORGED.map(([name]) => headers[name.toLowerCase()]).filter((value) => value !== undefined),
          [],
        );
        const [, payload = ''] = token.split('.');
        assert.ok(!JSON.stringify(headers).includes(payload), 'the token of the client reached the backend');
        assert.equal(delegation?.iss, issuer);
      }
    });

    test('one of our own tokens does not open the front door', async () => {
      const token = await ownToken(deployment, way.delegation, deployment.ledgerUrl);
      const seen = deployment.requests.length;
      const { reason } = await ask(deployment, { to: 'ledger', token, tool: 'listAccounts' });
      // The gateway itself is no client of this issuer's front doors; the minting issuer is trusted by backends only.
      assert.equal(reason, way.delegation === 'exchange' ? 'client_forbidden' : 'token_issuer_unknown');
      assert.equal(deployment.requests.length, seen);
    });

    test('a token header of another name: the Authorization of the client is gone all the same', async () => {
      const restore = await reconfigure(deployment, (config) => {
        config.delegation.header = 'x-delegation-token';
      });
      try {
        const token = await deployment.tokenOf('alice', deployment.directoryUrl);
        for (const over of ['http1', 'http2'] as const) {
          await ask(deployment, { token, tool: 'listEmployees', headers: FORGED, over });
          const { headers } = lastSeen();
          assert.equal(headers.authorization, undefined);
          assert.match(headers['x-delegation-token'] ?? '', /^[\w-]+\.[\w-]+\.[\w-]+$/);
          const [, payload = ''] = (headers['x-delegation-token'] ?? '').split('.');
          const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
          assert.deepEqual([claims.iss, claims.sub, claims.scope], [issuer, 'alice', 'employee-directory:listEmployees']);
          assert.equal(headers.x_delegation_token, undefined);
        }
      } finally {
        await restore();
      }
    });

    test('a backend that is to get no token gets none, and not the one of the client either', async () => {
      const restore = await reconfigure(deployment, (config) => {
        config.resources[1].delegation = 'none';
      });
      try {
        const token = await deployment.tokenOf('alice', deployment.directoryUrl);
        const line = await lineOf(deployment, await ask(deployment, { token, tool: 'listEmployees', headers: FORGED }));
        const { headers, refusal } = lastSeen();
        assert.equal(headers.authorization, undefined);
        assert.equal(refusal, 'a delegation token is required');
        assert.deepEqual([line.reason, line.delegation_token_id], ['allowed', undefined]);
      } finally {
        await restore();
      }
    });
  });
}

describe('minted for a caller who is an agent already', () => {
  let deployment: TestDeployment;
  before(async () => {
    deployment = await startTestDeployment({ delegation: 'mint', adjustSidecar: withoutCatalog });
  });
  after(() => deployment.stop());

  test('the gateway acts last, whoever acted before stays in the chain', async () => {
    const act = { sub: 'orchestrator', iss: 'https://agents.example', act: { sub: 'planner' } };
    const token = deployment.testIssuer.token(deployment.directoryUrl, { claims: { act } });
    const line = await lineOf(deployment, await ask(deployment, { token, tool: 'listEmployees' }));
    const { delegation, verified } = deployment.requests.at(-1) ?? assert.fail();
    assert.equal(verified, true);
    assert.deepEqual(delegation?.act, { ...ACTOR, act });
    assert.deepEqual(line.actor, ['ai-identity-gateway', 'orchestrator', 'planner']);
  });

  test('the keys are published where backends look for them', async () => {
    const { mintIssuer } = deployment.sidecarOptions;
    const metadata = (await (await fetch(`${mintIssuer}/.well-known/oauth-authorization-server`)).json()) as any;
    assert.equal(metadata.issuer, mintIssuer);
    const { keys } = (await (await fetch(metadata.jwks_uri)).json()) as { keys: Record<string, unknown>[] };
    assert.deepEqual(
      keys.map(({ kid, kty, alg, use, d }) => ({ kid, kty, alg, use, d })),
      [{ kid: 'mint-1', kty: 'OKP', alg: 'EdDSA', use: 'sig', d: undefined }],
    );
  });
});

/** A delegation token as a backend could keep it: exchanged with the gateway's key, or signed with the minting key. */
async function ownToken(deployment: TestDeployment, way: 'exchange' | 'mint', resource: string): Promise<string> {
  const { gatewayKeyFile, mintKeyFile, mintIssuer } = deployment.sidecarOptions;
  if (way === 'mint') {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const iat = Math.floor(Date.now() / 1000);
    const claims = {
      iss: mintIssuer,
      sub: 'alice',
      act: ACTOR,
      aud: LEDGER_AUDIENCE,
      scope: 'enterprise-ledger:listAccounts',
      iat,
      exp: iat + 5,
      jti: 'x',
      client_id: 'claude-code',
    };
    const content = `${encode({ alg: 'EdDSA', typ: 'at+jwt', kid: 'mint-1' })}.${encode(claims)}`;
    return `${content}.${sign(null, Buffer.from(content), createPrivateKey(await readFile(mintKeyFile))).toString('base64url')}`;
  }
  const key = await importPKCS8(await readFile(gatewayKeyFile, 'utf8'), 'ES256');
  const http = { [oauth.allowInsecureRequests]: true };
  const issuer = new URL(deployment.authorizationServer.issuer);
  const server = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...http }),
  );
  const response = await oauth.genericTokenEndpointRequest(
    server,
    { client_id: 'ai-identity-gateway' },
    oauth.PrivateKeyJwt({ key, kid: 'gateway' }),
    'urn:ietf:params:oauth:grant-type:token-exchange',
    {
      subject_token: await deployment.tokenOf('alice', resource),
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      audience: LEDGER_AUDIENCE,
      scope: 'enterprise-ledger:listAccounts',
    },
    http,
  );
  return ((await response.json()) as { access_token: string }).access_token;
}
