/**
 * A sidecar is told to stop while requests come in. With two of them behind Envoy no request fails; with one, those that are
 * under way are still answered, and recorded.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../examples/reference/free-port.ts';
import type { Sidecar } from '../../examples/reference/gateway.ts';
import { ask } from '../support/ask.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { stats } from '../support/envoy-admin.ts';
import { followLines, waitUntil } from '../support/ndjson.ts';

type Tree = Record<string, any>;

const WORKERS = 12;

let deployment: TestDeployment;
let second: Sidecar;
let secondPort: number;

before(async () => {
  secondPort = await freePort();
  deployment = await startTestDeployment({
    adjustSidecar: (config) => {
      withoutCatalog(config);
      config.resources[1].delegation = 'mint';
      // Longer than Envoy needs to stop asking: a health check, and the second in which it merges updates of a cluster.
      config.server.drainDelayMs = 1600;
    },
    adjustEnvoy: (config) => {
      const cluster = config.static_resources.clusters.find(({ name }: Tree) => name === 'mcp_ext_authz');
      const [locality] = cluster.load_assignment.endpoints;
      locality.lb_endpoints.push({ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: secondPort } } } });
      Object.assign(cluster.health_checks[0], { interval: '0.2s', no_traffic_interval: '0.2s', timeout: '0.5s' });
    },
  });
  second = await startSecond();
  await healthy(2);
});
after(() => deployment.stop());

function startSecond(): Promise<Sidecar> {
  return deployment.startAnotherSidecar('second', (config) => {
    config.server.listen = `127.0.0.1:${secondPort}`;
    config.wellKnown = undefined;
  });
}

function healthy(count: number): Promise<void> {
  return waitUntil(`${count} sidecars are healthy`, async () => {
    const found = await stats(deployment.envoy.adminSocket, 'cluster.mcp_ext_authz.membership_healthy');
    return found.get('cluster.mcp_ext_authz.membership_healthy') === count;
  });
}

/** SIGTERM, and how it ended. */
async function terminate({ child }: Sidecar): Promise<number | null> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const [code] = await exited;
  return code;
}

test('two sidecars, each told to stop in its turn under load: no request fails, each has its line', async () => {
  const token = await deployment.tokenOf('alice', deployment.directoryUrl);
  const logs = [deployment.decisions, followLines(second.decisionLogFile)];
  const linesBefore = (await deployment.decisions.all()).length;
  const failures: unknown[] = [];
  let sent = 0;
  let done = false;
  const work = async () => {
    while (!done) {
      sent += 1;
      const { status, reason, body } = await ask(deployment, { token, tool: 'listDepartments' });
      if (status !== 200 || reason !== undefined) failures.push([sent, status, reason, body.slice(0, 100)]);
      await delay(5);
    }
  };
  const workers = Array.from({ length: WORKERS }, work);

  await delay(300);
  const started = performance.now();
  assert.equal(await terminate(second), 0);
  assert.ok(performance.now() - started < 10_000);
  await healthy(1);
  const again = await startSecond();
  logs.push(followLines(again.decisionLogFile));
  await healthy(2);
  assert.equal(await terminate(deployment.sidecar), 0);
  await delay(300);
  const sentByThen = sent;
  await delay(300);
  assert.ok(sent > sentByThen, 'requests go on with the one that is left');
  done = true;
  await Promise.all(workers);

  assert.deepEqual(failures, [], `${failures.length} of ${sent} failed`);
  assert.ok(sent > 500, `only ${sent} requests`);
  await waitUntil('every request has its line', async () => {
    const counts = await Promise.all(logs.map(async (log) => (await log.all()).length));
    return counts.reduce((total, count) => total + count, 0) - linesBefore === sent;
  });
  second = again;
});

test('one sidecar alone: what is under way when it is told to stop is answered and recorded', async () => {
  const token = await deployment.tokenOf('alice', deployment.ledgerUrl);
  deployment.authorizationServer.setTokenDelay(700);
  const log = followLines(second.decisionLogFile);
  const before = (await log.all()).length;
  const underWay = Array.from({ length: 5 }, () => ask(deployment, { to: 'ledger', token, tool: 'listAccounts' }));
  await waitUntil(
    'they are under way',
    async () => (await deployment.metrics(second.ready.admin)).value('mcp_ext_authz_in_flight_checks') === 5,
  );
  assert.equal(await terminate(second), 0);
  const replies = await Promise.all(underWay);
  assert.deepEqual(
    [...new Set(replies.map(({ reason, status }) => `${status} ${reason}`))],
    ['400 undefined'],
    'the backend answers: no session',
  );
  const lines = (await log.all()).slice(before);
  assert.deepEqual(
    lines.map(({ reason }) => reason),
    Array(5).fill('allowed'),
  );
  assert.equal((await ask(deployment, { token })).status, 503, 'nobody is left');
});
