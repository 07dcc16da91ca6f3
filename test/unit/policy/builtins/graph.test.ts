import assert from 'node:assert/strict';
import fc from 'fast-check';
import { agreesOnSamples, agreesWithOpa, callsOf, throughWasm } from './against-opa.ts';
import { gives, refuses } from './direct.ts';

const name = 'graph.reachable_paths';

gives('paths end at a leaf or where they would close a cycle', [
  [[name, { a: ['b', 'c'], b: ['d'], c: [], d: ['a'] }, ['a']], '{["a","b","d"],["a","c"]}'],
  [[name, { a: [] }, ['a', 'z']], '{["a"]}'],
  [[name, {}, []], 'set()'],
  [[name, [], []], undefined],
  [[name, {}, 'a'], undefined],
]);

const layers = Object.fromEntries(
  Array.from({ length: 40 }, (_, i) => [
    [`a${i}`, [`a${i + 1}`, `b${i + 1}`]],
    [`b${i}`, [`a${i + 1}`, `b${i + 1}`]],
  ]).flat(),
);
const chain = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`n${i}`, [`n${i + 1}`]]));

refuses('exponentially many paths, and endless ones', [
  [[name, layers, ['a0']], 'more than 65536 nodes'],
  [[name, chain, ['n0']], 'paths longer than 200'],
  [[name, { a: [1] }, ['a']], 'only nodes named by strings are supported'],
]);

throughWasm('the result is a set', [`${name}({"a": ["b"], "b": []}, {"a"}) == {["a", "b"]}`], ([outcome]) => {
  assert.equal(outcome?.value, true);
});

agreesWithOpa(name, [
  `${name}({"a": {"b"}, "b": {"a", "c"}, "c": set()}, {"a", "b"})`,
  [name, { a: ['a'] }, ['a']],
  [name, { a: ['__proto__'], __proto__: null }, ['a', 'toString']],
  [name, { a: null }, ['a']],
  [name, { a: ['a', 'b', 'a'] }, ['a', 'a']],
  [name, 1, ['a']],
]);

const node = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'z');

agreesOnSamples(name, callsOf(name, fc.dictionary(node, fc.array(node, { maxLength: 3 })), fc.array(node, { maxLength: 3 })));
