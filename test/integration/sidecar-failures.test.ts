/**
 * The sidecar itself fails: it dies, it hangs, it comes back. Envoy then answers by itself, and the backend sees nothing.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { writeSidecarConfig } from '../../examples/reference/gateway.ts';
import { startProcess } from '../../examples/reference/process.ts';
import { ask, lineOf, settledLines } from '../support/ask.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { stats } from '../support/envoy-admin.ts';
import { waitUntil } from '../support/ndjson.ts';

const TIMEOUT_MS = 600;
const root = fileURLToPath(new URL('../..', import.meta.url));

for (const transport of ['tcp', 'unix'] as const) {
  describe(`over ${transport}`, () => {
    let deployment: TestDeployment;
    let token: string;
    before(async () => {
      deployment = await startTestDeployment({
        transport,
        delegation: 'mint',
        adjustSidecar: withoutCatalog,
        adjustEnvoy: (config) => {
          const { http_filters: filters } = config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
          filters.find(
            ({ name }: { name: string }) => name === 'envoy.filters.http.ext_authz',
          ).typed_config.grpc_service.timeout = `${TIMEOUT_MS / 1000}s`;
        },
      });
      token = await deployment.tokenOf('alice', deployment.directoryUrl);
      // The first Check of a process takes longer than others, on a busy machine longer than this timeout.
      await waitUntil('it works', async () => (await ask(deployment, { token, tool: 'listEmployees' })).status === 200);
    });
    after(() => deployment.stop());

    test('it hangs: Envoy waits as long as it was told, answers 503, and the answer that comes late changes nothing', async () => {
      const seen = deployment.requests.length;
      const before = await settledLines(deployment);
      const lateAnswers = async () => (await deployment.metrics()).value('mcp_ext_authz_late_answers_total');
      // The first of all may have been late.
      const lateBefore = await lateAnswers();
      deployment.sidecar.child.kill('SIGSTOP');
      const started = performance.now();
      try {
        const replies = await Promise.all([ask(deployment, { token, tool: 'listEmployees' }), ask(deployment, { token: null })]);
        const elapsed = performance.now() - started;
        assert.deepEqual(
          replies.map(({ status, body }) => [status, body]),
          [
            [503, ''],
            [503, ''],
          ],
        );
        assert.ok(elapsed >= TIMEOUT_MS - 50 && elapsed < TIMEOUT_MS + 4000, `${elapsed} ms`);
        assert.equal(deployment.requests.length, seen);
      } finally {
        deployment.sidecar.child.kill('SIGCONT');
      }
      await waitUntil('it answers again', async () => (await ask(deployment, { token, tool: 'listEmployees' })).status === 200);
      assert.equal(deployment.requests.length, seen + 1, 'a request that had been given up was let through afterwards');
      // What it answers when it wakes up is recorded too; Envoy no longer listens.
      await settledLines(deployment);
      const lines = (await deployment.decisions.all()).slice(before);
      assert.equal((await lateAnswers()) - lateBefore, lines.filter((line) => line.late === true).length);
    });

    test('it is killed: 503 at once, and it works again as soon as it is back', async () => {
      const seen = deployment.requests.length;
      deployment.sidecar.child.kill('SIGKILL');
      await waitUntil('Envoy notices', async () => (await ask(deployment, { token, tool: 'listEmployees' })).status === 503);
      const refused = deployment.requests.length;
      const started = performance.now();
      for (let round = 0; round < 20; round++) {
        const { status, body } = await ask(deployment, {
          token,
          tool: 'listEmployees',
          over: round % 2 === 0 ? 'http1' : 'http2',
        });
        assert.deepEqual([status, body], [503, '']);
      }
      assert.ok(performance.now() - started < 20 * TIMEOUT_MS, 'it answers without waiting for the timeout');
      assert.equal(deployment.requests.length, refused);
      assert.ok(refused - seen <= 1, 'a request was let through without a decision');
      const counts = await stats(deployment.envoy.adminSocket, 'ext_authz');
      assert.ok((counts.get('http.edge.ext_authz.error') ?? 0) >= 20);
      assert.equal(counts.get('http.edge.ext_authz.failure_mode_allowed') ?? 0, 0);

      await deployment.restartSidecar();
      const back = performance.now();
      await waitUntil(
        'Envoy finds it again',
        async () => (await ask(deployment, { token, tool: 'listEmployees' })).status === 200,
      );
      assert.ok(performance.now() - back < 15_000, `${performance.now() - back} ms after it was ready`);
      const reply = await ask(deployment, { token, tool: 'listEmployees' });
      assert.equal((await lineOf(deployment, reply)).reason, 'allowed');
    });
  });
}

describe('a sidecar that cannot start well', () => {
  let deployment: TestDeployment;
  before(async () => {
    deployment = await startTestDeployment({ delegation: 'mint' });
  });
  after(() => deployment.stop());

  test('without a policy it does not start', async () => {
    await assert.rejects(
      deployment.startAnotherSidecar('no-bundle', (config) => {
        config.wellKnown = undefined;
        config.policy.bundleFile = '/nowhere/bundle.tar.gz';
      }),
      /ended \(1\)[\s\S]*ENOENT/,
    );
  });

  test('with a setting that there is not it does not start, and says which', async () => {
    await assert.rejects(
      deployment.startAnotherSidecar('bad-config', (config) => {
        config.failureModeAllow = true;
        config.resources[0].publicUrls = ['http://gateway.example/mcp'];
      }),
      (error: Error) =>
        /failureModeAllow: there is no such setting/.test(error.message) && /resources\[0\]\.publicUrls\[0\]/.test(error.message),
    );
  });

  test('without the keys of any issuer it starts, is not ready, and refuses', async () => {
    const dead = 'http://127.0.0.1:9';
    const sidecar = await deployment.startAnotherSidecar('no-keys', (config) => {
      config.wellKnown = undefined;
      config.issuers = [{ issuer: dead, jwksUri: `${dead}/jwks` }];
      config.delegation.exchange = undefined;
    });
    const ready = await fetch(`${sidecar.ready.admin}/readyz`);
    assert.deepEqual([ready.status, ((await ready.json()) as any).keys], [503, { [dead]: 0 }]);
    assert.equal((await fetch(`${sidecar.ready.admin}/livez`)).status, 200);
    assert.equal(await sidecar.stop(), 0);
  });

  test('the socket file of one that was killed is no obstacle', async () => {
    const path = join(deployment.dir, 'stale.sock');
    await leaveSocket(path);
    const sidecar = await startAt(`unix://${path}`);
    assert.equal(await sidecar.stop(), 0);
  });

  test('where it cannot listen it ends, and does not stay half alive', async () => {
    const taken = deployment.sidecar.ready.target;
    await assert.rejects(startAt(taken), /ended \(1\)/);
  });

  test('the socket of one that is alive is not taken away', async () => {
    const path = join(deployment.dir, 'alive.sock');
    const server = createServer().listen(path);
    await once(server, 'listening');
    try {
      await assert.rejects(startAt(`unix://${path}`));
      assert.ok(existsSync(path));
    } finally {
      server.close();
    }
  });

  /** A sidecar that has a while to listen there. */
  async function startAt(listen: string) {
    const dir = await mkdtemp(join(deployment.dir, 'at-'));
    const { configFile } = await writeSidecarConfig({
      ...deployment.sidecarOptions,
      dir,
      adjust: (config) => {
        config.server.listen = listen;
        config.wellKnown = undefined;
      },
    });
    return startProcess({
      name: 'mcp-ext-authz',
      command: process.execPath,
      args: [join(root, 'src/main.ts'), 'serve', '--config', configFile],
      readyWhen: (line) => (line.includes('"target"') ? true : undefined),
      timeoutMs: 60_000,
    });
  }
});

/** A socket file with nobody behind it, as SIGKILL leaves one. */
async function leaveSocket(path: string): Promise<void> {
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('listening'))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.ok(existsSync(path));
}
