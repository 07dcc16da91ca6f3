/**
 * The authorization server is down, slow, changes its keys, or is made to be asked for keys: what needs it is refused in
 * time, what does not need it goes on, and all is well again when it is back.
 */
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { type AuthorizationServer, startAuthorizationServer } from '../../examples/reference/authorization-server.ts';
import { referenceBackends } from '../../examples/reference/backends.ts';
import { ask, lineOf } from '../support/ask.ts';
import { createCallers, type TokenOf } from '../support/callers.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { waitUntil } from '../support/ndjson.ts';

const COOLDOWN_MS = 400;
const MAX_IN_FLIGHT = 8;

let deployment: TestDeployment;
let server: AuthorizationServer;
let tokenOf: TokenOf;

before(async () => {
  deployment = await startTestDeployment({
    adjustSidecar: (config) => {
      withoutCatalog(config);
      config.server.maxInFlight = MAX_IN_FLIGHT;
      // The default of 20 ms is for a machine that has nothing else to do.
      config.server.deadlineReserveMs = 250;
      for (const issuer of config.issuers) issuer.keyCooldownMs = COOLDOWN_MS;
      config.resources[1].delegation = 'mint';
    },
  });
  server = deployment.authorizationServer;
  tokenOf = deployment.tokenOf;
});
after(async () => {
  await server.stop();
  await deployment.stop();
});

const fetches = async (outcome: string) =>
  (await deployment.metrics()).value('mcp_ext_authz_jwks_fetches_total', { issuer: server.issuer, outcome });

test('slow, but in time: the call waits for it', async () => {
  server.setTokenDelay(700);
  try {
    const token = await tokenOf('alice', deployment.ledgerUrl);
    const started = performance.now();
    const line = await lineOf(deployment, await ask(deployment, { to: 'ledger', token, tool: 'listAccounts' }));
    assert.equal(line.reason, 'allowed');
    assert.ok(performance.now() - started >= 700);
  } finally {
    server.setTokenDelay(0);
  }
});

test('too slow: we say so before Envoy gives up, and the call does not go on afterwards', async () => {
  const token = await tokenOf('alice', deployment.ledgerUrl);
  const seen = deployment.requests.length;
  server.setTokenDelay(2500);
  try {
    const started = performance.now();
    const reply = await ask(deployment, { to: 'ledger', token, tool: 'listAccounts' });
    const elapsed = performance.now() - started;
    assert.deepEqual([reply.status, reply.reason], [503, 'exchange_timeout']);
    assert.deepEqual(reply.headers.get('retry-after'), ['1']);
    // That it was in time says the reason: Envoy, once it gives up, has none.
    assert.ok(elapsed > 1500, `${elapsed} ms`);
  } finally {
    server.setTokenDelay(0);
  }
  assert.equal((await ask(deployment, { token: await tokenOf('alice', deployment.directoryUrl) })).status, 200);
  assert.equal(deployment.requests.filter(({ backend }) => backend === 'enterprise-ledger').length, seen);
});

test('more at once than may be under way: the rest is refused quickly, none is lost', async () => {
  const token = await tokenOf('alice', deployment.ledgerUrl);
  server.setTokenDelay(500);
  try {
    const replies = await Promise.all(
      Array.from({ length: 40 }, () => ask(deployment, { to: 'ledger', token, tool: 'listAccounts' })),
    );
    const lines = await Promise.all(replies.map((reply) => lineOf(deployment, reply)));
    const busy = lines.filter(({ reason }) => reason === 'overloaded');
    assert.equal(lines.filter(({ reason }) => reason === 'allowed').length, MAX_IN_FLIGHT);
    assert.equal(busy.length, 40 - MAX_IN_FLIGHT);
    assert.ok(
      busy.every(({ metrics }) => metrics.timer_server_handler_ns < 100e6),
      'they did not wait',
    );
    const refused = replies.filter(({ reason }) => reason === 'overloaded');
    assert.ok(refused.every(({ status, headers }) => status === 503 && headers.has('retry-after')));
  } finally {
    server.setTokenDelay(0);
  }
});

test('new keys: a token signed with one is good after one fetch, the old ones stay good', async () => {
  const old = await tokenOf('bob', deployment.directoryUrl);
  await server.rotateKeys();
  await new Promise((resolve) => setTimeout(resolve, COOLDOWN_MS));
  const before = await fetches('ok');
  const rotated = createCallers(server);
  const fresh = await Promise.all([
    rotated('alice', deployment.directoryUrl),
    rotated('carol', deployment.directoryUrl),
    rotated('agent', deployment.directoryUrl),
  ]);
  const replies = await Promise.all([...fresh, ...fresh, old].map((token) => ask(deployment, { token, tool: 'listEmployees' })));
  assert.deepEqual(
    replies.map(({ status }) => status),
    Array(7).fill(200),
  );
  assert.equal(await fetches('ok'), before + 1);
  tokenOf = rotated;
});

