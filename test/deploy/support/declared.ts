/** What the sidecar serves, by src/telemetry/metrics.ts: the contract that queries are held to. */
import type { Metric } from 'prom-client';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { namesIn } from './promql.ts';

/** Labels that Prometheus adds when it scrapes. */
const SCRAPED = ['job', 'instance'];

/** What Prometheus makes itself. */
const BUILT_IN = new Map([
  ['up', SCRAPED],
  ['ALERTS', [...SCRAPED, 'alertname', 'alertstate']],
]);

/** prom-client types its list without what every metric has. */
type Declared = Pick<Metric, 'get'> & { readonly name: string; readonly type: string; readonly labelNames: readonly string[] };

const declared = createMetrics('test').register.getMetricsAsArray() as unknown as Declared[];

const labels = new Map<string, readonly string[]>([
  ...BUILT_IN,
  ...declared.flatMap(({ name, type, labelNames }): [string, readonly string[]][] => {
    const own = [...labelNames, ...SCRAPED];
    if (type !== 'histogram') return [[name, own]];
    return [
      [`${name}_bucket`, [...own, 'le']],
      [`${name}_sum`, own],
      [`${name}_count`, own],
    ];
  }),
]);

/** Names of our own metrics, without those that prom-client adds about the process. */
export const ownMetrics = declared.map(({ name }) => name).filter((name) => name.startsWith('mcp_ext_authz_'));

/** Labels of a series, or undefined for one that does not exist. */
export function knownLabels(metric: string): readonly string[] | undefined {
  return labels.get(metric);
}

/** Metrics and labels in a query that do not exist. @param recorded labels of the series that rules record. */
export function unknownNames(expr: string, recorded: ReadonlyMap<string, readonly string[]>): string[] {
  const { selectors, grouping } = namesIn(expr);
  const labelsOf = (metric: string) => recorded.get(metric) ?? knownLabels(metric);
  const available = new Set(selectors.flatMap(({ metric }) => labelsOf(metric) ?? []));
  return [
    ...selectors.filter(({ metric }) => labelsOf(metric) === undefined).map(({ metric }) => `metric ${metric}`),
    ...selectors.flatMap(({ metric, labels: used }) =>
      used.filter((label) => !labelsOf(metric)?.includes(label)).map((label) => `label ${label} of ${metric}`),
    ),
    ...grouping.filter((label) => !available.has(label)).map((label) => `label ${label}`),
  ];
}
