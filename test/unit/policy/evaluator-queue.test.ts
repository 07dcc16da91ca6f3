import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createQueue, type QueueItem, type QueueOptions } from '../../../src/policy/evaluator-queue.ts';

interface Item extends QueueItem {
  readonly name: string;
}

const item = (name: string, weight = 1): Item => ({ name, caller: name.slice(0, 1), weight });
const names = (items: readonly Item[]): string => items.map(({ name }) => name).join(' ');

function queueOf(waiting: string, options: Partial<QueueOptions> = {}) {
  const queue = createQueue<Item>({ threads: 2, maxWaiting: 100, maxWaitingEach: 100, isSlow: () => false, ...options });
  for (const name of waiting.split(' ').filter(Boolean)) assert.ok(queue.add(item(name)));
  return queue;
}

suite('turns', () => {
  test('of callers, not of questions', () => {
    const queue = queueOf('a1 a2 a3 a4 b1 b2 c1', { threads: 1 });
    assert.equal(names(queue.take(7)), 'a1 b1 c1 a2 b2 a3 a4');
    assert.equal(queue.size(), 0);
  });
  test('go on where they stopped', () => {
    const queue = queueOf('a1 a2 a3 b1 c1', { threads: 3 });
    const first = queue.take(2);
    assert.equal(names(first), 'a1 b1');
    queue.release(first);
    assert.equal(names(queue.take(9)), 'c1 a2 a3');
  });
  test('end at the weight that fits, after one item at least', () => {
    const queue = queueOf('', { threads: 1 });
    for (const one of [item('a1', 100), item('b1', 100), item('c1')]) queue.add(one);
    assert.equal(names(queue.take(16)), 'a1');
    assert.equal(names(queue.take(101)), 'b1 c1');
  });
});

suite('one caller', () => {
  test('never is in all threads', () => {
    for (const threads of [2, 3, 4]) {
      const queue = queueOf('a1 a2 a3 a4 a5 a6', { threads });
      const taken = Array.from({ length: threads }, () => names(queue.take(1)));
      assert.deepEqual(taken, [...Array.from({ length: threads - 1 }, (_, at) => `a${at + 1}`), '']);
      queue.add(item('b1'));
      assert.equal(names(queue.take(16)), 'b1');
    }
  });
  test('is in the only one', () => assert.equal(names(queueOf('a1', { threads: 1 }).take(1)), 'a1'));
  test('comes back into a thread that is free again', () => {
    const queue = queueOf('a1 a2 a3');
    const first = queue.take(2);
    assert.equal(names(queue.take(1)), '');
    queue.release(first);
    assert.equal(names(queue.take(1)), 'a3');
  });
  test('has only so much room, and leaves some to others', () => {
    const queue = queueOf('a1 a2', { maxWaiting: 3, maxWaitingEach: 2 });
    assert.equal(queue.add(item('a3')), false);
    assert.equal(queue.add(item('b1')), true);
    assert.equal(queue.add(item('c1')), false);
    assert.equal(queue.size(), 3);
  });
});

suite('slow callers', () => {
  const isSlow = (caller: string) => caller === 's' || caller === 't';
  test('are asked for alone, and nobody waits behind them', () => {
    const queue = queueOf('s1 a1 b1 s2', { isSlow });
    assert.equal(names(queue.take(16)), 's1');
    assert.equal(names(queue.take(16)), 'a1 b1');
  });
  test('do not get into what others have begun', () => {
    assert.equal(names(queueOf('a1 s1 b1', { isSlow, threads: 3 }).take(16)), 'a1 b1');
  });
  test('together never are in all threads', () => {
    const queue = queueOf('s1 t1 t2', { isSlow });
    const first = queue.take(16);
    assert.equal(names(first), 's1');
    assert.equal(names(queue.take(16)), '');
    queue.release(first);
    assert.equal(names(queue.take(16)), 't1');
  });
  test('wait while there is only one thread left of several', () => {
    const queue = queueOf('s1 a1', { isSlow });
    assert.equal(names(queue.take(16, 1)), 'a1');
    assert.equal(names(queue.take(16, 1)), '');
    assert.equal(names(queue.take(16, 2)), 's1');
    assert.equal(names(queueOf('s1', { isSlow, threads: 1 }).take(16, 1)), 's1');
  });
  test('leave by the lane they came in by, also where they become slow meanwhile', () => {
    let slow = false;
    const queue = queueOf('a1 a2', { isSlow: () => slow });
    const first = queue.take(1);
    slow = true;
    const second = queue.take(1);
    assert.deepEqual([names(first), names(second)], ['a1', 'a2']);
    queue.release(first);
    queue.release(second);
    slow = false;
    queue.add(item('a3'));
    assert.equal(names(queue.take(1)), 'a3');
  });
});

suite('what was taken or waits', () => {
  test('is put back in front, in its order', () => {
    const queue = queueOf('a1 a2 a3', { threads: 1 });
    const taken = queue.take(2);
    queue.release(taken);
    queue.putBack(taken);
    assert.equal(queue.size(), 3);
    assert.equal(names(queue.take(9)), 'a1 a2 a3');
  });
  test('finds room when it is put back, however full it is', () => {
    const queue = queueOf('a1', { maxWaiting: 1 });
    const taken = queue.take(1);
    queue.add(item('b1'));
    queue.putBack(taken);
    assert.equal(queue.size(), 2);
  });
  test('is taken out by what it is', () => {
    const queue = queueOf('a1 a2 b1 a3', { threads: 1 });
    assert.equal(names(queue.remove(({ name }) => name !== 'a2')), 'a1 a3 b1');
    assert.equal(queue.size(), 1);
    assert.equal(names(queue.take(9)), 'a2');
    assert.deepEqual(queue.take(9), []);
  });
});
