import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRetirement } from '../../../src/app/retirement.ts';

test('connections of a configuration before last as long as a stream may need them', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const closed: string[] = [];
  const { retire } = createRetirement();
  retire(async () => void closed.push('first'));
  t.mock.timers.tick(3_599_999);
  assert.deepEqual(closed, []);
  t.mock.timers.tick(1);
  assert.deepEqual(closed, ['first']);
});

test('and no longer than the process: one that cannot be closed holds up none of the others', async () => {
  const closed: string[] = [];
  const { retire, end } = createRetirement();
  retire(async () => {
    throw new Error('closed already');
  });
  retire(async () => void closed.push('second'));
  await end();
  assert.deepEqual(closed, ['second']);
});
