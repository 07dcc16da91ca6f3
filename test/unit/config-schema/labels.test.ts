import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ConfigError, parseConfig } from '../../../src/config.ts';
import { yamlOf } from '../support/config.ts';

const parse = (labels: unknown) =>
  parseConfig(
    yamlOf((config) => {
      config.labels = labels;
    }),
  );
const NAMES = 'name it with up to 63 letters, digits and ._/-, a letter first; id and version are set already';
const VALUES = 'use 1 to 256 characters, none of them a control character';

suite('labels', () => {
  test('are none unless configured, and taken as they are', () => {
    assert.deepEqual(parse(undefined).labels, {});
    const labels = { app: 'ledger', 'example.com/region': 'Zürich 1' };
    assert.deepEqual(parse(labels).labels, labels);
  });

  for (const [what, labels, problem] of [
    ['an id, which each process has of its own', { id: 'x' }, `labels.id: ${NAMES}`],
    ['a version', { version: '1' }, `labels.version: ${NAMES}`],
    ['an odd name', { '1 a': 'x' }, `labels.1 a: ${NAMES}`],
    ['a long name', { ['a'.repeat(64)]: 'x' }, `labels.${'a'.repeat(64)}: ${NAMES}`],
    ['nothing as a value', { app: '' }, `labels.app: ${VALUES}`],
    ['two lines as a value', { app: 'a\nb' }, `labels.app: ${VALUES}`],
    ['a long value', { app: 'a'.repeat(257) }, `labels.app: ${VALUES}`],
    ['a tree', { app: { name: 'x' } }, 'labels.app: Invalid input: expected string, received object'],
    ['too many', Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`l${n}`, 'x'])), 'labels: use no more than 32'],
  ] as const) {
    test(`are refused with ${what}`, () => {
      assert.throws(
        () => parse(labels),
        (error) => {
          assert.ok(error instanceof ConfigError);
          assert.deepEqual(error.problems, [problem]);
          return true;
        },
      );
    });
  }
});
