/** What the sidecar counts after a known sequence of requests: exactly that, in few series, in a form Prometheus accepts. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { ask, get, lineOf } from '../support/ask.ts';
import { LEDGER, startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import type { Samples } from '../support/metrics.ts';

let deployment: TestDeployment;
let metrics: Samples;
let issuer: string;

before(async () => {
  deployment = await startTestDeployment({
    adjustSidecar: (config) => {
      withoutCatalog(config);
      config.resources[1].delegation = 'mint';
    },
  });
  issuer = deployment.authorizationServer.issuer;
  const { ledgerUrl, directoryUrl, tokenOf, testIssuer } = deployment;
  const alice = await tokenOf('alice', ledgerUrl);
  const bob = await tokenOf('bob', ledgerUrl);
  const agent = await tokenOf('agent', directoryUrl);
  for (let round = 0; round < 3; round++) await ask(deployment, { to: 'ledger', token: alice, tool: 'listAccounts' });
  for (let round = 0; round < 2; round++) await ask(deployment, { token: agent, tool: 'listEmployees' });
  await ask(deployment, { token: agent });
  await ask(deployment, { to: 'ledger', token: bob, tool: 'getCustomerPII' });
  await ask(deployment, { to: 'ledger', token: alice, tool: 'made-up' });
  await ask(deployment, { to: 'ledger', token: alice, method: 'made/up' });
  await ask(deployment, { to: 'ledger' });
  await ask(deployment, { to: 'ledger', token: testIssuer.token(ledgerUrl) });
  await get(deployment, `/.well-known/oauth-protected-resource${LEDGER}`);
  await lineOf(deployment, await get(deployment, '/elsewhere'));
  metrics = await deployment.metrics();
});
after(() => deployment.stop());

test('every decision is counted under its reason, method, tool and backend', () => {
  const counted = metrics.series('mcp_ext_authz_decisions_total').map(({ labels, value }) => {
    const { decision, reason, method, tool, backend } = labels;
    return `${value} ${decision} ${reason} ${method} ${tool} ${backend}`;
  });
  assert.deepEqual(counted.sort(), [
    '1 allow allowed tools/list none employee-directory',
    '1 allow metadata_served GET none enterprise-ledger',
    '1 deny exchange_refused tools/list none enterprise-ledger',
    '1 deny method_unknown other none enterprise-ledger',
    '1 deny resource_unknown GET none none',
    '1 deny role_missing tools/call getCustomerPII enterprise-ledger',
    '1 deny token_missing tools/list none enterprise-ledger',
    '1 deny tool_unknown tools/call other enterprise-ledger',
    '2 allow allowed tools/call listEmployees employee-directory',
    '3 allow allowed tools/call listAccounts enterprise-ledger',
  ]);
});

test('the histograms hold as many observations as there were Checks', () => {
  assert.equal(metrics.sum('mcp_ext_authz_check_duration_seconds_count'), 13);
  const stages = Object.fromEntries(
    metrics.series('mcp_ext_authz_stage_duration_seconds_count').map(({ labels, value }) => [labels.stage, value]),
  );
  // Without a resource nothing is read; without a token, or with a method that does not exist, nothing is verified.
  assert.deepEqual(stages, { read: 11, verify: 9, inbound: 9, outbound: 7, delegate: 7 });
  assert.equal(metrics.value('mcp_ext_authz_in_flight_checks'), 0);
  assert.equal(metrics.value('mcp_ext_authz_late_answers_total'), 0);
});

test('delegations are counted by way, backend and outcome', () => {
  const counted = metrics
    .series('mcp_ext_authz_delegations_total')
    .filter(({ value }) => value > 0) // every outcome is there from the start, at nought
    .map(({ labels, value }) => [labels.mode, labels.backend, labels.outcome, value]);
  assert.deepEqual(counted.sort(), [
    ['exchange', 'enterprise-ledger', 'ok', 3],
    ['exchange', 'enterprise-ledger', 'refused', 1],
    ['mint', 'employee-directory', 'ok', 3],
  ]);
  assert.equal(metrics.value('mcp_ext_authz_exchange_duration_seconds_count', { outcome: 'ok' }), 3);
});

test('keys were fetched once from each issuer, tokens verified once each', () => {
  assert.equal(metrics.value('mcp_ext_authz_jwks_fetches_total', { issuer, outcome: 'ok' }), 1);
  assert.equal(metrics.value('mcp_ext_authz_jwks_fetches_total', { issuer: deployment.testIssuer.issuer, outcome: 'ok' }), 1);
  assert.equal(metrics.sum('mcp_ext_authz_jwks_fetches_total', { outcome: 'failed' }), 0);
  assert.equal(metrics.value('mcp_ext_authz_cache_lookups_total', { cache: 'tokens', result: 'miss' }), 4);
  assert.equal(metrics.value('mcp_ext_authz_cache_lookups_total', { cache: 'tokens', result: 'hit' }), 5);
  assert.equal(metrics.value('mcp_ext_authz_cache_entries', { cache: 'tokens' }), 4);
});

test('the log, the bundle and the build are there', () => {
  assert.equal(metrics.value('mcp_ext_authz_decision_log_lines_total', { outcome: 'written' }), 13);
  assert.equal(metrics.sum('mcp_ext_authz_decision_log_lines_total', { outcome: 'lost' }), 0);
  assert.equal(metrics.value('mcp_ext_authz_bundle_loads_total', { bundle: 'policy', outcome: 'activated' }), 1);
  assert.deepEqual(
    metrics.series('mcp_ext_authz_bundle_info').map(({ value }) => value),
    [1],
  );
  assert.deepEqual(
    metrics.series('mcp_ext_authz_build_info').map(({ value }) => value),
    [1],
  );
});

test('names that callers make up do not make series', async () => {
  const token = await deployment.tokenOf('alice', deployment.ledgerUrl);
  const count = async () =>
    (await deployment.metrics()).text.split('\n').filter((line) => line.startsWith('mcp_ext_authz_')).length;
  const before = await count();
  for (let number = 0; number < 100; number++) {
    await ask(deployment, { to: 'ledger', token, tool: `tool-${number}` });
    await ask(deployment, { to: 'ledger', token, method: `method/${number}` });
    await get(deployment, `/path/${number}`, { headers: [['user-agent', `agent-${number}`]] });
  }
  await lineOf(
    deployment,
    await ask(deployment, {
      to: 'ledger',
      token: deployment.testIssuer.token(deployment.ledgerUrl, {
        claims: { sub: 'somebody-new', iss: 'https://made.up.example' },
      }),
    }),
  );
  // One more series for a reason that had not come about before.
  assert.ok((await count()) - before <= 2, `${(await count()) - before} new series`);
});

const noPromtool = spawnSync('promtool', ['--version']).status !== 0 && 'there is no promtool';

/** What promtool has to say, line by line. */
function complaints(): string[] {
  const { stderr, stdout } = spawnSync('promtool', ['check', 'metrics'], { input: metrics.text, encoding: 'utf8' });
  return `${stdout}${stderr}`.split('\n').filter((line) => line !== '');
}

test('promtool finds nothing wrong with the metrics that are ours', { skip: noPromtool }, () => {
  assert.deepEqual(
    complaints().filter((line) => line.includes('mcp_ext_authz')),
    [],
  );
});

test('promtool finds nothing wrong at all', { skip: noPromtool }, () => {
  assert.deepEqual(complaints(), []);
});

test('the admin listener serves what it should and nothing else', async () => {
  const { admin } = deployment.sidecar.ready;
  const statusOf = async (path: string, method = 'GET') => (await fetch(admin + path, { method })).status;
  assert.deepEqual(
    await Promise.all(['/metrics', '/livez', '/readyz', '/', '/config', '/debug/pprof'].map((path) => statusOf(path))),
    [200, 200, 200, 404, 404, 404],
  );
  assert.equal(await statusOf('/metrics', 'POST'), 405);
  const ready = (await (await fetch(`${admin}/readyz`)).json()) as any;
  assert.deepEqual([ready.ready, ready.draining, ready.keys[issuer]], [true, false, 1]);
});
