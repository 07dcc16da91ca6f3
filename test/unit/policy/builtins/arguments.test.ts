import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { byCodePoint, canonical, integer, isObject, put } from '../../../../src/policy/builtins/arguments.ts';

const anyText = fc.string({ unit: 'binary' });

test('strings sort as their UTF-8 does', () => {
  fc.assert(
    fc.property(anyText, anyText, (a, b) => {
      assert.equal(Math.sign(byCodePoint(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
});

test('equal values have the same canonical text, and others have another', () => {
  assert.equal(canonical('x', { a: [1, null], b: new Set([1, 'a']) }), canonical('x', { b: new Set(['a', 1]), a: [1, null] }));
  assert.notEqual(canonical('x', new Set([1])), canonical('x', [1]));
  assert.notEqual(canonical('x', {}), canonical('x', new Set()));
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const reordered = JSON.parse(JSON.stringify(a), (_, value) => (isObject(value) ? reverse(value) : value));
      try {
        assert.equal(canonical('x', a), canonical('x', reordered));
        assert.equal(canonical('x', a) === canonical('x', b), canonical('x', [a]) === canonical('x', [b]));
      } catch (error) {
        assert.match(String(error), /beyond 2\^53/);
      }
    }),
  );
});

function reverse(object: Readonly<Record<string, unknown>>): object {
  const reversed = {};
  for (const key of Object.keys(object).reverse()) put(reversed, key, object[key]);
  return reversed;
}

test('integers are whole and exact, or refused', () => {
  assert.equal(integer('x', 2 ** 53 - 1), 2 ** 53 - 1);
  assert.equal(integer('x', 0.5), undefined);
  assert.equal(integer('x', '1'), undefined);
  assert.throws(() => integer('x', 2 ** 53), { message: 'x: integers beyond 2^53 do not arrive exactly' });
});
