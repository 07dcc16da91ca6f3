import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBreaker } from '../../../src/decision-log/breaker.ts';

const ASKED = {};

test('of several that were asked together the first too long begins the pause, and the others do not change it', () => {
  const clock = { now: 0 };
  const { enter } = createBreaker(() => clock.now);
  const [first, second, third] = [enter(ASKED), enter(ASKED), enter(ASKED)];
  first?.(true);
  clock.now = 900;
  second?.(true);
  third?.(false);
  assert.equal(enter(ASKED), null);
  clock.now = 1000;
  assert.ok(enter(ASKED));
  assert.equal(enter(ASKED), null);
});

test('no pause is longer than a minute, nor for a clock that was set back', () => {
  const clock = { now: 0 };
  const { enter } = createBreaker(() => clock.now);
  for (let round = 0; round < 20; round += 1) {
    const leave = enter(ASKED);
    assert.ok(leave, `round ${round}`);
    leave(true);
    clock.now += 60_000;
  }
  enter(ASKED)?.(true);
  assert.equal(enter(ASKED), null);
  clock.now -= 3_600_000;
  assert.ok(enter(ASKED));
});

test('an answer of who is not asked any more says nothing of the next', () => {
  const { enter } = createBreaker(() => 0);
  const late = enter(ASKED);
  const next = {};
  assert.ok(enter(next));
  late?.(true);
  assert.ok(enter(next));
});
