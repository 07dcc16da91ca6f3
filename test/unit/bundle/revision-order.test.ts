import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { compareRevisions } from '../../../src/bundle/revision-order.ts';

suite('of two revisions', () => {
  for (const [older, newer] of [
    ['41', '42'],
    ['9-abc', '10-abc'],
    ['v1.9.0', '1.10'],
    ['99999999999999999999999999', '100000000000000000000000000'],
    ['2026-10-05', '2026-10-06'],
    ['2026-10-05T09:59:59.9Z', '2026-10-05T12:00:00+02:00'],
    ['20261004T100000Z', '2026-10-05'],
    ['2026-11-20T10:00:00Z-def', '2026-11-21T10:00:00Z-abc'],
    ['2026-11-20T10:00:00Z_def', '2026-11-21'],
    ['20261120T100000Z-def', '20261121T100000Z-abc'],
    ['2026-11-21T10:00:00Z-1', '2026-11-21T12:00:00+02:00-2'],
    ['2026-11-20-3', '2026-11-21-1'],
    ['2026-11-21-9', '2026-11-21-10'],
    ['2026-11-21.9', '2026-11-21.10'],
    ['2026.11.21-9', '2026.11.21-10'],
    ['20261121-9', '20261121-10'],
    ['release-8', 'release-9'],
    ['release-8-3f9c2d1', 'release-9-3f9c2d0'],
    ['r8', 'r10'],
    ['prod/2026/8', 'prod/2026/9'],
    ['app2-eu-8', 'app2-eu-9'],
    ['v1.2.0-rc1', 'v1.2.0-rc2'],
    ['v1.2.0-8-gabc1234', 'v1.2.0-14-gdef5678'],
    ['3f9c2d1-8', '3f9c2d1-9'],
  ] as const)
    test(`${older} is older than ${newer}`, () => {
      assert.ok(Number(compareRevisions(older, newer)) < 0);
      assert.ok(Number(compareRevisions(newer, older)) > 0);
    });

  for (const [a, b] of [
    ['42-abc', '42-def'],
    ['9fceb02', '4d3f1aa'],
    ['17-3f9c2d1', '17-3f9c2d5'],
    ['release-8', 'hotfix-9'],
    ['release-8', 'release-x9'],
    ['release-8', '9'],
    ['v1.2.0', 'v1.2.0-rc1'],
    ['1.2', '1.2.0'],
    ['2026-10-05', '7'],
    ['2026-10-05T10', '2026-10-06T10'],
    ['2026-13-05', '2026-13-05'],
    ['abc', 'abd'],
    ['7.', '8.'],
    ['', '1'],
  ] as const)
    test(`none is older: ${a}, ${b}`, () => {
      assert.equal(compareRevisions(a, b), null);
      assert.equal(compareRevisions(b, a), null);
    });

  test('the older one is the one that the documentation says', () => {
    const page = readFileSync(new URL('../../../docs/bundles.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `(\S+)` \| `(\S+)` \| (.*) \|$/gm)];
    assert.equal(rows.length, 9);
    for (const [row, older = '', newer = '', by] of rows) {
      const order = compareRevisions(older, newer);
      assert.equal(order === null ? 'nothing' : Math.sign(order), by?.startsWith('nothing') ? 'nothing' : -1, row);
    }
  });

  test('one that is all digits is no number beside hashes of its length', () => {
    assert.equal(compareRevisions('1234567', '9876543', ['a1b2c3d']), null);
    assert.equal(compareRevisions('main-1234567', 'main-9876543', ['main-a1b2c3d']), null);
    assert.equal(compareRevisions('2026-11-21-1234567', '2026-11-21-9876543', ['2026-11-20-a1b2c3d']), null);
    for (const beside of ['a1b2c3d4', 'release', '1234568', 'main-a1b2c3d'])
      assert.ok(Number(compareRevisions('1234567', '9876543', [beside])) < 0, beside);
  });

  test('each is judged the same the other way round', () => {
    const all = ['1', '2', '1.2', '1.10', 'v3', '2026-01-01', '2026-01-01T00:00:01Z', 'abc', '12-x', '7.', 'r1', 'r1-2', 'r1-x2'];
    for (const a of all) {
      for (const b of all) {
        const [there, back] = [compareRevisions(a, b), compareRevisions(b, a)];
        assert.equal(there === null ? null : Math.sign(there), back === null ? null : -Math.sign(back), `${a} ${b}`);
      }
    }
  });
});
