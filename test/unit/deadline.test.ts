import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { callAt, inTime } from '../../src/deadline.ts';

const never = new Promise<string>(() => {});

suite('work with an end', () => {
  test('gives what it gives, if it comes in time', async () => {
    assert.equal(await inTime(Promise.resolve('done'), 1000, () => 'late'), 'done');
    await assert.rejects(
      inTime(Promise.reject(new Error('broken')), 1000, () => 'late'),
      /broken/,
    );
  });

  test('is done without, if it does not', async () => {
    assert.equal(await inTime(never, 1, () => 'late'), 'late');
    assert.equal(await inTime(never, -1, () => 'late'), 'late');
  });

  test('may fail afterwards without harm', async () => {
    const { promise, reject } = Promise.withResolvers<string>();
    assert.equal(await inTime(promise, 1, () => 'late'), 'late');
    reject(new Error('too late to matter'));
  });

  test('that is ready is not late, however little time there is', async () => {
    assert.equal(await inTime(Promise.resolve('done'), 0, () => 'late'), 'done');
  });

  test('may have all the time in the world', async () => {
    for (const ms of [2 ** 31, 2 ** 40, Number.POSITIVE_INFINITY]) {
      const slow = new Promise((resolve) => setTimeout(resolve, 5, 'done'));
      assert.equal(await inTime(slow, ms, () => 'late'), 'done');
    }
  });
});

suite('something at a time', () => {
  test('is done then, and at once where the time has passed', async () => {
    let now = 1_000_000;
    await new Promise<void>((resolve) => callAt(now + 5, resolve, () => now));
    now += 10;
    await new Promise<void>((resolve) => callAt(now - 5, resolve, () => now));
  });

  test('waits for a time beyond what one timer holds', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let now = 0;
    let done = 0;
    callAt(
      2 ** 31 + 999,
      () => void done++,
      () => now,
    );
    now = 2 ** 31 - 1;
    t.mock.timers.tick(now);
    assert.equal(done, 0);
    t.mock.timers.tick(999);
    assert.equal(done, 0);
    t.mock.timers.tick(1);
    assert.equal(done, 1);
  });

  test('is not done once it is stopped', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    callAt(
      10,
      () => assert.fail('called'),
      () => 0,
    )();
    t.mock.timers.tick(100);
  });
});
