import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSealer } from '../../src/seal.ts';
import { openTask, sealTask } from '../../src/task.ts';

const sealer = createSealer([Buffer.alloc(32, 1)]);
const task = { principal: 'p', backend: 'ledger', id: '786512e2-9e0d-44bd-8f29-789f320fe840' };

test('a task comes back as it was', () => {
  const sealed = sealTask(sealer, task);
  assert.deepEqual(openTask(sealer, sealed), task);
  assert.ok(!sealed.includes(task.id));
});

test('it has one id for its owner, and another for everybody else', () => {
  const ids = [task, { ...task, principal: 'q' }, { ...task, backend: 'directory' }, { ...task, id: 'x' }].map((one) =>
    sealTask(sealer, one),
  );
  assert.equal(new Set(ids).size, 4);
  assert.equal(sealTask(sealer, task), ids[0]);
});

test('what is no task of ours is none', () => {
  const others = [
    '',
    task.id,
    sealer.seal('session', ['p', 'ledger', 'x']),
    createSealer([Buffer.alloc(32, 2)]).seal('task', ['p', 'l', 'x']),
  ];
  for (const id of others) assert.equal(openTask(sealer, id), null, id);
  assert.equal(openTask(sealer, sealer.seal('task', { principal: 'p' })), null);
});
