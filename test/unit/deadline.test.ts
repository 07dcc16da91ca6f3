import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { inTime } from '../../src/deadline.ts';

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
