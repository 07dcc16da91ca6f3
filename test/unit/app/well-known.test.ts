import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { buildLiveAlone } from '../../../src/app/live-alone.ts';
import type { Live } from '../../../src/app/ports.ts';
import { serveWellKnown } from '../../../src/app/well-known.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { createWorld, RESOURCE, type World } from '../support/world.ts';

async function serve(t: TestContext, adjust?: Parameters<World['config']>[0]) {
  const world = await createWorld(t);
  const live: Live = await buildLiveAlone(world.config(adjust), { metrics: createMetrics('1'), log: () => {} }, null);
  t.after(live.close);
  const { url, close } = await serveWellKnown('127.0.0.1:0', () => live);
  t.after(close);
  return { world, get: (path: string) => fetch(url + path) };
}

suite('the public documents', () => {
  test('hold our keys, and nothing private', async (t) => {
    const { get } = await serve(t);
    const response = await get('/.well-known/jwks.json');
    assert.equal(response.headers.get('cache-control'), 'max-age=60');
    const { keys } = (await response.json()) as { keys: Record<string, unknown>[] };
    assert.deepEqual(
      keys.map(({ kid, alg, d }) => [kid, alg, d]),
      [['m1', 'ES256', undefined]],
    );
  });

  test('hold the metadata of us as an issuer, where RFC 8414 puts it', async (t) => {
    const { get } = await serve(t);
    const metadata = (await (await get('/.well-known/oauth-authorization-server/authz')).json()) as Record<string, unknown>;
    assert.equal(metadata.issuer, 'https://gateway.example/authz');
    assert.equal(metadata.jwks_uri, 'https://gateway.example/.well-known/jwks.json');
    assert.equal((await get('/.well-known/oauth-authorization-server')).status, 404);
  });

  test('hold the metadata of the resources', async (t) => {
    const { get, world } = await serve(t);
    const response = await get('/.well-known/oauth-protected-resource/ledger/mcp');
    assert.equal(response.headers.get('access-control-allow-origin'), '*');
    const metadata = (await response.json()) as Record<string, unknown>;
    assert.equal(metadata.resource, RESOURCE);
    assert.deepEqual(metadata.authorization_servers, [world.issuer.url]);
  });

  test('hold nothing else', async (t) => {
    const { get } = await serve(t);
    for (const path of ['/', '/ledger/mcp', '/.well-known/', '/.well-known/openid-configuration', '/metrics']) {
      assert.equal((await get(path)).status, 404, path);
    }
  });

  test('hold no keys where none are minted with', async (t) => {
    const { get } = await serve(t, (config) => {
      config.delegation = { actor: 'gw', mode: 'none' };
    });
    assert.equal((await get('/.well-known/jwks.json')).status, 404);
    assert.equal((await get('/.well-known/oauth-authorization-server/authz')).status, 404);
  });
});
