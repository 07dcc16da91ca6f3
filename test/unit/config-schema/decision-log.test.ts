import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ConfigError, parseConfig } from '../../../src/config.ts';
import { yamlOf } from '../support/config.ts';

type Tree = Record<string, any>;

const parsed = (decisionLog: Tree, services: Tree[] = []) =>
  parseConfig(
    yamlOf((config) => {
      config.services = services;
      config.decisionLog = decisionLog;
    }),
  ).decisionLog;

function problems(decisionLog: Tree, services?: Tree[]): readonly string[] {
  try {
    parsed(decisionLog, services);
    return [];
  } catch (cause) {
    assert.ok(cause instanceof ConfigError, String(cause));
    return cause.problems;
  }
}

const service = { name: 'logs', url: 'https://logs.example' };

suite('the decision log', () => {
  test('shows the input but no argument, and goes to standard output, unless it is said otherwise', () => {
    const log = parsed({});
    assert.deepEqual([log.file, log.input, log.arguments, log.context, log.requireRecord], ['-', true, [], [], false]);
    assert.deepEqual([log.upload, log.otlp, log.chain], [undefined, undefined, undefined]);
    const { upload, otlp } = parsed({ upload: { service: 'logs' }, otlp: { service: 'logs' } }, [service]);
    assert.deepEqual([upload?.resource, otlp?.resource, upload?.maxChunkBytes], ['logs', 'v1/logs', 32_768]);
  });

  for (const [name, decisionLog, problem] of [
    ['nowhere to go', { file: 'none' }, /^decisionLog\.file: with none there must be upload or otlp/],
    [
      'a service that there is not',
      { upload: { service: 'other' } },
      /^decisionLog\.upload\.service: other is not among services/,
    ],
    ['a collector that there is not', { otlp: { service: 'other' } }, /^decisionLog\.otlp\.service: other is not among services/],
    [
      'one directory for two sinks',
      { upload: { service: 'logs', bufferDirectory: 'd' }, otlp: { service: 'logs', bufferDirectory: 'd' } },
      /^decisionLog\.otlp\.bufferDirectory/,
    ],
    [
      'delays the wrong way round',
      { upload: { service: 'logs', minDelayMs: 2, maxDelayMs: 1 } },
      /^decisionLog\.upload\.maxDelayMs/,
    ],
    [
      'arguments of a backend that there is not',
      { arguments: [{ backend: 'other', tool: '*', names: ['*'] }] },
      /^decisionLog\.arguments\[0\]\.backend: other is not among resources/,
    ],
    [
      'arguments of every backend',
      { arguments: [{ backend: '*', tool: '*', names: ['*'] }] },
      /^decisionLog\.arguments\[0\]\.backend/,
    ],
    ['a chain without a key', { chain: { kid: 'k' } }, /^decisionLog\.chain\.keyFile/],
  ] as const) {
    test(`with ${name} is refused`, () => {
      const found = problems(decisionLog, [service]);
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0] ?? '', problem);
    });
  }
});
