import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type JsonTree, readTreeText } from '../../../src/bundle/json-tree.ts';
import { findStray, isBelowRoot, plantRoots, readRoots } from '../../../src/bundle/roots.ts';
import { cpuMs } from '../support/cpu.ts';

const stray = (data: string, roots: readonly string[]) => findStray(readTreeText(data), plantRoots(roots));

suite('roots', () => {
  test('have no slashes at their ends', () => {
    assert.deepEqual(readRoots(['/a/b//', 'c', '///d/e']), ['a/b', 'c', 'd/e']);
    assert.deepEqual([readRoots(['/']), readRoots([''])], [[''], ['']]);
  });

  test('do not overlap, whatever lies between them in their order', () => {
    assert.deepEqual(readRoots(['a-b', 'a.b', 'ab', 'a/b']), ['a-b', 'a.b', 'ab', 'a/b']);
    for (const [roots, why] of [
      [['a', 'a-b', 'a/b'], /the roots a\/b and a of/],
      [['a/b', 'a-b', 'a'], /the roots a and a\/b of/],
      [['x', 'x'], /the roots x and x of/],
      [['', 'a'], /the roots a and {2}of/],
      [['a', ''], /the roots {2}and \/a of/],
    ] as const)
      assert.throws(() => readRoots(roots), { code: 'roots_invalid', message: why });
  });

  test('are not too many, too long or too deep', () => {
    const many = (count: number) => Array.from({ length: count }, (_, at) => `r${at}`);
    assert.equal(readRoots(many(10_000)).length, 10_000);
    for (const [roots, why] of [
      [many(10_001), /more than 10000/],
      [['x'.repeat(1025)], /too long/],
      [[Array(65).fill('a').join('/')], /deeper than 64/],
    ] as const)
      assert.throws(() => readRoots(roots), { code: 'roots_invalid', message: why });
  });

  test('contain what is below them', () => {
    const tree = plantRoots(['a/b', 'c']);
    for (const path of ['a/b', 'a/b/x', 'c', 'c/']) assert.ok(isBelowRoot(path, tree), path);
    for (const path of ['', 'a', 'a/bb', 'a/', 'cc', '/c']) assert.ok(!isBelowRoot(path, tree), path);
    assert.ok(isBelowRoot('', plantRoots([''])) && isBelowRoot('x/y', plantRoots([''])));
    assert.ok(!isBelowRoot('', plantRoots([])));
  });

  test('leave data out that is in none, but for what leads to one', () => {
    assert.equal(stray('{"a":{"b":{"x":1}},"c":1}', ['a/b', 'c']), null);
    assert.equal(stray('{"a":{}}', ['a/b']), null);
    assert.equal(stray('{"a":1}', ['']), null);
    assert.deepEqual(stray('{"a":{"b":1,"d":2}}', ['a/b']), ['a', 'd']);
    assert.deepEqual(stray('{"a":1}', ['a/b']), ['a']);
    assert.deepEqual(stray('{"ab":1}', ['a']), ['ab']);
    assert.deepEqual(stray('{}', []), []);
  });

  test('are read in time that grows with their length alone', () => {
    const began = cpuMs();
    assert.throws(() => readRoots([`a${'/'.repeat(1_000_000)}b`]), /too long/);
    const roots = readRoots(Array.from({ length: 10_000 }, (_, at) => `a/b${at}/${'c/'.repeat(20)}d`));
    const data: JsonTree = new Map(Array.from({ length: 200_000 }, (_, at) => [`k${at}`, '1']));
    assert.deepEqual(findStray(new Map([['a', data]]), plantRoots(roots)), ['a', 'k0']);
    const wide = plantRoots([...roots, ...Array.from(data.keys(), (key) => `x/${key}`)]);
    assert.equal(findStray(new Map([['x', data]]), wide), null);
    // A second here; a search of all roots for each of them and each key takes minutes.
    assert.ok(cpuMs() - began < 15_000, `${cpuMs() - began} ms`);
  });
});
