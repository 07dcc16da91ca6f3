import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { serveAdmin } from '../../../src/telemetry/admin.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';

async function admin(t: TestContext, ready: () => boolean, collect = () => {}) {
  const { register } = createMetrics('1');
  const { url, close } = await serveAdmin({
    listen: '127.0.0.1:0',
    register,
    readiness: () => ({ ready: ready(), keys: {} }),
    collect,
  });
  t.after(close);
  return (path: string) => fetch(url + path);
}

suite('the admin listener', () => {
  test('serves the metrics, collected for the occasion', async (t) => {
    let collected = 0;
    const get = await admin(
      t,
      () => true,
      () => {
        collected += 1;
      },
    );
    const response = await get('/metrics');
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    assert.match(await response.text(), /^mcp_ext_authz_build_info/m);
    assert.equal(collected, 1);
  });

  test('is live as long as it answers', async (t) => {
    const get = await admin(t, () => false);
    const response = await get('/livez');
    assert.deepEqual([response.status, await response.json()], [200, { live: true }]);
  });

  test('is ready or not, and says why', async (t) => {
    let ready = false;
    const get = await admin(t, () => ready);
    const before = await get('/readyz');
    assert.deepEqual([before.status, await before.json()], [503, { ready: false, keys: {} }]);
    ready = true;
    assert.equal((await get('/readyz')).status, 200);
  });

  test('has nothing else', async (t) => {
    const get = await admin(t, () => true);
    for (const path of ['/', '/metrics/', '/debug', '/readyz/x']) assert.equal((await get(path)).status, 404);
  });

  test('survives a part that cannot tell how it stands', async (t) => {
    const get = await admin(t, () => {
      throw new Error('broken');
    });
    assert.equal((await get('/readyz')).status, 500);
    assert.equal((await get('/livez')).status, 200);
  });
});
