/** The dashboard file is what the code makes, asks only for what the sidecar serves, and explains itself. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { DASHBOARD_FILE, renderDashboard } from '../../deploy/grafana/dashboard.ts';
import { knownLabels, ownMetrics, unknownNames } from './support/declared.ts';
import { namesIn } from './support/promql.ts';
import { dashboardQueries, fillVariables, readDashboard, readRules } from './support/queries.ts';

const dashboard = await readDashboard();
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const queries = dashboardQueries(dashboard).map((query) => ({ ...query, expr: fillVariables(query.expr) }));

test('the file is up to date; `node deploy/grafana/dashboard.ts` writes it', async () => {
  assert.equal(await readFile(DASHBOARD_FILE, 'utf8'), renderDashboard());
});

test('every panel has a description, a unit, the data source variable and a query', () => {
  for (const { title, description, fieldConfig, datasource, targets = [] } of panels) {
    assert.ok(description, title);
    assert.ok(fieldConfig?.defaults.unit, title);
    assert.deepEqual(datasource, { type: 'prometheus', uid: '$datasource' }, title);
    assert.ok(targets.length > 0, title);
  }
});

test('panels have names and places of their own', () => {
  const names = dashboard.panels.map(({ title }) => title);
  assert.deepEqual(names, [...new Set(names)]);
  assert.deepEqual(
    dashboard.panels.map(({ id }) => id),
    names.map((_, index) => index + 1),
  );
  const overlaps = panels.flatMap((one, index) =>
    panels.slice(index + 1).filter(({ gridPos: { x, y, w, h } }) => {
      const at = one.gridPos;
      return at.x < x + w && x < at.x + at.w && at.y < y + h && y < at.y + at.h;
    }),
  );
  assert.deepEqual(overlaps, []);
  for (const { title, gridPos } of panels) assert.ok(gridPos.x + gridPos.w <= 24, title);
});

test('every metric and every label in a query is one that the sidecar serves', () => {
  for (const { where, expr } of queries) assert.deepEqual(unknownNames(expr, new Map()), [], `${where}: ${expr}`);
});

test('every label in a legend is one that its query keeps', () => {
  for (const { where, expr, legend = '' } of queries) {
    const { selectors, grouping } = namesIn(expr);
    const kept = grouping.length > 0 ? grouping : selectors.flatMap(({ metric }) => [...(knownLabels(metric) ?? [])]);
    for (const [, label = ''] of legend.matchAll(/\{\{(\w+)\}\}/g)) assert.ok(kept.includes(label), `${where}: ${legend}`);
  }
});

test('every metric of ours is on the dashboard or in a rule', async () => {
  const asked = new Set(
    [...queries, ...(await readRules())].flatMap(({ expr }) => namesIn(expr).selectors.map(({ metric }) => metric)),
  );
  const unused = ownMetrics.filter(
    (name) => ![name, `${name}_bucket`, `${name}_sum`, `${name}_count`].some((one) => asked.has(one)),
  );
  assert.deepEqual(unused, []);
});
