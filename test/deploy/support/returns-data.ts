/**
 * Whether every query of the dashboard and of the rules returns data from a running sidecar, asked of a real Prometheus.
 * "Data" is at least one sample that is a number: an empty result is none, and neither is NaN. A panel, an annotation, a
 * variable and a recording rule are asked as they are, an alert by the measurements it compares (see promql.ts).
 */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { type Prometheus, startPrometheus } from './prometheus.ts';
import { measurementsIn } from './promql.ts';
import { dashboardQueries, documentedQueries, fillVariables, type Query, readDashboard, readRules } from './queries.ts';

export interface ReturnsDataOptions {
  /** Makes the sidecar do something; called again and again, since a rate needs events between two scrapes. */
  readonly drive?: () => void | Promise<void>;
  /** When to give up, from the first scrape on. */
  readonly withinMs?: number;
}

const PAUSE_MS = 250;
/** Prometheus takes up its targets five seconds after the start, whatever the intervals. */
const FIRST_SCRAPE_MS = 60_000;

/** Rejects with an AssertionError that lists the queries without data. */
export async function assertQueriesReturnData(
  metricsUrl: string,
  { drive = () => {}, withinMs = 30_000 }: ReturnsDataOptions = {},
): Promise<void> {
  let waiting = await shippedQueries();
  const prometheus = await startPrometheus(metricsUrl);
  try {
    await firstScrape(prometheus);
    const end = performance.now() + withinMs;
    while (waiting.length > 0 && performance.now() < end) {
      await drive();
      await pause(PAUSE_MS);
      waiting = await withoutData(prometheus, waiting);
    }
    if (waiting.length > 0) {
      const lines = waiting.map(({ where, expr }) => `  ${where}: ${expr.replaceAll(/\s+/g, ' ')}`);
      assert.fail(`no data${await scrapeError(prometheus)}\n${lines.join('\n')}`);
    }
    assert.deepEqual(await ruleErrors(prometheus), []);
    assert.deepEqual(await unrendered(prometheus), []);
  } finally {
    await prometheus.stop();
  }
}

/** As Prometheus is to be asked. */
async function shippedQueries(): Promise<Query[]> {
  const rules = await readRules();
  return [
    ...(await documentedQueries()),
    ...dashboardQueries(await readDashboard()).map(({ where, expr }) => ({ where, expr: fillVariables(expr) })),
    ...rules.flatMap(({ record, alert, expr }) =>
      alert === undefined
        ? [expr, record as string].map((asked) => ({ where: `record ${record}`, expr: asked }))
        : measurementsIn(expr).map((asked) => ({ where: `alert ${alert}`, expr: asked })),
    ),
  ];
}

async function withoutData({ get }: Prometheus, queries: readonly Query[]): Promise<Query[]> {
  const empty: Query[] = [];
  for (const query of queries) {
    const { result } = await get<{ result: { value: [number, string] }[] }>('query', { query: query.expr });
    if (!result.some(({ value: [, sample] }) => Number.isFinite(Number(sample)))) empty.push(query);
  }
  return empty;
}

interface Targets {
  readonly activeTargets: readonly { readonly health: string; readonly lastError: string }[];
}

async function firstScrape({ get }: Prometheus): Promise<void> {
  const end = performance.now() + FIRST_SCRAPE_MS;
  while (performance.now() < end) {
    const { activeTargets } = await get<Targets>('targets');
    if (activeTargets.some(({ health }) => health !== 'unknown')) return;
    await pause(PAUSE_MS);
  }
  assert.fail('prometheus did not scrape');
}

async function scrapeError({ get }: Prometheus): Promise<string> {
  const { activeTargets } = await get<Targets>('targets');
  const errors = activeTargets.map(({ lastError }) => lastError).filter(Boolean);
  return errors.length === 0 ? '' : `; the scrape says: ${errors.join(', ')}`;
}

async function ruleErrors({ get }: Prometheus): Promise<string[]> {
  const { groups } = await get<{ groups: { rules: { name: string; lastError?: string }[] }[] }>('rules');
  return groups.flatMap(({ rules }) => rules.flatMap(({ name, lastError }) => (lastError ? [`${name}: ${lastError}`] : [])));
}

/** Annotations of the alerts that are active whose template failed, or names a label that the alert does not have. */
async function unrendered({ get }: Prometheus): Promise<string[]> {
  const { alerts } = await get<{ alerts: { annotations: Record<string, string> }[] }>('alerts');
  return alerts.flatMap(({ annotations }) => Object.values(annotations).filter((text) => /<no value>|<error|\{\{/.test(text)));
}
