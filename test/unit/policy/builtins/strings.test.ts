import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cpuMs } from '../../support/cpu.ts';
import { agreesOnSamples, agreesWithOpa, callsOf, textOf } from './against-opa.ts';
import { direct, gives } from './direct.ts';

gives('prefixes, suffixes, counts and parts', [
  [['strings.any_prefix_match', 'files.read', ['mail.', 'files.']], 'true'],
  [['strings.any_prefix_match', ['b', 'a'], 'c'], 'false'],
  [['strings.any_prefix_match', [], ['']], 'false'],
  [['strings.any_suffix_match', ['x.gif', 'y.png'], ['.png']], 'true'],
  [['strings.any_suffix_match', 'a', 1], undefined],
  [['strings.any_prefix_match', ['a', 1], 'a'], undefined],
  [['strings.count', 'cheese', 'e'], '3'],
  [['strings.count', '😀é', ''], '3'],
  [['strings.count', 'aaa', 'aa'], '1'],
  [['strings.split_n', 'a.b.c', '.', 2], '["a","b"]'],
  [['strings.split_n', 'a.b.c', '.', -2], '["b","c"]'],
  [['strings.split_n', 'a😀', '', 5], '["a","😀"]'],
  [['strings.split_n', 'a', '.', 1.5], undefined],
]);

gives('indexof_n counts code points and lets matches overlap', [
  [['indexof_n', 'sad', 'a'], '[1]'],
  [['indexof_n', 'aaaa', 'aa'], '[0,1,2]'],
  [['indexof_n', '😀a😀a', 'a'], '[1,3]'],
  [['indexof_n', 'a', ''], undefined],
  [['indexof_n', 'a', null], undefined],
]);

test('a search stays linear where the pattern nearly matches everywhere', () => {
  const text = 'a'.repeat(500_000);
  const start = cpuMs();
  assert.equal(direct('strings.count', text, `${'a'.repeat(250_000)}b`), '0');
  assert.equal(direct('indexof_n', text, `b${'a'.repeat(250_000)}`), '[]');
  assert.ok(cpuMs() - start < 20_000);
});

agreesWithOpa('strings', [
  'strings.any_prefix_match({"a/b", "c"}, {"a/"})',
  'strings.any_suffix_match({"a/b", "c"}, ["/b", "d"])',
  ['strings.any_prefix_match', { a: 1 }, 'a'],
  ['strings.any_prefix_match', 'a', ['b', 1]],
  ['strings.count', 1, 'a'],
  ['strings.split_n', 'a', 'b', '1'],
  ['strings.split_n', 'abc', '', 9007199254740991],
  ['indexof_n', '', 'a'],
]);

const text = textOf(['a', 'b', 'ab', 'é', '😀', 'aa', '\u0000', '\ue000']);
const texts = fc.oneof(text, fc.array(text, { maxLength: 4 }));

agreesOnSamples(
  'strings',
  fc.oneof(
    callsOf('strings.count', text, text),
    callsOf('indexof_n', text, text),
    callsOf('strings.split_n', text, text, fc.integer({ min: -4, max: 4 })),
    callsOf('strings.any_prefix_match', texts, texts),
    callsOf('strings.any_suffix_match', texts, texts),
  ),
);
