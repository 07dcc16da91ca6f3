/**
 * A new policy every second for a minute, out of a bundle server, while callers call: none fails, each call was decided by one
 * revision, and a call that began after a revision was in force was never decided by one before it.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ask, settledLines } from '../support/ask.ts';
import { changedBundle, withRevision } from '../support/bundles.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';

const SWAPS = 60;
const EVERY_MS = 1000;
const CALLERS = 4;

let bundle: Buffer;
const server = createServer((request, response) => {
  const etag = `"${createHash('sha256').update(bundle).digest('hex')}"`;
  const isKnown = request.headers['if-none-match'] === etag;
  response.writeHead(isKnown ? 304 : 200, { etag }).end(isKnown ? undefined : bundle);
});
let deployment: TestDeployment;

before(async () => {
  bundle = await changedBundle(withRevision('0'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  deployment = await startTestDeployment({
    delegation: 'mint',
    adjustSidecar: (config) => {
      withoutCatalog(config);
      config.services = [{ name: 'bundles', url: `http://127.0.0.1:${port}/` }];
      delete config.policy.bundleFile;
      Object.assign(config.policy, {
        bundle: { service: 'bundles', resource: 'mcp.tar.gz' },
        polling: { minDelayMs: 100, maxDelayMs: 200 },
      });
    },
  });
});
after(async () => {
  await deployment?.stop();
  server.close();
});

test('a swap every second for a minute under load', async (t) => {
  const token = await deployment.tokenOf('bob', deployment.directoryUrl);
  const from = await settledLines(deployment);
  let isOver = false;
  const asked = { count: 0 };
  const refusals: string[] = [];
  const load = Array.from({ length: CALLERS }, async () => {
    while (!isOver) {
      const { reason, status } = await ask(deployment, { to: 'directory', token, tool: 'listEmployees' });
      asked.count++;
      if (reason !== undefined || status !== 200) refusals.push(`${status} ${reason}`);
      await delay(20);
    }
  });
  const stalls: number[] = [];
  for (let revision = 1; revision <= SWAPS; revision++) {
    bundle = await changedBundle(withRevision(String(revision)));
    await delay(EVERY_MS);
    // Greatest since it was last asked for.
    stalls.push((await deployment.metrics()).value('nodejs_eventloop_lag_max_seconds', {}) * 1000);
  }
  isOver = true;
  await Promise.all(load);
  assert.deepEqual(refusals, []);
  const lines = (await deployment.decisions.waitForCount(from + asked.count)).slice(from);
  const revisions = lines.map(({ bundles }) => Number(bundles.policy.revision));
  const seen = new Set(revisions);
  // On a busy machine one may be passed over while the one before it is still being loaded.
  assert.ok(seen.size > SWAPS / 2, `${seen.size} revisions decided something`);
  // Lines are in the order of answers; calls under way at a swap may still be the last one's.
  const backwards = revisions.filter((revision, index) => index >= CALLERS && revision < (revisions[index - CALLERS] ?? 0) - 1);
  assert.deepEqual(backwards, []);
  const metrics = await deployment.metrics();
  assert.equal(metrics.value('mcp_ext_authz_bundle_loads_total', { bundle: 'policy', outcome: 'refused' }), 0);
  const worst = Math.max(...stalls).toFixed(1);
  t.diagnostic(`${asked.count} calls, ${seen.size} revisions; longest stall of the sidecar's event loop ${worst} ms`);
});
