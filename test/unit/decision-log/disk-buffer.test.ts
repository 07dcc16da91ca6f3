import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { openDiskBuffer } from '../../../src/decision-log/disk-buffer.ts';

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'buffer-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function openHandle(t: TestContext): Promise<FileHandle> {
  const handle = await open(process.execPath, 'r');
  t.after(() => handle.close());
  return handle;
}

const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => JSON.stringify({ n: from + index, é: 'é' }));
const ALL = Number.MAX_SAFE_INTEGER;
const segments = (directory: string) => readdirSync(directory).filter((name) => name.endsWith('.ndjson'));

suite('a buffer on disk', () => {
  test('gives lines back in order, whoever writes in between', async (t) => {
    const buffer = await openDiskBuffer({ directory: directoryOf(t) });
    await Promise.all([buffer.append(lines(0, 3)), buffer.append(lines(3, 5))]);
    assert.deepEqual(await buffer.peek(ALL), lines(0, 5));
    await buffer.append(lines(5, 6));
    await buffer.forget(2);
    assert.deepEqual(await buffer.peek(ALL), lines(2, 5));
    await buffer.forget(3);
    assert.deepEqual(await buffer.peek(ALL), lines(5, 6));
    await buffer.forget(1);
    assert.deepEqual([await buffer.peek(ALL), buffer.bytes()], [[], 0]);
    assert.equal(await buffer.close(), 0);
  });

  test('peeks at one line at least', async (t) => {
    const buffer = await openDiskBuffer({ directory: directoryOf(t) });
    await buffer.append(lines(0, 3));
    assert.deepEqual(await buffer.peek(1), lines(0, 1));
    await buffer.close();
  });

  test('goes on after a restart where it was', async (t) => {
    const directory = directoryOf(t);
    const first = await openDiskBuffer({ directory });
    await first.append(lines(0, 4));
    await first.peek(ALL);
    await first.forget(3);
    await first.append(lines(4, 6));
    const left = first.bytes();
    await first.close();
    const second = await openDiskBuffer({ directory });
    assert.equal(second.bytes(), left);
    await second.append(lines(6, 7));
    assert.deepEqual(await second.peek(ALL), lines(3, 4));
    await second.forget(1);
    assert.deepEqual(await second.peek(ALL), lines(4, 6));
    await second.forget(2);
    assert.deepEqual(await second.peek(ALL), lines(6, 7));
    await second.forget(1);
    assert.deepEqual(segments(directory), []);
    await second.close();
  });

  test('leaves out half a line and what is none, and says how many', async (t) => {
    const directory = directoryOf(t);
    const first = await openDiskBuffer({ directory });
    await first.append(lines(0, 2));
    await first.close();
    appendFileSync(join(directory, segments(directory)[0] as string), `\0\0\0\n${lines(2, 3)[0]}\n{"n":`);
    let damaged = 0;
    const onDamaged = (count: number): void => {
      damaged += count;
    };
    const second = await openDiskBuffer({ directory, onDamaged });
    assert.deepEqual(await second.peek(ALL), lines(0, 3));
    assert.equal(damaged, 2);
    await second.forget(2);
    await second.close();
    const third = await openDiskBuffer({ directory });
    assert.deepEqual(await third.peek(ALL), lines(2, 3), 'the place is right in spite of what was left out');
    await third.close();
  });

  test('begins at the beginning where the position cannot be read', async (t) => {
    const directory = directoryOf(t);
    const first = await openDiskBuffer({ directory });
    await first.append(lines(0, 2));
    await first.peek(ALL);
    await first.forget(1);
    await first.close();
    writeFileSync(join(directory, 'position.json'), '');
    const second = await openDiskBuffer({ directory });
    assert.deepEqual(await second.peek(ALL), lines(0, 2));
    await second.close();
  });

  test('sends what was written after a restart whole, though the place of before still stands there', async (t) => {
    const directory = directoryOf(t);
    const first = await openDiskBuffer({ directory });
    await first.append(lines(0, 10));
    await first.peek(ALL);
    await first.forget(6);
    await first.forget(4);
    await first.close();
    assert.deepEqual(segments(directory), []);
    const second = await openDiskBuffer({ directory });
    await second.append(lines(10, 20));
    await second.close();
    const third = await openDiskBuffer({ directory });
    assert.deepEqual(await third.peek(ALL), lines(10, 20));
    assert.equal(
      third.bytes(),
      lines(10, 20).reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0),
    );
    await third.close();
  });

  for (const position of [
    '',
    '{}',
    '{"segment":1}',
    '{"segment":1,"offset":-5}',
    '{"segment":"1","offset":40}',
    '{"segment":1,"offset":5}',
    '{"segment":1,"offset":999999}',
    'null',
    '\0\0',
    null,
  ])
    test(`loses nothing with ${JSON.stringify(position)} for its place, before and after`, async (t) => {
      const directory = directoryOf(t);
      const place = join(directory, 'position.json');
      const first = await openDiskBuffer({ directory });
      await first.append(lines(0, 4));
      await first.peek(ALL);
      await first.forget(2);
      await first.close();
      if (position === null) rmSync(place);
      else writeFileSync(place, position);
      const second = await openDiskBuffer({ directory });
      assert.deepEqual(await second.peek(ALL), lines(0, 4), 'twice rather than never');
      await second.forget(4);
      await second.close();
      if (position === null) rmSync(place, { force: true });
      else writeFileSync(place, position);
      const third = await openDiskBuffer({ directory });
      await third.append(lines(4, 8));
      await third.close();
      const fourth = await openDiskBuffer({ directory });
      assert.deepEqual(await fourth.peek(ALL), lines(4, 8));
      await fourth.forget(1);
      await fourth.close();
      const fifth = await openDiskBuffer({ directory });
      assert.deepEqual(await fifth.peek(ALL), lines(5, 8));
      await fifth.close();
    });

  test('goes on where its place cannot be written down', async (t) => {
    const directory = directoryOf(t);
    const buffer = await openDiskBuffer({ directory });
    await buffer.append(lines(0, 3));
    await buffer.peek(ALL);
    rmSync(directory, { recursive: true });
    await buffer.forget(2);
    assert.deepEqual(await buffer.peek(ALL), lines(2, 3));
    await buffer.close();
  });

  test('leaves nothing behind where a write fails', async (t) => {
    const directory = directoryOf(t);
    const buffer = await openDiskBuffer({ directory });
    const proto = Object.getPrototypeOf(await openHandle(t)) as FileHandle;
    const failing = t.mock.method(proto, 'datasync', () => Promise.reject(new Error('ENOSPC')));
    for (let round = 0; round < 3; round += 1) await assert.rejects(buffer.append(lines(0, 1)), /ENOSPC/);
    assert.deepEqual([segments(directory), buffer.bytes(), await buffer.peek(ALL)], [[], 0, []]);
    failing.mock.restore();
    await buffer.append(lines(0, 1));
    assert.deepEqual(await buffer.peek(ALL), lines(0, 1));
    await buffer.close();
  });

  test('is of one process alone', async (t) => {
    const directory = directoryOf(t);
    const first = await openDiskBuffer({ directory });
    await assert.rejects(openDiskBuffer({ directory }), /is used by another process/);
    await first.close();
    await (await openDiskBuffer({ directory })).close();
  });

  test('begins a new segment when one is large, and removes what was sent', async (t) => {
    const directory = directoryOf(t);
    const buffer = await openDiskBuffer({ directory });
    const large = JSON.stringify('x'.repeat(700_000));
    for (let round = 0; round < 3; round += 1) await buffer.append([large]);
    assert.equal(segments(directory).length, 2);
    assert.equal((await buffer.peek(ALL)).length, 2);
    await buffer.forget(2);
    assert.equal(segments(directory).length, 1);
    assert.equal(buffer.bytes(), large.length + 1);
    await buffer.close();
  });

  test('says when it cannot keep a line, to everybody whose line it was, and works again later', async (t) => {
    const directory = directoryOf(t);
    const buffer = await openDiskBuffer({ directory });
    await buffer.append(lines(0, 1));
    await buffer.peek(ALL);
    rmSync(directory, { recursive: true });
    const both = await Promise.allSettled([buffer.append(lines(1, 2)), buffer.append(lines(2, 3))]);
    assert.deepEqual(
      both.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    const { mkdirSync } = await import('node:fs');
    mkdirSync(directory);
    await buffer.append(lines(3, 4));
    assert.deepEqual(readFileSync(join(directory, segments(directory)[0] as string), 'utf8'), `${lines(3, 4)[0]}\n`);
    await buffer.close();
  });
});
