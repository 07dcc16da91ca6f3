import assert from 'node:assert/strict';
import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { readBundleFile } from '../../../src/bundle/file-source.ts';
import { type Order, watchOrders, writeOrder } from '../../../src/bundle/orders.ts';
import { openStore } from '../../../src/bundle/store.ts';
import { folder } from '../support/folder.ts';

const VALIDATORS = { etag: '"e1"', lastModified: null };
const bundle = (content: string) => ({ archive: Buffer.from(content), validators: VALIDATORS, source: 'https://b.example/x' });

const ODD_CONTENT = '{"version":1,"history":[{"revision":"r","digest":"d","contentDigest":1,"at":1}],"accepted":null}';

suite('a store', () => {
  test('keeps the last bundle and nothing of the one before, for its owner alone', async (t) => {
    const dir = join(await folder(t), 'made');
    const store = openStore(dir, 'policy', 100);
    assert.equal(await store.readBundle(), null);
    assert.deepEqual(await store.readPast(), { history: [], accepted: null });
    await store.writeBundle(bundle('one'), 'a'.repeat(64));
    await store.writeBundle(bundle('two'), 'b'.repeat(64));
    // The first as it was written before there was a digest of contents.
    const history = [
      { revision: 'r', digest: 'd', at: 1 },
      { revision: 's', digest: 'e', contentDigest: 'c', at: 2 },
    ];
    const past = { history, accepted: 'q' };
    await store.writePast(past);
    const kept = await openStore(dir, 'policy', 100).readBundle();
    assert.deepEqual([String(kept?.archive), kept?.validators, kept?.source], ['two', VALIDATORS, 'https://b.example/x']);
    assert.deepEqual(await store.readPast(), past);
    const names = (await readdir(dir)).sort();
    assert.deepEqual(names, ['policy-bbbbbbbbbbbbbbbb.tar.gz', 'policy-history.json', 'policy.json']);
    for (const name of names) assert.equal((await stat(join(dir, name))).mode & 0o777, 0o600, name);
    assert.equal((await stat(dir)).mode & 0o777, 0o700);
  });

  test('keeps slots apart', async (t) => {
    const dir = await folder(t);
    await openStore(dir, 'policy', 100).writeBundle(bundle('live'), 'a'.repeat(64));
    await openStore(dir, 'shadow', 100).writeBundle(bundle('beside'), 'b'.repeat(64));
    assert.equal(String((await openStore(dir, 'policy', 100).readBundle())?.archive), 'live');
  });

  test('does not take what it cannot read for nothing', async (t) => {
    const dir = await folder(t);
    const store = openStore(dir, 'policy', 3);
    for (const text of ['', '{', '[]', '{"version":2}', '{"version":1,"history":[{}],"accepted":null}', ODD_CONTENT]) {
      await writeFile(join(dir, 'policy-history.json'), text);
      await assert.rejects(store.readPast(), text);
    }
    const beside = { version: 1, source: 's', etag: null, lastModified: null };
    for (const file of ['../../etc/passwd', 'gone-aaaaaaaaaaaaaaaa.tar.gz', 7]) {
      await writeFile(join(dir, 'policy.json'), JSON.stringify({ ...beside, file }));
      await assert.rejects(store.readBundle(), String(file));
    }
    await store.writeBundle(bundle('long'), 'a'.repeat(64));
    await assert.rejects(store.readBundle(), /too large/);
  });
});

suite('an order', () => {
  function listen(t: TestContext, directory: string, work: (order: Order) => Promise<void> = async () => {}) {
    const orders: Order[] = [];
    const failures: unknown[] = [];
    let wake = (): void => {};
    const changed = (): Promise<void> => new Promise((resolve) => (wake = resolve));
    const watch = watchOrders({
      directory,
      carryOut: async (order) => {
        orders.push(order);
        await work(order).finally(wake);
      },
      onFailure: (cause) => {
        failures.push(cause);
        wake();
      },
    });
    t.after(watch.stop);
    return { orders, failures, changed, watch };
  }

  test('reaches who runs, and is gone once it was carried out', async (t) => {
    const dir = await folder(t);
    const { orders, changed, watch } = listen(t, dir);
    const came = changed();
    await writeOrder(dir, { order: 'accept', revision: '41' });
    await came;
    await watch.look();
    assert.deepEqual([orders, await readdir(dir)], [[{ order: 'accept', revision: '41' }], []]);
  });

  test('waits in the folder for who is started later', async (t) => {
    const dir = join(await folder(t), 'made');
    await writeOrder(dir, { order: 'promote' });
    const { orders, watch } = listen(t, dir);
    await watch.look();
    await writeOrder(dir, { order: 'promote', revision: '42' });
    await watch.look();
    assert.deepEqual(orders, [{ order: 'promote' }, { order: 'promote', revision: '42' }]);
  });

  test('that fails or that nobody understands is told of and deleted', async (t) => {
    const dir = await folder(t);
    await writeFile(join(dir, `order-${crypto.randomUUID()}.json`), '{"order":"format the disk"}');
    await writeFile(join(dir, `order-${crypto.randomUUID()}.json`), 'x'.repeat(2000));
    await writeFile(join(dir, `order-${crypto.randomUUID()}.json`), '{"order":"promote","revision":42}');
    await writeFile(join(dir, 'order-notes.txt'), 'stays');
    await writeOrder(dir, { order: 'promote' });
    const { orders, failures, watch } = listen(t, dir, () => Promise.reject(new Error('no candidate')));
    await watch.look();
    assert.deepEqual([orders.length, failures.length, await readdir(dir)], [1, 4, ['order-notes.txt']]);
  });
});

test('a bundle file is read when it is another one', async (t) => {
  const dir = await folder(t);
  const file = join(dir, 'b.tar.gz');
  await assert.rejects(readBundleFile(file, null, 10), /ENOENT/);
  await writeFile(file, 'one');
  const first = await readBundleFile(file, null, 10);
  assert.equal(String(first.archive), 'one');
  assert.equal((await readBundleFile(file, first.mark, 10)).archive, null);
  await rm(file);
  await writeFile(file, 'two');
  assert.equal(String((await readBundleFile(file, first.mark, 10)).archive), 'two');
  await assert.rejects(readBundleFile(file, first.mark, 2), { code: 'too_large' });
  await assert.rejects(readBundleFile(dir, null, 10), {
    code: 'download_failed',
    message: `the bundle is a folder, and must be an archive: tar czf bundle.tar.gz -C ${dir} . makes one, and so does mcp-ext-authz policy build`,
  });
});
