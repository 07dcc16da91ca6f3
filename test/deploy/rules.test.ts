/** The rules are valid, hold in their own unit tests, and tell whoever is called what to do. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { unknownNames } from './support/declared.ts';
import { missing } from './support/prometheus.ts';
import { RULES_TEST_FILE, type Rule, readRules } from './support/queries.ts';

const promtool = (...args: string[]) => promisify(execFile)('promtool', args);
const file = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const skip = missing('promtool');

type Recording = Rule & { readonly record: string };
type Alert = Rule & Required<Pick<Rule, 'labels' | 'annotations'>> & { readonly alert: string };

const rules = await readRules();
const recordings = rules.filter((rule): rule is Recording => rule.record !== undefined);
const alerts = rules.filter((rule): rule is Alert => rule.alert !== undefined);

interface Expectation {
  readonly expr: string;
  readonly exp_samples: readonly { readonly labels: string }[];
}
const { tests } = parse(await readFile(RULES_TEST_FILE, 'utf8')) as { tests: { promql_expr_test: Expectation[] }[] };
const expectations = tests.flatMap(({ promql_expr_test }) => promql_expr_test);

test('promtool accepts the example configuration and the rules', { skip }, async () => {
  const { stdout } = await promtool('check', 'config', file('deploy/prometheus/prometheus.yaml'));
  assert.match(stdout, new RegExp(`${rules.length} rules found`));
});

test('promtool finds that the rules do what their unit tests say', { skip, timeout: 300_000 }, async () => {
  await promtool('test', 'rules', file('deploy/prometheus/rules.test.yaml'));
});

test('every recording rule is named level:metric:operations and evaluated in a unit test', () => {
  for (const { record } of recordings) {
    assert.match(record, /^[a-z_]+:mcp_ext_authz_[a-z_]+:[a-z0-9_]+$/);
    assert.ok(
      expectations.some(({ expr, exp_samples }) => expr.includes(record) && exp_samples.length > 0),
      record,
    );
  }
});

test('every alert has a unit test in which it fires and one in which it is silent', () => {
  for (const { alert } of alerts) {
    const own = expectations.filter(({ expr }) => expr.startsWith('ALERTS{') && expr.includes(`"${alert}"`));
    assert.ok(
      own.some(({ exp_samples }) => exp_samples.some(({ labels }) => labels.includes('alertstate="firing"'))),
      `${alert} fires`,
    );
    assert.ok(
      own.some(({ exp_samples }) => exp_samples.length === 0),
      `${alert} is silent`,
    );
  }
});

test('every metric and every label in a rule is one that the sidecar serves or a rule records', () => {
  const recorded = new Map(recordings.map(({ record }): [string, string[]] => [record, levelsOf(record)]));
  for (const { record, alert, expr } of rules) assert.deepEqual(unknownNames(expr, recorded), [], `${record ?? alert}`);
});

/** job_reason:… has the labels job and reason. */
function levelsOf(record: string): string[] {
  return (record.split(':', 1)[0] ?? '').split('_');
}

test('every alert says how bad it is, what happened, what to do and where to read on', () => {
  for (const { alert, labels, annotations } of alerts) {
    assert.match(alert, /^McpExtAuthz[A-Z]/);
    assert.match(labels.severity ?? '', /^(critical|warning|info)$/, alert);
    assert.deepEqual(Object.keys(annotations), ['summary', 'description', 'runbook_url'], alert);
    assert.equal(annotations.runbook_url, `docs/operations.md#${anchorOf(alert)}`);
  }
});

test('a summary names only labels that its alert has', () => {
  for (const { alert, annotations } of alerts) {
    const fired = expectations.flatMap(({ exp_samples }) => exp_samples).filter(({ labels }) => labels.includes(`"${alert}"`));
    for (const [, label] of Object.values(annotations)
      .join('\n')
      .matchAll(/\$labels\.(\w+)/g)) {
      for (const { labels } of fired) assert.match(labels, new RegExp(`\\b${label}="`), `${alert}: ${label}`);
    }
  }
});

const runbook = file('docs/operations.md');
test('every runbook link leads to a heading', { skip: !existsSync(runbook) && 'docs/operations.md is not there' }, async () => {
  const headings = (await readFile(runbook, 'utf8')).match(/^#+ .+$/gm) ?? [];
  const anchors = headings.map((heading) =>
    heading
      .replace(/^#+ /, '')
      .toLowerCase()
      .replaceAll(/[^a-z0-9 -]/g, '')
      .replaceAll(' ', '-'),
  );
  for (const { alert } of alerts) assert.ok(anchors.includes(anchorOf(alert)), alert);
});

/** McpExtAuthzKeysStale → keys-stale */
function anchorOf(alert: string): string {
  return alert
    .replace(/^McpExtAuthz/, '')
    .replaceAll(/(?<!^)[A-Z]/g, '-$&')
    .toLowerCase();
}
