/** Settings of the status upload and of the candidate: defaults, and what is refused. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ConfigError, parseConfig } from '../../../src/config.ts';
import { type minimalConfig, yamlOf } from '../support/config.ts';

type Adjust = (config: ReturnType<typeof minimalConfig>) => void;

const parse = (adjust: Adjust) => parseConfig(yamlOf(adjust));

function problemsOf(adjust: Adjust): readonly string[] {
  try {
    parse(adjust);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

const withService: Adjust = (config) => {
  config.services = [{ name: 'control', url: 'https://control.example' }];
};

suite('status', () => {
  test('is off unless configured, and needs no more than a service', () => {
    assert.equal(parse(withService).status, undefined);
    const { status } = parse((config) => {
      withService(config);
      config.status = { service: 'control' };
    });
    assert.deepEqual(status, {
      service: 'control',
      resource: 'status',
      metrics: true,
      minIntervalMs: 1000,
      maxIntervalMs: 300_000,
    });
  });

  for (const [what, status, problem] of [
    ['a service that there is not', { service: 'other' }, 'status.service: other is not among services'],
    ['a path with a space', { service: 'control', resource: 'a b' }, /^status\.resource: /],
    ['a partition that climbs', { service: 'control', partition: '../x y' }, /^status\.partition: /],
  ] as const) {
    test(`is refused with ${what}`, () => {
      const [first, ...more] = problemsOf((config) => {
        withService(config);
        config.status = status;
      });
      if (typeof problem === 'string') assert.equal(first, problem);
      else assert.match(String(first), problem);
      assert.deepEqual(more, []);
    });
  }
});

suite('policy.shadow', () => {
  const shadow = (given: object): Adjust => {
    return (config) => {
      config.policy.shadow = { bundleFile: 'candidate.tar.gz', ...given };
    };
  };

  test('logs every flip, within bounds, unless told otherwise', () => {
    const { sampleRatio, maxLinesPerSecond, maxQueued, maxQueuedBytes } = parse(shadow({})).policy.shadow ?? {};
    assert.deepEqual([sampleRatio, maxLinesPerSecond, maxQueued, maxQueuedBytes], [1, 10, 256, 16 * 1024 * 1024]);
  });

  for (const given of [{ sampleRatio: 1.1 }, { sampleRatio: -0.1 }, { maxQueued: 0 }, { maxLinesPerSecond: 1001 }]) {
    test(`is refused with ${JSON.stringify(given)}`, () => {
      const [problem] = problemsOf(shadow(given));
      assert.ok(problem?.startsWith(`policy.shadow.${Object.keys(given)[0]}: `), String(problem));
    });
  }
});
