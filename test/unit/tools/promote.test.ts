/** What `policy promote` says before it orders anything. That the sidecar carries it out is in test/integration/. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createWorld } from '../support/world.ts';
import { runPolicyVerb } from './support.ts';

test('a candidate that is another than the reviewed one is shown, and nothing is ordered', async (t) => {
  const server = createServer((_request, response) => {
    response.end(JSON.stringify({ ready: true, shadow: { revision: '2', promoted: false } }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const world = await createWorld(t);
  const directory = world.path('persisted');
  const { port } = server.address() as AddressInfo;
  const config = world.yaml((settings) => {
    settings.admin = { listen: `127.0.0.1:${port}` };
    settings.policy = { ...settings.policy, persistDirectory: directory };
  });
  await writeFile(world.path('config.yaml'), config);
  const { code, output } = await runPolicyVerb('promote', '--config', world.path('config.yaml'), '--revision', '1.5');
  assert.deepEqual([code, output], [1, 'the candidate is 2\nthat is not 1.5: nothing was promoted\n']);
  assert.ok(!readdirSync(world.path('.')).includes('persisted'));
});

test('an empty revision is none', async () => {
  assert.equal((await runPolicyVerb('promote', '--config', 'x', '--revision', '')).code, 2);
});
