import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { findUnordered, type History, judgeRevision, withActivation } from '../../../src/bundle/history.ts';

/** Each in force after the one before it; content is told apart by what follows `=`, archives of one content by `#`. */
function historyOf(...entries: string[]): History {
  return entries.reduce<History>((history, entry, at) => withActivation(history, { ...read(entry), at }), []);
}

function read(entry: string) {
  const [revision = '', contentDigest = `content of ${revision}`] = entry.replace(/#.*/, '').split('=');
  return { revision, contentDigest, digest: `archive of ${entry}` };
}

suite('a revision', () => {
  const cases: [before: string[], offered: string, standing: string][] = [
    [[], 'anything', 'new'],
    [['a'], 'a', 'same'],
    [['a'], 'a=other', 'reused'],
    [['a', 'b'], 'a', 'older'],
    [['a', 'b'], 'a=other', 'reused'],
    [['a', 'b'], 'c', 'new'],
    // Packed or signed anew.
    [['a'], 'a#again', 'same'],
    [['a#again'], 'a=other#again', 'reused'],
    [['a', 'b'], 'a#again', 'older'],
    [['1', '2', '1'], '2#again', 'new'],
    [['41'], '42', 'new'],
    [['42'], '41', 'older'],
    [['9'], '10', 'new'],
    [['10'], '9', 'older'],
    [['42-abc'], '42-def', 'new'],
    [['42-abc', '42-def'], '42-abc', 'older'],
    [['v1.9.0'], 'v1.10.0', 'new'],
    [['v1.10.0'], '1.9', 'older'],
    [['2026-10-05T10:00:00Z'], '2026-10-05T09:59:59Z', 'older'],
    [['2026-10-05T10:00:00Z'], '2026-10-05T12:00:00+02:00', 'new'],
    [['20261005T100000Z'], '20261004T100000Z', 'older'],
    [['2026-10-05'], '2026-10-06', 'new'],
    // A person brought 5 back; what comes after it in order is no step back.
    [['5', '7', '5'], '7', 'new'],
    [['5', '7', '5'], '6', 'new'],
    [['5', '7', '5'], '4', 'older'],
    // Beginning with digits is not being a number.
    [['9fceb02'], '4d3f1aa', 'new'],
    [['9fceb02', '4d3f1aa'], '9fceb02', 'older'],
    [['99999999999999999999999999'], '100000000000000000000000000', 'new'],
    [['2026-10-05'], '7', 'new'],
    [['2026-11-21T10:00:00Z-abc'], '2026-11-20T10:00:00Z-def', 'older'],
    [['release-9'], 'release-8', 'older'],
    [['release-9'], 'release-10', 'new'],
    // A commit's hash may be all digits; those around it tell.
    [['a1b2c3d', '9876543', 'f00ba47'], '1234567', 'new'],
    [['9876543', 'a1b2c3d'], '1234567', 'new'],
    [['a1b2c3d', '9876543'], '1234567', 'new'],
    [['a1b2c3d', '9876543', 'f00ba47'], '9876543', 'older'],
    [['9876543', '9876544'], '1234567', 'older'],
    [['a1b2c3d', '9876543', '9876544', '9876545', '9876546'], '1234567', 'older'],
    [['a1b2c3d4', '9876543'], '1234567', 'older'],
    [['16-a1b2c3d', '17-9876543'], '17-1234567', 'new'],
    [['16-a1b2c3d', '17-9876543'], '16-1234567', 'older'],
  ];
  for (const [before, offered, standing] of cases) {
    test(`${offered} after ${before.join(', ') || 'nothing'} is ${standing}`, () => {
      assert.equal(judgeRevision(historyOf(...before), read(offered)), standing);
    });
  }

  test('is remembered with the thousand before it', () => {
    const history = historyOf(...Array.from({ length: 1200 }, (_, at) => `rev-${'x'.repeat(at)}`));
    assert.equal(history.length, 1000);
    assert.equal(history.at(-1)?.revision, `rev-${'x'.repeat(1199)}`);
  });

  test('of a history that only knows archives is judged by them', () => {
    const history: History = [{ revision: 'a', digest: 'archive of a', at: 1 }];
    assert.equal(judgeRevision(history, read('a')), 'same');
    assert.equal(judgeRevision(history, read('a#again')), 'reused');
    const known = withActivation(history, { ...read('a'), at: 2 });
    assert.deepEqual(known, [{ ...read('a'), at: 1 }]);
    assert.equal(judgeRevision(known, read('a#again')), 'same');
  });

  test('that comes packed anew takes no place in the history from another', () => {
    const history = historyOf('a', 'b', 'b#again', 'b#once-more');
    assert.deepEqual(
      history.map(({ revision, digest, at }) => [revision, digest, at]),
      [
        ['a', 'archive of a', 0],
        ['b', 'archive of b#once-more', 1],
      ],
    );
  });

  test('that says nothing of its place is told of', () => {
    assert.equal(findUnordered([], 'a'), null);
    assert.equal(findUnordered(historyOf('a'), 'a'), null);
    assert.equal(findUnordered(historyOf('1'), '2'), null);
    assert.equal(findUnordered(historyOf('2', 'a'), 'b'), 'a');
    assert.equal(findUnordered(historyOf('a1b2c3d', '9876543'), '1234567'), '9876543');
  });
});
