import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createWire, readValue, setOf } from '../../../../src/policy/builtins/wire.ts';
import { throughWasm } from './against-opa.ts';

const text = (buffer: ArrayBuffer) => new TextDecoder().decode(buffer);

test('values as OPA writes them', () => {
  assert.deepEqual(readValue('x', '{"a": {1, [2, set()]}, "b": {}, "__proto__": {"c"}}'), {
    a: new Set([1, [2, new Set()]]),
    b: {},
    ['__proto__']: new Set(['c']),
  });
  assert.deepEqual(readValue('x', '"}, {\\"\\\\"'), '}, {"\\');
  assert.throws(() => readValue('x', '{1: 2}'), { message: 'x: only string keys are supported' });
  assert.throws(() => readValue('x', '[1'), { message: 'x: unreadable value' });
  assert.throws(() => readValue('x', '['.repeat(300)), { message: 'x: values nested deeper than 200' });
});

test('what is written reads as the same', () => {
  const value = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.string({ unit: 'grapheme' }),
      fc.integer(),
      fc.constantFrom(null, true),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.array(tie('value'), { maxLength: 3 }).map((items) => new Set(items)),
      fc.dictionary(fc.string(), tie('value'), { maxKeys: 3, noNullPrototype: true }),
    ),
  })).value;
  fc.assert(
    fc.property(fc.array(value), (items) => {
      assert.deepEqual(readValue('x', text(setOf(items))), new Set(items));
    }),
  );
});

test('arguments belong to the call that follows them', () => {
  const memory = { buffer: new TextEncoder().encode('one\0two\0').buffer };
  const instance = {
    exports: { memory, opa_value_dump: (value: number) => value, opa_json_dump: (value: number) => value, eval: () => 0 },
  };
  const wire = createWire();
  assert.deepEqual(
    wire.arguments(1).map((read) => read()),
    [undefined],
  );
  wire.connect(instance);
  instance.exports.opa_json_dump(0);
  instance.exports.opa_json_dump(4);
  assert.deepEqual(
    wire.arguments(2).map((read) => read()),
    ['one', 'two'],
  );
  assert.deepEqual(
    wire.arguments(1).map((read) => read()),
    [undefined],
  );
  instance.exports.opa_json_dump(0);
  assert.equal(wire.evaluation(), undefined);
  instance.exports.eval();
  assert.equal(wire.evaluation(), 1);
  assert.deepEqual(
    wire.arguments(1).map((read) => read()),
    [undefined],
  );
});

throughWasm(
  'unconnected, a set as result ends the evaluation',
  ['net.cidr_expand("10.0.0.0/31")', 'net.cidr_merge([])', 'graph.reachable_paths({"a": []}, ["a"])'],
  (outcomes) => {
    assert.deepEqual(
      outcomes.map(({ thrown }) => thrown),
      new Array(3).fill('failed to parse json value'),
    );
  },
  false,
);
