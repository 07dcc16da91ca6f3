import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { createCompiledMemory, layerCaches, openCompiledDirectory } from '../../../src/bundle/compiled-cache.ts';

const wasm = (text: string) => Buffer.from(text);
const keyOf = (digit: number) => String(digit).repeat(64);

test('memory keeps the few that were asked for last', async () => {
  const memory = createCompiledMemory(2);
  await memory.write('a', wasm('A'));
  await memory.write('b', wasm('B'));
  assert.deepEqual(await memory.read('a'), wasm('A'));
  await memory.write('c', wasm('C'));
  assert.equal(await memory.read('b'), null);
  assert.deepEqual([await memory.read('a'), await memory.read('c')], [wasm('A'), wasm('C')]);
});

suite('a folder', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'compiled-'));
  });
  after(() => rm(folder, { recursive: true }));

  test('keeps what was compiled, and nothing half written', async () => {
    const inside = join(folder, 'new');
    await openCompiledDirectory(inside).write(keyOf(1), wasm('one'));
    assert.deepEqual(await openCompiledDirectory(inside).read(keyOf(1)), wasm('one'));
    assert.equal(await openCompiledDirectory(inside).read(keyOf(2)), null);
    assert.deepEqual(await readdir(inside), [`compiled-${keyOf(1)}.wasm`]);
  });

  test('takes a damaged file for none', async () => {
    const cache = openCompiledDirectory(folder);
    const file = join(folder, `compiled-${keyOf(3)}.wasm`);
    await cache.write(keyOf(3), wasm('three'));
    const bytes = await readFile(file);
    bytes[bytes.length - 1] = 0;
    await writeFile(file, bytes);
    assert.equal(await cache.read(keyOf(3)), null);
    await writeFile(file, '');
    assert.equal(await cache.read(keyOf(3)), null);
  });

  test('lets go of the oldest, and of nothing that is not its own', async () => {
    const inside = join(folder, 'few');
    const cache = openCompiledDirectory(inside, 2);
    await cache.write(keyOf(1), wasm('1'));
    await utimes(join(inside, `compiled-${keyOf(1)}.wasm`), 1, 1);
    await writeFile(join(inside, 'bundle.tar.gz'), 'x');
    await cache.write(keyOf(2), wasm('2'));
    await cache.write(keyOf(3), wasm('3'));
    assert.equal(await cache.read(keyOf(1)), null);
    assert.deepEqual((await readdir(inside)).length, 3);
  });

  test('that cannot be written to keeps nothing and says nothing', async () => {
    await writeFile(join(folder, 'file'), '');
    const cache = openCompiledDirectory(join(folder, 'file', 'inside'));
    await cache.write(keyOf(1), wasm('1'));
    assert.equal(await cache.read(keyOf(1)), null);
  });
});

test('of two the second is asked where the first has none, and the first keeps it', async () => {
  const [first, second] = [createCompiledMemory(), createCompiledMemory()];
  const both = layerCaches(first, second);
  await second.write('a', wasm('A'));
  assert.deepEqual(await both.read('a'), wasm('A'));
  assert.deepEqual(await first.read('a'), wasm('A'));
  await both.write('b', wasm('B'));
  assert.deepEqual([await first.read('b'), await second.read('b')], [wasm('B'), wasm('B')]);
  assert.equal(await both.read('c'), null);
});
