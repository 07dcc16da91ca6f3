import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createFileSink, type FileSinkOptions, type GrowingFile } from '../../../src/decision-log/file-sink.ts';
import { folder } from '../support/folder.ts';

/** A disk with so many bytes left, that writes so many in one go at most. */
function createDisk(size = Number.POSITIVE_INFINITY, atOnce = Number.POSITIVE_INFINITY) {
  let text = Buffer.alloc(0);
  let room = size;
  let isClosed = false;
  const file: GrowingFile = {
    write: async (bytes, offset) => {
      await null;
      const part = bytes.subarray(offset, offset + Math.min(room, atOnce));
      if (part.length === 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
      room -= part.length;
      text = Buffer.concat([text, part]);
      return { bytesWritten: part.length };
    },
    close: async () => {
      isClosed = true;
    },
  };
  return {
    file,
    text: () => text.toString(),
    isClosed: () => isClosed,
    free: () => {
      room = Number.POSITIVE_INFINITY;
    },
  };
}

/** A sink that tells what became of it. */
function createSink(options: Pick<FileSinkOptions, 'file'> & Partial<FileSinkOptions>) {
  const lost: string[] = [];
  const failures: string[] = [];
  const mended = Promise.withResolvers<void>();
  const sink = createFileSink({
    maxBufferedBytes: 1000,
    retryMs: 1,
    onLost: (_, reason, count) => lost.push(`${reason} ${count}`),
    onFailure: (cause) => failures.push(String(cause)),
    onMended: mended.resolve,
    ...options,
  });
  return { sink, lost, failures, mended: mended.promise };
}

test('lines are whole however few bytes a write takes', async () => {
  const { file, text } = createDisk(undefined, 3);
  const { sink } = createSink({ file });
  assert.deepEqual(await Promise.all([sink.take(['first', 'zwölf'], false), sink.take(['third'], false)]), [true, true]);
  assert.deepEqual([text(), sink.buffered()], ['first\nzwölf\nthird\n', 0]);
});

test('what comes after half a line begins a line', async (t) => {
  const path = join(await folder(t), 'log');
  await writeFile(path, 'whole\nhal');
  const { sink } = createSink({ file: await open(path, 'a'), isTorn: true });
  await sink.take(['a'], false);
  await sink.take(['b'], false);
  await sink.close(20_000);
  assert.equal(readFileSync(path, 'utf8'), 'whole\nhal\na\nb\n');
});

for (const left of [0, 1, 5, 6, 7, 11, 12]) {
  test(`a disk with ${left} bytes left: every line is there once it has more, whole, in order and once`, async () => {
    const { file, text, free } = createDisk(left);
    const { sink, lost, failures, mended } = createSink({ file, isTorn: true });
    assert.equal(await sink.take(['first', 'zwölf'], false), true);
    assert.deepEqual([sink.isBroken(), sink.hasRoom(1), Buffer.byteLength(text()) <= left], [true, false, true]);
    assert.equal(await sink.take(['third'], false), true);
    free();
    await mended;
    assert.equal(text(), '\nfirst\nzwölf\nthird\n');
    assert.deepEqual([sink.isBroken(), sink.hasRoom(1), sink.buffered(), lost], [false, true, 0, []]);
    assert.match(failures[0] as string, /ENOSPC/);
  });
}

test('while it fails what waits has a bound, unless it must be kept; what is beyond is lost and told', async () => {
  const { file, text, free } = createDisk(0);
  const { sink, lost, mended } = createSink({ file, maxBufferedBytes: 8 });
  assert.equal(await sink.take(['answered'], false), true);
  assert.equal(await sink.take(['recorded elsewhere'], false), false);
  assert.equal(await sink.take(['must'], true), true);
  free();
  await mended;
  assert.deepEqual([text(), lost], ['answered\nmust\n', ['broken 1']]);
});

test('at the end there is one more try; what waits then is lost and told', async () => {
  const full = createDisk(0);
  const { sink, lost } = createSink({ file: full.file, retryMs: 60_000 });
  await sink.take(['a', 'b'], false);
  await sink.close(20_000);
  assert.deepEqual([lost, full.isClosed()], [['broken 2'], true]);

  const freed = createDisk(0);
  const another = createSink({ file: freed.file, retryMs: 60_000 });
  await another.sink.take(['a', 'b'], false);
  freed.free();
  await another.sink.close(20_000);
  assert.deepEqual([another.lost, freed.text(), freed.isClosed()], [[], 'a\nb\n', true]);
});

test('a file that does not end its write does not hold up the end', async () => {
  const file: GrowingFile = { write: () => new Promise(() => {}), close: async () => {} };
  const { sink, lost } = createSink({ file });
  void sink.take(['a'], false);
  await sink.close(1);
  assert.deepEqual(lost, ['stopped 1']);
});

test('a write of nothing is a failure, not a loop', async () => {
  const file: GrowingFile = { write: async () => ({ bytesWritten: 0 }), close: async () => {} };
  const { sink, failures } = createSink({ file, retryMs: 60_000 });
  await sink.take(['a'], false);
  assert.match(failures.join(), /no more bytes/);
  await sink.close(20_000);
});

test('a real disk that is full, and then is not', async (t) => {
  const dir = await folder(t);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', dir]).status !== 0) {
    t.skip('a small disk cannot be mounted here');
    return;
  }
  try {
    const ballast = join(dir, 'ballast');
    await writeFile(ballast, Buffer.alloc(50_000));
    const path = join(dir, 'log');
    const { sink, lost, failures, mended } = createSink({ file: await open(path, 'a'), maxBufferedBytes: 100_000 });
    const lines = Array.from({ length: 300 }, (_, index) => `${index} ${'ü'.repeat(50)}`);
    for (const line of lines) assert.equal(await sink.take([line], false), true);
    assert.deepEqual([sink.isBroken(), failures.length > 0], [true, true]);
    await rm(ballast);
    await mended;
    await sink.close(20_000);
    assert.equal(readFileSync(path, 'utf8'), `${lines.join('\n')}\n`);
    assert.deepEqual(lost, []);
  } finally {
    spawnSync('umount', [dir]);
  }
});

test('a pipe whose reader went: what was written meanwhile reaches the next one', async (t) => {
  const path = join(await folder(t), 'pipe');
  assert.equal(spawnSync('mkfifo', [path]).status, 0);
  const openReader = (): number => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const first = openReader();
  const { sink, failures, mended } = createSink({ file: await open(path, 'a') });
  closeSync(first);
  await sink.take(['a', 'b'], false);
  assert.match(failures[0] as string, /EPIPE/);
  const second = openReader();
  await mended;
  const bytes = Buffer.alloc(100);
  assert.equal(bytes.toString('utf8', 0, readSync(second, bytes)), 'a\nb\n');
  closeSync(second);
  await sink.close(20_000);
});
