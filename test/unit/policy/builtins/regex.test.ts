import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cpuMs } from '../../support/cpu.ts';
import { agreesOnSamples, agreesWithOpa, callsOf, textOf } from './against-opa.ts';
import { direct, gives, refuses } from './direct.ts';

gives('replacements', [
  [['regex.replace', 'baaac', 'a*', '[$0]'], '"[]b[aaa]c[]"'],
  [['regex.replace', 'John Smith', '(?P<first>\\w+) (\\w+)', ['$2, $', '{first}$$'].join('')], '"Smith, John$"'],
  [['regex.replace', 'ab', '(a)(x)?b', '<$1$2$3$01$1x>'], '"<a>"'],
  [['regex.replace', 'a', '(?=a)', ''], undefined],
  [['regex.replace', 'a', 1, ''], undefined],
]);

gives('matches', [
  [['regex.find_n', '[a-z]', 'a1b2', 1], '["a"]'],
  [['regex.find_n', '😀|.', 'x😀', -1], '["x","😀"]'],
  [['regex.find_n', 'a*', 'baaac', -1], '["","aaa",""]'],
  [['regex.find_n', 'a', 'aa', 0], '[]'],
  [['regex.find_n', '(', 'a', 1], undefined],
  [['regex.find_n', 'a', 'a', 0.5], undefined],
]);

gives('templates and globs', [
  [['regex.template_match', 'urn:{[a-z]+}:x', 'urn:foo:x', '{', '}'], 'true'],
  [['regex.template_match', 'a.b<[0-9]>', 'acb1', '<', '>'], 'false'],
  [['regex.template_match', 'a<b', 'a', '<', '>'], undefined],
  [['regex.template_match', 'a', 'a', '<<', '>'], undefined],
  [['glob.quote_meta', '*.{a,[b]}?\\'], '"\\\\*.\\\\{a,\\\\[b\\\\]\\\\}\\\\?\\\\\\\\"'],
  [['glob.quote_meta', 1], undefined],
]);

test('a pattern that ruins a backtracking engine does not ruin us', () => {
  const start = cpuMs();
  assert.equal(direct('regex.find_n', '(a+)+$', `${'a'.repeat(200_000)}b`, -1), '[]');
  assert.equal(direct('regex.replace', `${'x'.repeat(100_000)}`, '(x+x+)+y', ''), JSON.stringify('x'.repeat(100_000)));
  assert.ok(cpuMs() - start < 20_000);
});

refuses('what would be too much', [
  [['regex.find_n', 'a'.repeat(1_025), 'a', 1], 'pattern longer than 1024'],
  [['regex.find_n', 'a{1000}'.repeat(20), 'a', 1], 'pattern too complex'],
  [['regex.find_n', '[ab]{900}', 'a'.repeat(100_000), 1], 'pattern and text too large together'],
  [['regex.find_n', 'a.*b|a', 'a'.repeat(200_000), -1], 'searched for 250 ms'],
  [['regex.replace', 'a'.repeat(10_000), 'a', 'b'.repeat(1_000)], 'more than 1048576 characters'],
]);

agreesWithOpa('regex', [
  ['regex.replace', 'aaa', '^a', 'b'],
  ['regex.replace', 'abc', '\\b', '|'],
  ['regex.replace', 'a\nb', '(?m)^', '> '],
  ['regex.replace', 'x', '(?i)X', '$é'],
  ['regex.find_n', '\\p{Greek}+', 'aαβγ', -1],
  ['regex.find_n', 'K', '\u212a', -1],
  ['regex.find_n', '(?i)k', '\u212a', -1],
  ['regex.find_n', 'a{1001}', 'a', -1],
  ['regex.find_n', '\\C', 'a', -1],
  ['regex.find_n', '(?<=a)b', 'ab', -1],
  ['regex.find_n', 'a', 'a', '1'],
  ['regex.template_match', 'a{(}', 'a', '{', '}'],
  ['regex.template_match', 'a', 'a', 'é', '}'],
  ['regex.template_match', '{a|b}{c}', 'bc', '{', '}'],
  ['regex.template_match', '||', '|', '|', '|'],
]);

const pattern = textOf(
  [
    'a',
    'b',
    '.',
    '*',
    '+',
    '?',
    '|',
    '(',
    ')',
    '(?:',
    '(?P<n>',
    '[ab]',
    '[^a]',
    '{2}',
    '{1,2}',
    '^',
    '$',
    '\\b',
    '\\d',
    '\\w',
    '(?i)',
    'é',
    '😀',
    '\\pL',
    '\n',
    '*?',
    '\\z',
    '(?U)',
    '\\1',
  ],
  6,
);
const text = textOf(['a', 'b', 'c', 'A', 'ab', 'aaa', ' ', '\n', 'é', '😀', '1', '_']);
const template = textOf(['$0', '$1', '{1}', '$n', '{n}', '$$', '$', '{', 'x', '$1x', '$2', '$00'], 5);
const delimited = textOf(['a', 'b', '<', '>', '.', '*', '[0-9]', '<[a-z]+>', '(', 'é'], 6);

agreesOnSamples(
  'regex',
  fc.oneof(
    callsOf('regex.replace', text, pattern, template),
    callsOf('regex.find_n', pattern, text, fc.integer({ min: -2, max: 4 })),
    callsOf('regex.template_match', delimited, text, fc.constantFrom('<', '(', '.'), fc.constantFrom('>', ')', '.')),
    callsOf('glob.quote_meta', textOf(['*', '?', '[', ']', '{', '}', '\\', ',', '!', 'a', 'é'])),
  ),
  800,
);
