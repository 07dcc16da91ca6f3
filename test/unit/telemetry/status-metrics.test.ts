import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { statusMetrics } from '../../../src/telemetry/status-metrics.ts';

const name = (rest: string) => `mcp_ext_authz_${rest}`;
const help = 'h';

suite('the metrics in the status', () => {
  test('are families as Prometheus has them in JSON', async () => {
    const register = new Registry();
    const registers = [register];
    const counter = new Counter({ name: name('c_total'), help, labelNames: ['tool', 'backend'], registers });
    counter.inc({ tool: 't', backend: 'b' }, 2);
    counter.inc({ tool: 'u', backend: 'b' }, 3);
    new Gauge({ name: name('g'), help, registers }).set(7);
    const histogram = new Histogram({ name: name('h_seconds'), help, labelNames: ['decision'], buckets: [0.1, 1], registers });
    for (const seconds of [0.05, 0.5, 5]) histogram.observe({ decision: 'allow' }, seconds);
    assert.deepEqual(await statusMetrics(register), {
      prometheus: {
        [name('c_total')]: {
          ...{ name: name('c_total'), help, type: 'COUNTER' },
          metric: ['t', 'u'].map((tool, index) => ({
            label: [
              { name: 'backend', value: 'b' },
              { name: 'tool', value: tool },
            ],
            counter: { value: index + 2 },
          })),
        },
        [name('g')]: { name: name('g'), help, type: 'GAUGE', metric: [{ gauge: { value: 7 } }] },
        [name('h_seconds')]: {
          ...{ name: name('h_seconds'), help, type: 'HISTOGRAM' },
          metric: [
            {
              label: [{ name: 'decision', value: 'allow' }],
              histogram: {
                sampleCount: '3',
                sampleSum: 5.55,
                bucket: [
                  { cumulativeCount: '1', upperBound: 0.1 },
                  { cumulativeCount: '2', upperBound: 1 },
                ],
              },
            },
          ],
        },
      },
    });
  });

  test('leave out what has no sample, what is no number in JSON, and what is not of this service', async () => {
    const register = new Registry();
    const registers = [register];
    new Counter({ name: name('c_total'), help, labelNames: ['tool'], registers });
    new Gauge({ name: name('g'), help, registers }).set(Number.NaN);
    let reads = 0;
    const collect = () => {
      reads += 1;
    };
    new Gauge({ name: 'nodejs_eventloop_lag_max_seconds', help, registers, collect }).set(1);
    assert.deepEqual(await statusMetrics(register), { prometheus: {} });
    assert.equal(reads, 0, 'it begins anew when it is read');
  });

  test('of the service itself fit into one request', async (t) => {
    const { register } = createMetrics('1');
    const { length } = JSON.stringify(await statusMetrics(register));
    t.diagnostic(`${length} bytes before the first request`);
    assert.ok(length > 1000 && length < 64 * 1024);
  });
});