test('new keys, and the old ones taken away: a token signed with one of those is refused', async () => {
  const old = await tokenOf('bob', deployment.ledgerUrl);
  await server.rotateKeys({ retireOld: true });
  await new Promise((resolve) => setTimeout(resolve, COOLDOWN_MS));
  const rotated = createCallers(server);
  // The new key becomes known first; what was never verified under the old one no longer can be.
  assert.equal((await ask(deployment, { token: await rotated('alice', deployment.directoryUrl) })).status, 200);
  const { status, reason } = await ask(deployment, { to: 'ledger', token: old });
  assert.deepEqual([status, reason], [401, 'token_key_unknown']);
  tokenOf = rotated;
});

test('a flood of tokens with keys nobody has: hardly a fetch, and others do not notice', async () => {
  const { testIssuer, directoryUrl } = deployment;
  const valid = testIssuer.token(directoryUrl);
  await ask(deployment, { token: valid });
  const before = testIssuer.fetches();
  const started = performance.now();
  const waits: number[] = [];
  for (let round = 0; round < 50; round++) {
    const flood = Array.from({ length: 6 }, (_, index) =>
      ask(deployment, { token: testIssuer.token(directoryUrl, { header: { kid: `unknown-${round}-${index}` } }) }),
    );
    const at = performance.now();
    const good = await ask(deployment, { token: valid });
    waits.push(performance.now() - at);
    assert.equal(good.status, 200);
    assert.deepEqual([...new Set((await Promise.all(flood)).map(({ reason }) => reason))], ['token_key_unknown']);
  }
  const allowed = 1 + Math.ceil((performance.now() - started) / COOLDOWN_MS);
  assert.ok(testIssuer.fetches() - before <= allowed, `${testIssuer.fetches() - before} fetches, ${allowed} at most`);
  waits.sort((a, b) => a - b);
  assert.ok((waits[Math.floor(waits.length * 0.9)] ?? 0) < 1000, `others waited ${waits.at(-1)} ms`);
});

test('down: what is known is still verified, what needs it is refused before its time is over, and it recovers', async () => {
  const [ledgerToken, directoryToken, bob] = await Promise.all([
    tokenOf('alice', deployment.ledgerUrl),
    tokenOf('alice', deployment.directoryUrl),
    tokenOf('bob', deployment.ledgerUrl),
  ]);
  const { port, issuer } = server;
  await server.stop();

  const seen = deployment.requests.length;
  const started = performance.now();
  const reply = await ask(deployment, { to: 'ledger', token: ledgerToken, tool: 'listAccounts' });
  assert.ok(performance.now() - started < 1500, `${performance.now() - started} ms`);
  assert.deepEqual([reply.status, reply.reason, deployment.requests.length], [503, 'exchange_unavailable', seen]);
  assert.equal((await ask(deployment, { to: 'ledger', token: bob, tool: 'getCustomerPII' })).reason, 'role_missing');
  assert.equal((await ask(deployment, { token: directoryToken, tool: 'listEmployees' })).status, 200);
  const strange = await ask(deployment, {
    to: 'ledger',
    token: deployment.testIssuer.token(deployment.ledgerUrl, { claims: { iss: issuer } }),
  });
  assert.deepEqual([strange.status, strange.reason], [401, 'token_key_unknown']);
  const ready = await fetch(`${deployment.sidecar.ready.admin}/readyz`);
  assert.equal(ready.status, 200, 'it stays ready on the keys that it has');

  const publicJwk = createPublicKey(await readFile(deployment.sidecarOptions.gatewayKeyFile)).export({ format: 'jwk' });
  server = await startAuthorizationServer({
    backends: referenceBackends([deployment.origin]),
    gateway: { publicJwk: { ...publicJwk, kid: 'gateway', alg: 'ES256' } },
    port,
  });
  tokenOf = createCallers(server);
  const fresh = await tokenOf('alice', deployment.ledgerUrl);
  const back = performance.now();
  await waitUntil('it works again', async () => {
    const line = await lineOf(deployment, await ask(deployment, { to: 'ledger', token: fresh, tool: 'listAccounts' }));
    return line.reason === 'allowed';
  });
  assert.ok(performance.now() - back < 15_000, `${performance.now() - back} ms`);
});
