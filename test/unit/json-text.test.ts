import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { keptText, quote, quoteOrNull, rfc3339 } from '../../src/json-text.ts';

suite('JSON text', () => {
  test('of a string is what JSON.stringify makes of it', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.equal(quote(text), JSON.stringify(text))));
    for (const text of ['', '"', '\\', '\n', '\u007f', '\u2028', '\ud800', 'caf\u00e9'])
      assert.equal(quote(text), JSON.stringify(text));
    assert.equal(quoteOrNull(null), 'null');
    assert.equal(quoteOrNull('null'), '"null"');
  });

  test('of an object is made once', () => {
    let made = 0;
    const value = { toJSON: () => ++made };
    assert.deepEqual([keptText(value), keptText(value), keptText({ a: 1 })], ['1', '1', '{"a":1}']);
  });
});

test('a time is what Date makes of it', () => {
  const ms = fc.integer({ min: -8.64e15, max: 8.64e15 });
  fc.assert(fc.property(ms, (at) => assert.equal(rfc3339(at), new Date(at).toISOString())));
  for (const at of [0, 999, 1000, -1, 1_795_245_027_000, 1_795_245_027_001])
    assert.equal(rfc3339(at), new Date(at).toISOString());
  assert.throws(() => rfc3339(Number.NaN), RangeError);
});
