import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { parseExact, plainValue, rawToken } from '../../../src/front-door/exact-json.ts';

suite('JSON to be passed on', () => {
  test('keeps its numbers as they are written', () => {
    const text = '{"id":12345678901234567890,"a":[1.10,-0,1e400,{"b":0.1e1}],"c":"é"}';
    assert.equal(JSON.stringify(parseExact(text)), text);
  });

  test('is one object, or nothing', () => {
    for (const text of ['', '1', '"a"', 'null', '[]', '{', '{} {}']) assert.equal(parseExact(text), null, text);
  });

  test('can be had as ordinary values', () => {
    assert.deepEqual(plainValue(parseExact('{"a":[1,{"b":2}]}')?.a), [1, { b: 2 }]);
    assert.equal(plainValue(undefined), undefined);
  });

  test('takes a token as it was sent', () => {
    assert.equal(JSON.stringify({ id: rawToken('9007199254740993') }), '{"id":9007199254740993}');
    assert.equal(JSON.stringify({ id: rawToken('"\\u0061"') }), '{"id":"\\u0061"}');
  });
});
