import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createIntake } from '../../../src/decision-log/intake.ts';

/** A disk that takes so many characters in one go. */
function createDisk(retryMs = 60_000) {
  const kept: string[] = [];
  let room = Number.POSITIVE_INFINITY;
  let tries = 0;
  let mended = (): void => {};
  const intake = createIntake({
    append: async (lines) => {
      tries += 1;
      await null;
      if (lines.join('').length > room) throw new Error('ENOSPC');
      kept.push(...lines);
      mended();
    },
    retryMs,
  });
  return {
    intake,
    kept,
    tries: () => tries,
    holds: (characters: number) => {
      room = characters;
    },
    keepsMore: () =>
      new Promise<void>((resolve) => {
        mended = resolve;
      }),
  };
}

suite('lines on their way to a buffer', () => {
  test('are kept in order, and together where they came together', async () => {
    const { intake, kept, tries } = createDisk();
    await Promise.all([intake.take(['a']), intake.take(['b', 'c']), intake.take(['d'])]);
    assert.deepEqual([kept, intake.characters(), tries()], [['a', 'b', 'c', 'd'], 0, 1]);
    await intake.take(['e']);
    assert.deepEqual(kept, ['a', 'b', 'c', 'd', 'e']);
  });

  test('wait while it fails, in order, and nobody is told of room before all of them are kept', async () => {
    const { intake, kept, holds, keepsMore } = createDisk(1);
    holds(0);
    await Promise.all([intake.take(['a']), intake.take(['b'])]);
    await intake.take(['c']);
    assert.deepEqual([kept, intake.isFailing(), intake.characters(), intake.count()], [[], true, 6, 3]);
    const more = keepsMore();
    holds(100);
    await more;
    await setImmediate();
    assert.deepEqual([kept, intake.isFailing(), intake.characters()], [['a', 'b', 'c'], false, 0]);
    await intake.take(['d']);
    assert.deepEqual(kept, ['a', 'b', 'c', 'd']);
  });

  test('go piece by piece to a disk that is nearly full, and it fails until the last of them is there', async () => {
    const { intake, kept, holds, keepsMore } = createDisk(1);
    const long = ['a', 'b', 'c'].map((letter) => letter.repeat(700_000));
    holds(0);
    await intake.take(long);
    await intake.take(['x'.repeat(2_000_000)]);
    const more = keepsMore();
    holds(800_000);
    await more;
    assert.equal(intake.isFailing(), true);
    assert.deepEqual([kept.length, kept[0]?.[0]], [1, 'a']);
    const left = await intake.close();
    assert.deepEqual([kept.length, left.map((line) => line[0])], [3, ['x']]);
  });

  test('are tried once more at the end; what is left is given back', async () => {
    const { intake, kept, holds } = createDisk();
    holds(0);
    await intake.take(['a', 'b']);
    assert.deepEqual(await intake.close(), ['a', 'b']);
    assert.deepEqual([kept, intake.count()], [[], 0]);
    const other = createDisk();
    other.holds(0);
    await other.intake.take(['a']);
    other.holds(1);
    assert.deepEqual([await other.intake.close(), other.kept], [[], ['a']]);
  });
});
