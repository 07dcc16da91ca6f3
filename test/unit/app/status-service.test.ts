import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import type { PolicyState } from '../../../src/app/policy/state.ts';
import { startStatus } from '../../../src/app/status-service.ts';
import { parseConfig } from '../../../src/config.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { yamlOf } from '../support/config.ts';
import { startPeer } from '../support/peer.ts';

const STATE: PolicyState = {
  revision: 'r1',
  digest: 'd',
  activatedAt: 0,
  source: 'a file',
  lastAttemptAt: 0,
  answeredAt: 0,
  downloadedAt: 0,
  archiveBytes: 1,
  lastError: null,
};

async function uploaded(t: TestContext, status: object): Promise<any> {
  const first = Promise.withResolvers<string>();
  const peer = await startPeer(t, (response, { body }) => {
    first.resolve(body);
    response.end();
  });
  const config = parseConfig(
    yamlOf((tree) => {
      tree.services = [{ name: 'control', url: peer.url }];
      tree.status = { service: 'control', ...status };
    }),
  );
  const metrics = createMetrics('1');
  const stop = startStatus({
    config,
    metrics,
    log: () => {},
    labels: { id: 'i' },
    policy: () => STATE,
    candidate: () => null,
    isLogFull: () => false,
    lastUploadFailure: () => ({ message: 'the service answered 503', httpCode: 503 }),
    collect: () => metrics.logBuffered.set({ sink: 'upload' }, 42),
  });
  t.after(stop);
  return JSON.parse(await first.promise);
}

suite('the status of the running sidecar', () => {
  test('has what the decision log suffers, and the metrics of this moment', async (t) => {
    const { decision_logs, metrics, plugins } = await uploaded(t, {});
    assert.equal(decision_logs.http_code, 503);
    assert.equal(plugins.decision_logs.state, 'OK');
    const { mcp_ext_authz_decision_log_buffered_bytes: buffered } = metrics.prometheus;
    assert.deepEqual(buffered.metric, [{ label: [{ name: 'sink', value: 'upload' }], gauge: { value: 42 } }]);
  });

  test('has no metrics where the configuration says so', async (t) => {
    assert.equal((await uploaded(t, { metrics: false })).metrics, undefined);
  });
});
