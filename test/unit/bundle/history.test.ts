import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { compareRevisions, type History, judgeRevision, withActivation } from '../../../src/bundle/history.ts';

/** Each in force after the one before it; content is told apart by what follows `=`. */
function historyOf(...entries: string[]): History {
  return entries.reduce<History>((history, entry, at) => withActivation(history, { ...read(entry), at }), []);
}

function read(entry: string) {
  const [revision = '', digest = `digest of ${revision}`] = entry.split('=');
  return { revision, digest };
}

suite('a revision', () => {
  const cases: [before: string[], offered: string, standing: string][] = [
    [[], 'anything', 'new'],
    [['a'], 'a', 'same'],
    [['a'], 'a=other', 'reused'],
    [['a', 'b'], 'a', 'older'],
    [['a', 'b'], 'a=other', 'reused'],
    [['a', 'b'], 'c', 'new'],
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

  test('is compared the other way round with the other sign', () => {
    const all = ['1', '2', '1.2', '1.10', 'v3', '2026-01-01', '2026-01-01T00:00:01Z', 'abc', '12-x', '7.'];
    for (const a of all) {
      for (const b of all) {
        const [there, back] = [compareRevisions(a, b), compareRevisions(b, a)];
        assert.equal(there === null ? null : Math.sign(there), back === null ? null : -Math.sign(back), `${a} ${b}`);
      }
    }
  });
});
