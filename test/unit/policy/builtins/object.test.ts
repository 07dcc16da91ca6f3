import assert from 'node:assert/strict';
import fc from 'fast-check';
import { agreesOnSamples, agreesWithOpa, throughWasm } from './against-opa.ts';
import { gives, refuses } from './direct.ts';

const name = 'object.subset';

gives('objects, and arrays in one piece', [
  [[name, { a: { b: 1, c: 2 }, d: 3 }, { a: { c: 2 } }], 'true'],
  [[name, { a: 1 }, { a: 2 }], 'false'],
  [[name, { a: 1 }, { b: 1 }], 'false'],
  [[name, { a: 1 }, { toString: 1 }], 'false'],
  [[name, JSON.parse('{"__proto__": {"a": 1}}'), JSON.parse('{"__proto__": {"a": 1}}')], 'true'],
  [[name, {}, JSON.parse('{"__proto__": {}}')], 'false'],
  [[name, [1, 2, 3], [2, 3]], 'true'],
  [[name, [1, 2, 3], [4]], 'false'],
  [[name, [1, 2, 1], [1, 1]], 'false'],
  [[name, { a: 1 }, [1]], undefined],
  [[name, 1, 1], undefined],
]);

refuses('unconnected, what would be false of arrays and true of sets', [
  [[name, [1, 2, 3], [1, 3]], 'an array and a set would differ, and look alike here'],
  [[name, { a: [1, 2, 3] }, { a: [3, 1] }], 'an array and a set would differ, and look alike here'],
  [[name, { a: 2 ** 60 }, { a: 2 ** 60 }], 'integers beyond 2^53 do not arrive exactly'],
]);

agreesWithOpa(name, [
  'object.subset({1, 2, 3}, {3, 1})',
  'object.subset([1, 2, 3], [1, 3])',
  'object.subset([1, 2, 3], {3, 1})',
  'object.subset({"a": {"x", "y"}}, {"a": {"y"}})',
  'object.subset({"a": ["x", "y"]}, {"a": {"y"}})',
  'object.subset({{"a": 1}, [2]}, {[2]})',
  'object.subset(set(), set())',
  'object.subset({"a": set()}, {"a": {}})',
  'object.subset([], set())',
  [name, [[1], [2]], [[2]]],
  [name, { a: null }, { a: null }],
  [name, 'a', 'a'],
]);

// OPA counts an array's repeated elements, and so takes ["a", "a"] to hold {"a", "b"}
throughWasm(
  'an array holds a set only if it has each of its elements',
  ['object.subset(["a", "a"], {"a", "b"})'],
  ([outcome]) => {
    assert.equal(outcome?.value, false);
  },
);

const letters = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 4 });
const array = letters.map((items) => JSON.stringify(items));
const set = letters.map((items) => (items.length === 0 ? 'set()' : `{${items.map((item) => JSON.stringify(item)).join()}}`));
const term = fc.oneof(array, set);
const object = fc
  .dictionary(fc.constantFrom('x', 'y'), term, { maxKeys: 2 })
  .map((members) => `{${Object.entries(members).map(([key, value]) => `"${key}": ${value}`)}}`);

agreesOnSamples(
  name,
  fc.oneof(fc.tuple(term, term), fc.tuple(object, object)).map(([a, b]) => `object.subset(${a}, ${b})`),
);
