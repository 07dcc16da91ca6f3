/** The metrics of this service as OPA has its own in its status: Prometheus' families as JSON, counts of histograms as text. */
import type { Metric, Registry } from 'prom-client';

type Json = Readonly<Record<string, unknown>>;
type Value = Awaited<ReturnType<Metric['get']>>['values'][number] & { readonly metricName?: string };

/** Those of Node itself stay at /metrics: some of them begin anew whenever they are read. */
const OWN = /^mcp_ext_authz_/;

export async function statusMetrics(register: Registry): Promise<Json> {
  const families: Record<string, Json> = {};
  for (const { name } of register.getMetricsAsArray()) {
    if (!OWN.test(name)) continue;
    const family = await familyOf(register.getSingleMetric(name) as Metric);
    if (family !== null) families[name] = family;
  }
  return { prometheus: families };
}

/** Null where there is no sample: a family without one is none. */
async function familyOf(metric: Metric): Promise<Json | null> {
  const { name, help, type, values } = await metric.get();
  const series = Map.groupBy(values as Value[], ({ labels: { le: _le, ...labels } }) => JSON.stringify(labels));
  // JSON has no word for the other numbers.
  const samples = [...series].filter(([, of]) => of.every(({ value }) => Number.isFinite(value)));
  if (samples.length === 0) return null;
  const kind = String(type);
  const metrics = samples.map(([labels, of]) => ({
    ...labelsOf(JSON.parse(labels)),
    [kind]: kind === 'histogram' ? histogramOf(name, of) : { value: of[0]?.value },
  }));
  return { name, help, type: kind.toUpperCase(), metric: metrics };
}

function labelsOf(labels: Readonly<Record<string, string | number>>): Json {
  const label = Object.entries(labels).map(([name, value]) => ({ name, value: String(value) }));
  return label.length === 0 ? {} : { label: label.sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

function histogramOf(name: string, values: readonly Value[]): Json {
  const one = (suffix: string): number => values.find(({ metricName }) => metricName === name + suffix)?.value ?? 0;
  const bucket = values.flatMap(({ metricName, labels, value }) => {
    const { le } = labels as { readonly le?: number | string };
    // The last one, without a bound, is `sampleCount`.
    return metricName === `${name}_bucket` && typeof le === 'number' ? [{ cumulativeCount: String(value), upperBound: le }] : [];
  });
  return { sampleCount: String(one('_count')), sampleSum: one('_sum'), bucket };
}
