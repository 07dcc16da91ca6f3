/** The catalog in the whole sidecar: approvals at start and at a reload, and what a Check makes of them. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { suite, type TestContext, test } from 'node:test';
import { startApp } from '../../../src/app.ts';
import { checkRequest, connectEnvoy } from '../support/envoy.ts';
import { startPeer } from '../support/peer.ts';
import { callBody, createWorld, type World } from '../support/world.ts';

type Adjust = NonNullable<Parameters<World['config']>[0]>;
const EMPTY = 'version: 1\nbackends: {}\n';

async function run(t: TestContext, adjust: Adjust = () => {}) {
  const world = await createWorld(t);
  const peer = await startPeer(t, (response) => void response.writeHead(503).end());
  const file = world.path('approved.yaml');
  const config = (more: Adjust = adjust) =>
    world.config((tree) => {
      tree.resources[0].url = `${peer.url}/mcp`;
      tree.catalog = { pinning: { file } };
      more(tree);
    });
  const warnings: string[] = [];
  const start = async () => {
    const app = await startApp(config(), (level, message) => void (level === 'warn' && warnings.push(message)));
    const envoy = connectEnvoy(app.target);
    t.after(async () => {
      envoy.close();
      await app.stop();
    });
    const reasonOf = async (): Promise<string> => {
      const authorization = `Bearer ${await world.token()}`;
      const answer = await envoy.check(checkRequest(callBody(), { headers: { authorization } }), 5000);
      const { ok_response: ok, denied_response: denied } = answer;
      return ok ? 'allowed' : JSON.parse(denied?.body ?? '').error.data.reason;
    };
    return { ...app, reasonOf };
  };
  return { world, peer, file, config, start, warnings };
}

suite('pinned tools', () => {
  test('are refused while the backend has never answered, and the sidecar serves', async (t) => {
    const { file, start, peer, warnings } = await run(t);
    await writeFile(file, EMPTY);
    const app = await start();
    assert.equal(await app.reasonOf(), 'catalog_unavailable');
    await peer.asked(1);
    assert.equal(peer.seen[0]?.headers.authorization?.startsWith('Bearer eyJ'), true);
    const metrics = await (await fetch(`${app.adminUrl}/metrics`)).text();
    assert.match(metrics, /^mcp_ext_authz_backend_up\{backend="ledger"\} 0$/m);
    assert.doesNotMatch(warnings.join('\n'), /eyJ/);
  });

  test('need their file: without it nothing starts', async (t) => {
    const { file, start } = await run(t);
    await assert.rejects(start(), /approved tools cannot be used: .*approved\.yaml/);
    await writeFile(file, 'version: 1\nbackends: {ledger: {getBalance: {}}}\n');
    await assert.rejects(start(), /approved tools cannot be used: .*getBalance/);
  });

  test('are pinned and unpinned by a reload, and a damaged file changes nothing', async (t) => {
    const { file, start, config } = await run(t);
    await writeFile(file, EMPTY);
    const app = await start();
    const unpinned = config((tree) => {
      delete tree.catalog.pinning;
    });
    await app.reload(async () => unpinned);
    assert.equal(await app.reasonOf(), 'allowed');
    await writeFile(file, 'nonsense');
    await assert.rejects(
      app.reload(async () => config()),
      /approved tools cannot be used/,
    );
    assert.equal(await app.reasonOf(), 'allowed');
    await writeFile(file, EMPTY);
    await app.reload(async () => config());
    assert.equal(await app.reasonOf(), 'catalog_unavailable');
  });

  test('are not those of a resource without a url', async (t) => {
    const { world, file } = await run(t);
    assert.throws(
      () => world.config((tree) => Object.assign(tree, { catalog: { pinning: { file } } })),
      /catalog\.pinning: no resource has a url/,
    );
  });
});
