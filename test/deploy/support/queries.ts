/** Every query that deploy/ ships, read from the files that are shipped, with the place it stands at. */
import { readdir, readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { DASHBOARD_FILE } from '../../../deploy/grafana/dashboard.ts';

export const RULES_FILE = new URL('../../../deploy/prometheus/rules.yaml', import.meta.url);
export const RULES_TEST_FILE = new URL('../../../deploy/prometheus/rules.test.yaml', import.meta.url);

export interface Panel {
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly id: number;
  readonly datasource?: unknown;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat?: string }[];
}

export interface Dashboard {
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] };
  readonly templating: { readonly list: readonly { readonly type: string; readonly name: string; readonly query: string }[] };
}

export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Query {
  /** Where it stands, for a message that a person can act on. */
  readonly where: string;
  readonly expr: string;
  readonly legend?: string;
}

export async function readDashboard(): Promise<Dashboard> {
  return JSON.parse(await readFile(DASHBOARD_FILE, 'utf8')) as Dashboard;
}

export async function readRules(): Promise<Rule[]> {
  const { groups } = parse(await readFile(RULES_FILE, 'utf8')) as { groups: { rules: Rule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

/** Queries of panels, annotations and variables, as they stand. */
export function dashboardQueries({ panels, annotations, templating }: Dashboard): Query[] {
  return [
    ...panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr, legendFormat }) => ({
        where: `panel "${title}"`,
        expr,
        ...(legendFormat === undefined ? {} : { legend: legendFormat }),
      })),
    ),
    ...annotations.list.map(({ name, expr }) => ({ where: `annotation "${name}"`, expr })),
    ...templating.list
      .filter(({ type }) => type === 'query')
      .map(({ name, query }) => ({ where: `variable "${name}"`, expr: labelValues(query) })),
  ];
}

/** Grafana's `label_values(SELECTOR, LABEL)` as a query that Prometheus knows. */
function labelValues(query: string): string {
  const [, selector, label] = /^label_values\((.+),\s*(\w+)\)$/.exec(query) ?? [];
  if (selector === undefined) throw new Error(`a variable that is not label_values(…): ${query}`);
  return `group by (${label}) (${selector})`;
}

/** The variables filled in as Grafana does when everything is chosen; a minute stands for the time ranges. */
export function fillVariables(expr: string): string {
  const filled = expr.replaceAll(/\$__(rate_interval|range|interval)\b/g, '1m').replaceAll(/\$(job|instance|backend)\b/g, '.+');
  if (filled.includes('$')) throw new Error(`a variable that is not known: ${filled}`);
  return filled;
}

/** Queries that the documents tell people to type. */
export async function documentedQueries(): Promise<Query[]> {
  const folder = new URL('../../../docs/', import.meta.url);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.md'));
  const found = files.map(async (file) => {
    const text = await readFile(new URL(file, folder), 'utf8');
    return [...text.matchAll(/^```promql\n(.*?)^```/gms)].map(([, expr = '']) => ({ where: `docs/${file}`, expr: expr.trim() }));
  });
  return (await Promise.all(found)).flat();
}
