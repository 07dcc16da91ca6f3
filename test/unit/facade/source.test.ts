/** The real metadata, kept: how often it is fetched, and what serves on while it cannot be had. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createMetadataSource } from '../../../src/facade/source.ts';
import type { JsonObject } from '../../../src/mcp/message.ts';

/** Fetches that end when the test says so, and a clock that it sets. */
function setUp() {
  const state = { time: 1e6 };
  const fetches: PromiseWithResolvers<JsonObject>[] = [];
  const source = createMetadataSource({
    clock: () => state.time,
    discover: () => {
      const fetch = Promise.withResolvers<JsonObject>();
      fetches.push(fetch);
      return fetch.promise;
    },
  });
  return { state, fetches, source };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

suite('the metadata', () => {
  test('is fetched once for all who wait, and held', async () => {
    const { fetches, source } = setUp();
    const waiting = [source(), source(), source()];
    assert.equal(fetches.length, 1);
    fetches[0]?.resolve({ n: 1 });
    assert.deepEqual(await Promise.all(waiting), [{ n: 1 }, { n: 1 }, { n: 1 }]);
    assert.deepEqual(source(), { n: 1 }, 'at once');
    assert.equal(fetches.length, 1);
  });

  test('is fetched again beside the requests once it is old, and what is held serves on if that fails', async () => {
    const { state, fetches, source } = setUp();
    const first = source();
    fetches[0]?.resolve({ n: 1 });
    await first;
    state.time += 300_001;
    assert.deepEqual([source(), source()], [{ n: 1 }, { n: 1 }]);
    assert.equal(fetches.length, 2);
    fetches[1]?.reject(new Error('down'));
    await settled();
    assert.deepEqual(source(), { n: 1 });
    assert.equal(fetches.length, 2, 'not again at once');
    state.time += 1001;
    void source();
    assert.equal(fetches.length, 3);
    fetches[2]?.resolve({ n: 2 });
    await settled();
    assert.deepEqual(source(), { n: 2 });
  });

  test('is not used for ever', async () => {
    const { state, fetches, source } = setUp();
    const first = source();
    fetches[0]?.resolve({ n: 1 });
    await first;
    state.time += 86_400_001;
    const late = source();
    fetches[1]?.reject(new Error('down'));
    await assert.rejects(async () => late, /down/);
  });

  test('that cannot be had is not asked for by everyone', async () => {
    const { state, fetches, source } = setUp();
    const first = source();
    fetches[0]?.reject(new Error('down'));
    await assert.rejects(async () => first, /down/);
    await settled();
    for (let times = 0; times < 10; times += 1) await assert.rejects(async () => source(), /down/);
    assert.equal(fetches.length, 1);
    state.time += 1000;
    const again = source();
    fetches[1]?.resolve({ n: 1 });
    assert.deepEqual(await again, { n: 1 });
  });
});
