import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { JsonRefused, mergeTree, type ObjectTree, readTree, readTreeText, writeTree } from '../../../src/bundle/json-tree.ts';

const canonical = (text: string) => writeTree(readTreeText(text));

suite('a JSON tree', () => {
  test('is written without space and with its keys in order', () => {
    assert.equal(
      canonical(' { "b" : [ 1 , { "d" : null , "c" : true } ] , "a" : { } , "" : [ ] } '),
      '{"":[],"a":{},"b":[1,{"c":true,"d":null}]}',
    );
  });

  test('keeps numbers as they are written', () => {
    for (const number of ['1e3', '1.0', '-0', '0.10', '1E+2', '123456789012345678901234567890', '1e999'])
      assert.equal(canonical(`[${number}]`), `[${number}]`);
  });

  test('has keys in the order of their UTF-8 bytes, in which surrogate pairs come last', () => {
    assert.equal(canonical('{"😀":1,"\uffee":2,"é":3,"z":4,"za":5,"Z":6}'), '{"Z":6,"z":4,"za":5,"é":3,"\uffee":2,"😀":1}');
  });

  test('has strings as Go writes them', () => {
    assert.equal(
      canonical('"\\u003c\\/\\u0008\\u000c\\u001f\\u007f\\u2028\\ud83d\\ude00\\\\\\""'),
      '"</\\b\\f\\u001f\u007f\\u2028😀\\\\\\""',
    );
  });

  test('has a member called __proto__ like any other', () => {
    assert.equal(canonical('{"__proto__":{"x":1}}'), '{"__proto__":{"x":1}}');
  });

  test('says what JSON.parse reads, and refuses what it refuses', () => {
    const value = fc.jsonValue({ maxDepth: 5 });
    fc.assert(
      fc.property(value, fc.integer({ min: 0, max: 3 }), (json, indent) => {
        const text = JSON.stringify(json, null, indent);
        assert.deepEqual(JSON.parse(canonical(text)), JSON.parse(text));
        assert.equal(canonical(canonical(text)), canonical(text));
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:0123-+.eEtruefalsn\\u \n') }), (text) => {
        let read: unknown;
        try {
          read = JSON.parse(text);
        } catch {
          return assert.throws(() => readTreeText(text), JsonRefused);
        }
        try {
          assert.deepEqual(JSON.parse(canonical(text)), read);
        } catch (error) {
          assert.ok(error instanceof JsonRefused && /twice|surrogate/.test(error.message), String(error));
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('is refused for what two readers would read in two ways', () => {
    for (const [text, why] of [
      ['{"a":1,"a":2}', /twice/],
      ['{"a":1,"\\u0061":2}', /twice/],
      ['"\\ud800"', /surrogate/],
      ['['.repeat(65) + ']'.repeat(65), /deeper than 64/],
      ['['.repeat(1_000_000), /deeper than 64/],
      ['\ufeff{}', /not JSON/],
      ['{} {}', /not JSON/],
      ['', /not JSON/],
      ['{"a":01}', /not JSON/],
      ['"a\nb"', /not JSON/],
    ] as const)
      assert.throws(
        () => readTreeText(text),
        (error) => error instanceof JsonRefused && why.test(error.message),
        text.slice(0, 20),
      );
    assert.throws(() => readTree(Buffer.from([0x22, 0xff, 0x22])), /not UTF-8/);
  });
});

suite('two trees', () => {
  const merge = (one: string, other: string) => {
    const tree = readTreeText(one) as ObjectTree;
    const conflict = mergeTree(tree, readTreeText(other) as ObjectTree);
    return conflict === null ? writeTree(tree) : { conflict };
  };

  test('are one where no path has two values', () => {
    assert.equal(merge('{"a":{"b":1,"c":{}}}', '{"a":{"c":{"d":2}},"e":[]}'), '{"a":{"b":1,"c":{"d":2}},"e":[]}');
  });

  test('are not where one has, even the same value', () => {
    assert.deepEqual(merge('{"a":{"b":1}}', '{"a":{"b":1}}'), { conflict: 'a/b' });
    assert.deepEqual(merge('{"a":{"b":1}}', '{"a":1}'), { conflict: 'a' });
    assert.deepEqual(merge('{"a":[]}', '{"a":{"b":1}}'), { conflict: 'a' });
  });
});
