import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createPoller, type Looked } from '../../../src/bundle/poller.ts';

/** A poller whose clock is a list of timers, and a source that answers when told to. */
function world(random = () => 0.5) {
  const timers: { ms: number; work: () => void }[] = [];
  const looks: { signal: AbortSignal; settle: (looked: Looked) => void; fail: () => void }[] = [];
  const poller = createPoller({
    look: (signal) =>
      new Promise((settle, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
        looks.push({ signal, settle, fail: () => reject(new Error('down')) });
      }),
    minDelayMs: 1000,
    maxDelayMs: 3000,
    random,
    later: (ms, work) => {
      const timer = { ms, work };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), timers.includes(timer) ? 1 : 0);
    },
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return { timers, looks, poller, turn };
}

suite('a poller', () => {
  test('looks again after a while between the shortest and the longest', async () => {
    for (const [random, ms] of [
      [0, 1000],
      [0.5, 2000],
      [1, 3000],
    ] as const) {
      const { timers, looks, poller, turn } = world(() => random);
      const looked = poller.look();
      await turn();
      looks[0]?.settle('later');
      await looked;
      assert.deepEqual(
        timers.map((timer) => timer.ms),
        [ms],
      );
      timers.shift()?.work();
      await turn();
      assert.equal(looks.length, 2);
      await poller.stop();
    }
  });

  test('looks at once where the source itself waits', async () => {
    const { timers, looks, poller, turn } = world();
    const looked = poller.look();
    await turn();
    looks[0]?.settle('soon');
    await looked;
    assert.deepEqual(
      timers.map((timer) => timer.ms),
      [0],
    );
    await poller.stop();
    assert.deepEqual(timers, []);
  });

  test('is more patient after each failure, up to the longest, and forgets it after a success', async () => {
    const { timers, looks, poller, turn } = world(() => 1);
    void poller.look();
    const waits: number[] = [];
    for (let at = 0; at < 5; at += 1) {
      await turn();
      looks.at(-1)?.fail();
      await turn();
      waits.push(timers[0]?.ms ?? -1);
      timers.shift()?.work();
    }
    assert.deepEqual(waits, [500, 1000, 2000, 3000, 3000]);
    await turn();
    looks.at(-1)?.settle('later');
    await turn();
    timers.shift()?.work();
    await turn();
    looks.at(-1)?.fail();
    await turn();
    assert.equal(timers[0]?.ms, 500);
    await poller.stop();
  });

  test('ends what only waits when it is told to look now, and looks one at a time', async () => {
    const { timers, looks, poller, turn } = world();
    void poller.look();
    await turn();
    const again = poller.look();
    await turn();
    assert.deepEqual(
      looks.map(({ signal }) => signal.aborted),
      [true, false],
    );
    looks[1]?.settle('later');
    await again;
    assert.equal(timers.length, 1);
    await poller.stop();
  });

  test('stops at once, and does not begin again', async () => {
    const { timers, looks, poller, turn } = world();
    void poller.look();
    await turn();
    await poller.stop();
    assert.ok(looks[0]?.signal.aborted);
    await poller.look();
    assert.deepEqual([looks.length, timers.length], [1, 0]);
  });
});
