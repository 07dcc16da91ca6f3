import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { readArguments, readNumber, showProgress, UsageError } from '../../../src/tools/io.ts';

const OPTIONS = { output: { type: 'string', short: 'o' }, deep: { type: 'boolean', default: false } } as const;

test('arguments are read, and no other are taken', () => {
  const { values, positionals } = readArguments(['a', '-o', 'b', '--deep'], OPTIONS, 1);
  assert.deepEqual([values.output, values.deep, positionals], ['b', true, ['a']]);
  for (const args of [['a', 'b'], ['--other'], ['-o'], ['--deep=1']]) {
    assert.throws(() => readArguments(args, OPTIONS, 1), UsageError, args.join(' '));
  }
});

test('numbers are numbers, within their limits', () => {
  assert.equal(readNumber('--n', '2.5', { most: 3 }), 2.5);
  for (const wrong of ['', ' ', 'x', '-1', '4', 'NaN', 'Infinity'])
    assert.throws(() => readNumber('--n', wrong, { most: 3 }), /give a number from 0 to 3/, wrong);
});

test('what takes long is told a terminal, and nobody else', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const watched = async (isTTY: boolean): Promise<string> => {
    const err = Object.assign(new PassThrough(), { isTTY });
    const shown = text(err);
    const work = Promise.withResolvers<number>();
    const done = showProgress('building', { out: err, err }, () => work.promise);
    now += 1900;
    t.mock.timers.tick(250);
    now += 1200;
    t.mock.timers.tick(250);
    work.resolve(1);
    assert.equal(await done, 1);
    err.end();
    return shown;
  };
  assert.equal(await watched(true), '\rbuilding … 3 s\r\u001b[K');
  assert.equal(await watched(false), '');
});
