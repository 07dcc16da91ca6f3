/** The little PromQL reader that the other tests here stand on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measurementsIn, namesIn } from './support/promql.ts';

test('metrics, the labels of their matchers and the labels of groupings are found', () => {
  assert.deepEqual(
    namesIn(
      'sum by (job, le) (rate(a_bucket{job=~"b{c=\\"d\\"}", x!="e"}[5m])) / on (job) group_left (rev) j:b:rate5m offset 1d',
    ),
    {
      selectors: [
        { metric: 'a_bucket', labels: ['job', 'x'] },
        { metric: 'j:b:rate5m', labels: [] },
      ],
      grouping: ['job', 'le', 'job', 'rev'],
    },
  );
  assert.deepEqual(namesIn('0 * vector(1) + time()').selectors, []);
});

test('an alert expression falls into what it measures', () => {
  const cases: [expr: string, measurements: string[]][] = [
    ['a > 14.4 * 0.001', ['a']],
    ['a > 5 * b\nand on (job) c offset 1d', ['a', '5 * b', 'c']],
    ['absent(up{job="x"} == 1)', ['up{job="x"}']],
    ['a unless on (job, instance) b', ['a', 'b']],
    ['increase(a{b="c"}[1h]) > 0 or (a > 0 unless a offset 1h)', ['increase(a{b="c"}[1h])', 'a', 'a']],
    ['time() - a > 3600 and on (i) sum by (i) (rate(b[5m])) > 0', ['time() - a', 'sum by (i) (rate(b[5m]))']],
    ['(a + b) / (c)', ['(a + b) / (c)']],
    ['sum(a > 0 or b) == 0', ['sum(a > 0 or b)']],
  ];
  for (const [expr, measurements] of cases) assert.deepEqual(measurementsIn(expr), measurements, expr);
});
