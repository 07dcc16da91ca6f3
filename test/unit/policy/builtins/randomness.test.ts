import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectBuiltins, createBuiltins } from '../../../../src/policy/builtins.ts';
import { agreesWithOpa, throughWasm } from './against-opa.ts';
import { gives, refuses } from './direct.ts';

/** Built-ins connected to an instance that does nothing, and how to begin its next evaluation. */
function connected() {
  const builtins = createBuiltins(() => 0);
  const instance = { exports: { eval: () => 0 } as { eval: () => number } };
  connectBuiltins(builtins, instance);
  const draw = (name: string, ...args: readonly unknown[]): unknown => builtins[name]?.(...args);
  return { draw, begin: () => instance.exports.eval() };
}

test('a draw stays the same throughout one evaluation, and only there', () => {
  const { draw, begin } = connected();
  const drawn = new Set<unknown>();
  for (let i = 0; i < 20; i += 1) {
    begin();
    const uuid = draw('uuid.rfc4122', 'request');
    assert.match(String(uuid), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(draw('uuid.rfc4122', 'request'), uuid);
    assert.notEqual(draw('uuid.rfc4122', 'another'), uuid);
    assert.equal(draw('rand.intn', 'a', 2 ** 40), draw('rand.intn', 'a', -(2 ** 40)));
    drawn.add(uuid).add(draw('rand.intn', 'a', 2 ** 40));
  }
  assert.equal(drawn.size, 40);
});

test('a number is below the bound', () => {
  const { draw, begin } = connected();
  for (let i = 0; i < 100; i += 1) {
    begin();
    const number = draw('rand.intn', 'a', 3) as number;
    assert.ok(Number.isInteger(number) && number >= 0 && number < 3);
  }
});

gives('what needs no luck', [
  [['rand.intn', 'a', 0], '0'],
  [['rand.intn', 1, 5], undefined],
  [['rand.intn', 'a', 0.5], undefined],
]);

refuses('draws outside an evaluation, and ranges too wide', [
  [['rand.intn', 'a', 2], 'not connected to an instance'],
  [['uuid.rfc4122', 'a'], 'not connected to an instance'],
  [['rand.intn', 'a', 2 ** 48], 'range of 2^48 or more'],
]);

throughWasm(
  'in a policy',
  ['uuid.rfc4122("a") == uuid.rfc4122("a")', 'uuid.rfc4122("a") == uuid.rfc4122("b")', 'rand.intn("a", 1)'],
  (outcomes) => {
    assert.deepEqual(
      outcomes.map(({ value }) => value),
      [true, false, 0],
    );
  },
);

agreesWithOpa('randomness, where the outcome is certain', [
  ['rand.intn', 'a', 1],
  ['rand.intn', 'a', -1],
  ['rand.intn', 'a', 0],
  ['rand.intn', 'a', 1.5],
  ['rand.intn', null, 1],
]);
