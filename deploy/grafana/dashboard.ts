/**
 * The Grafana dashboard, made by code: `node deploy/grafana/dashboard.ts` writes mcp-ext-authz.json beside this file.
 * Made for whoever is woken at night: the first line says whether something is wrong, each row below is one part that can
 * be, and every panel says what its numbers mean. It queries what the sidecar serves and needs no recording rule.
 */
import { writeFile } from 'node:fs/promises';
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import * as heatmap from '@grafana/grafana-foundation-sdk/heatmap';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as table from '@grafana/grafana-foundation-sdk/table';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';

export const DASHBOARD_FILE = new URL('mcp-ext-authz.json', import.meta.url);

const DATASOURCE = { type: 'prometheus', uid: '$datasource' };
const TARGETS = 'job=~"$job", instance=~"$instance"';
const BACKEND = `${TARGETS}, backend=~"$backend"`;

const DECISIONS = 'mcp_ext_authz_decisions_total';
const CHECKS = 'mcp_ext_authz_check_duration_seconds';
const STAGES = 'mcp_ext_authz_stage_duration_seconds';
const DELEGATIONS = 'mcp_ext_authz_delegations_total';
const EXCHANGES = 'mcp_ext_authz_exchange_duration_seconds';

/** Limits of deploy/prometheus/rules.yaml: the objective, where the fast alert begins, and two more. */
const BUDGET = 0.001;
const FAST_BURN = 14.4 * BUDGET;
const LATENCY_LIMIT = 0.1;
const KEYS_STALE = 12 * 3600;

const rate = (metric: string, selector: string, by = '') =>
  `sum${by && ` ${by} `}(rate(${metric}{${selector}}[$__rate_interval]))`;

/** A share that is 0, not absent, while nothing of the part was ever counted. */
function share(metric: string, selector: string, part: string, by: string): string {
  const whole = rate(metric, selector, by);
  return `(${rate(metric, `${selector}, ${part}`, by)} or 0 * ${whole}) / ${whole}`;
}

const quantile = (q: number, metric: string, selector: string, by = 'le') =>
  `histogram_quantile(${q}, sum by (${by}) (rate(${metric}_bucket{${selector}}[$__rate_interval])))`;

type Query = readonly [expr: string, legend: string];

function target([expr, legend]: Query): DataqueryBuilder {
  return new DataqueryBuilder().expr(expr).legendFormat(legend).range();
}

type Steps = readonly (readonly [from: number | null, color: string])[];

function thresholds(steps: Steps): dashboard.ThresholdsConfigBuilder {
  return new dashboard.ThresholdsConfigBuilder()
    .mode(dashboard.ThresholdsMode.Absolute)
    .steps(steps.map(([value, color]) => ({ value, color })));
}

interface PanelOptions {
  readonly title: string;
  /** What the numbers mean and what to make of them. */
  readonly description: string;
  readonly unit: string;
  readonly queries: readonly Query[];
  readonly width?: number;
  readonly steps?: Steps;
}

interface GraphOptions extends PanelOptions {
  readonly stacked?: boolean;
  /** Colours by legend, as regular expressions. */
  readonly colors?: Readonly<Record<string, string>>;
}

const LETTERS = 'ABCDEFGH';
const targets = (queries: readonly Query[]) => queries.map((query, index) => target(query).refId(LETTERS.charAt(index)));

function graph({ title, description, unit, queries, width = 8, steps, stacked = false, colors = {} }: GraphOptions) {
  const panel = new timeseries.PanelBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .min(0)
    .span(width)
    .height(8)
    .lineWidth(1)
    .fillOpacity(stacked ? 40 : 10)
    .showPoints(common.VisibilityMode.Never)
    .targets(targets(queries))
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.Table)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true)
        .calcs(['lastNotNull', 'max'])
        .sortBy('Last *')
        .sortDesc(true),
    )
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending));
  if (stacked) panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal));
  if (steps !== undefined) {
    panel
      .thresholds(thresholds(steps))
      .thresholdsStyle(new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed));
  }
  for (const [legend, fixedColor] of Object.entries(colors)) {
    panel.overrideByRegexp(legend, [{ id: 'color', value: { mode: 'fixed', fixedColor } }]);
  }
  return panel;
}

function number({ title, description, unit, queries, width = 3, steps = [[null, 'text']] }: PanelOptions) {
  return new stat.PanelBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .span(width)
    .height(4)
    .noValue('no data')
    .targets(targets(queries))
    .thresholds(thresholds(steps))
    .colorMode(common.BigValueColorMode.BackgroundSolid)
    .graphMode(common.BigValueGraphMode.None)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']));
}

/** One row for each series as it is now; `columns` renames the labels to show, in order, and hides the rest. */
function list(options: Omit<PanelOptions, 'queries'> & { expr: string; columns: Record<string, string>; sortBy: string }) {
  const { title, description, unit, width = 12, expr, columns, sortBy } = options;
  return new table.PanelBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .span(width)
    .height(9)
    .withTarget(new DataqueryBuilder().refId('A').expr(expr).format(PromQueryFormat.Table).instant())
    .withTransformation({ id: 'filterFieldsByName', options: { include: { names: Object.keys(columns) } } })
    .withTransformation({
      id: 'organize',
      options: {
        indexByName: Object.fromEntries(Object.keys(columns).map((label, index) => [label, index])),
        renameByName: columns,
      },
    })
    .sortBy([new common.TableSortByFieldStateBuilder().displayName(sortBy).desc(true)]);
}

const GREEN = 'green';
const ORANGE = 'orange';
const RED = 'red';
const BY_DECISION = { '^allow.*': GREEN, '^deny.*': ORANGE, '^error.*': RED };
const BY_OUTCOME = {
  '.*(ok|activated|applied|written)$': GREEN,
  '.*refused$': ORANGE,
  '.*(failed|invalid|timeout|unavailable|lost)$': RED,
};

function atAGlance() {
  return [
    number({
      title: 'Alerts firing',
      description: 'Alerts of deploy/prometheus/rules.yaml that fire now; docs/operations.md has a paragraph for each.',
      unit: 'short',
      queries: [['count(ALERTS{alertname=~"McpExtAuthz.+", alertstate="firing", job=~"$job"}) or vector(0)', 'firing']],
      steps: [
        [null, GREEN],
        [1, RED],
      ],
    }),
    number({
      title: 'Instances up',
      description: 'Sidecars that Prometheus can scrape. Envoy refuses every request whose sidecar is down.',
      unit: 'short',
      queries: [[`sum(up{${TARGETS}})`, 'up']],
      steps: [
        [null, RED],
        [1, GREEN],
      ],
    }),
    number({
      title: 'Checks',
      description: 'Requests that Envoy asks about, of the backends chosen.',
      unit: 'reqps',
      queries: [[rate(DECISIONS, BACKEND), 'checks']],
    }),
    number({
      title: 'Errors',
      description:
        'Share of Checks refused because something is broken. The objective is 0.1 %; from 1.44 % on the fast alert counts.',
      unit: 'percentunit',
      queries: [[share(DECISIONS, BACKEND, 'decision="error"', ''), 'errors']],
      steps: [
        [null, GREEN],
        [BUDGET, ORANGE],
        [FAST_BURN, RED],
      ],
    }),
    number({
      title: 'Denials',
      description: 'Share of Checks answered no. Not a fault by itself: a client without a token is one. Watch for jumps.',
      unit: 'percentunit',
      queries: [[share(DECISIONS, BACKEND, 'decision="deny"', ''), 'denials']],
    }),
    number({
      title: 'Check p99',
      description:
        'One Check in a hundred takes longer. Envoy gives up after grpc_service.timeout: 200 ms by default, 2 s in envoy/envoy.yaml.',
      unit: 's',
      queries: [[quantile(0.99, CHECKS, TARGETS), 'p99']],
      steps: [
        [null, GREEN],
        [LATENCY_LIMIT / 2, ORANGE],
        [LATENCY_LIMIT, RED],
      ],
    }),
    number({
      title: 'Policy revisions',
      description: 'Different policies in force at once. More than one outside a rollout means that some instance lags.',
      unit: 'short',
      queries: [[`count(count by (revision) (mcp_ext_authz_bundle_info{${TARGETS}}))`, 'revisions']],
      steps: [
        [null, RED],
        [1, GREEN],
        [2, ORANGE],
      ],
    }),
    number({
      title: 'Oldest keys',
      description:
        'Age of the oldest key set of any issuer. Keys are fetched when a token comes, so it grows where nobody calls; a fault only together with failed fetches.',
      unit: 's',
      queries: [[`max(time() - mcp_ext_authz_jwks_fetched_timestamp_seconds{${TARGETS}})`, 'age']],
      steps: [
        [null, GREEN],
        [KEYS_STALE, ORANGE],
      ],
    }),
  ];
}

function traffic() {
  return [
    graph({
      title: 'Decisions',
      description: 'allow: sent on to the backend. deny: no. error: something is broken, so no.',
      unit: 'reqps',
      queries: [[rate(DECISIONS, BACKEND, 'by (decision)'), '{{decision}}']],
      stacked: true,
      colors: BY_DECISION,
    }),
    graph({
      title: 'Error ratio',
      description: 'Share of Checks that end in an error, by backend. Dashed: the objective, and where the fast alert begins.',
      unit: 'percentunit',
      queries: [[share(DECISIONS, BACKEND, 'decision="error"', 'by (backend)'), '{{backend}}']],
      steps: [
        [null, 'transparent'],
        [BUDGET, ORANGE],
        [FAST_BURN, RED],
      ],
    }),
    graph({
      title: 'Refusals by reason',
      description:
        'Start here. Red: errors, whose reason names the broken part. The rest: denials. docs/denials.md says for each reason what to do.',
      unit: 'reqps',
      queries: [[rate(DECISIONS, `${BACKEND}, decision!="allow"`, 'by (decision, reason)'), '{{decision}} {{reason}}']],
      colors: { '^error.*': RED },
    }),
    graph({
      title: 'By backend',
      description: 'none: no backend was found for the path.',
      unit: 'reqps',
      queries: [[rate(DECISIONS, BACKEND, 'by (backend, decision)'), '{{backend}} {{decision}}']],
    }),
    graph({
      title: 'By tool',
      description: 'The fifteen busiest. other: not in the catalog of its backend. none: the message calls no tool.',
      unit: 'reqps',
      queries: [[`topk(15, ${rate(DECISIONS, BACKEND, 'by (tool)')})`, '{{tool}}']],
    }),
    graph({
      title: 'Refused share by tool',
      description: 'Share of the Checks for a tool that are not allowed. One tool alone: its policy or its scope has changed.',
      unit: 'percentunit',
      queries: [[share(DECISIONS, BACKEND, 'decision!="allow"', 'by (tool)'), '{{tool}}']],
    }),
    list({
      title: 'What was refused',
      description:
        'Refusals in the time range, the commonest first. The decision log has each of them, with caller and decision_id.',
      unit: 'short',
      width: 16,
      expr: `topk(50, sum by (decision, reason, method, tool, backend) (increase(${DECISIONS}{${BACKEND}, decision!="allow"}[$__range])))`,
      columns: {
        decision: 'Decision',
        reason: 'Reason',
        backend: 'Backend',
        tool: 'Tool',
        method: 'Method',
        Value: 'Refusals',
      },
      sortBy: 'Refusals',
    }),
    graph({
      title: 'By method',
      description: 'MCP methods, and HTTP methods where no message was read.',
      unit: 'reqps',
      queries: [[`topk(15, ${rate(DECISIONS, BACKEND, 'by (method)')})`, '{{method}}']],
    }).height(9),
  ];
}

function latency() {
  return [
    graph({
      title: 'Check latency',
      description:
        "From a Check received to its answer, all backends. Envoy's timeout lies above it: what is slower is refused by Envoy itself.",
      unit: 's',
      queries: [
        [quantile(0.5, CHECKS, TARGETS), 'p50'],
        [quantile(0.95, CHECKS, TARGETS), 'p95'],
        [quantile(0.99, CHECKS, TARGETS), 'p99'],
      ],
      steps: [
        [null, 'transparent'],
        [LATENCY_LIMIT, RED],
      ],
    }),
    graph({
      title: 'p99 by decision',
      description: 'Slow errors are time-outs of something we wait for; slow allows are about to become late answers.',
      unit: 's',
      queries: [[quantile(0.99, CHECKS, TARGETS, 'le, decision'), '{{decision}}']],
      colors: BY_DECISION,
    }),
    graph({
      title: 'p99 by stage',
      description:
        'read: the message. verify: the token, waiting for keys where they are cold. inbound, outbound: policy. delegate: the exchange, or signing.',
      unit: 's',
      queries: [[quantile(0.99, STAGES, TARGETS, 'le, stage'), '{{stage}}']],
    }),
    graph({
      title: 'Where the time goes',
      description: 'Mean time of a Check by stage. All stages growing together is a starved CPU or a blocked event loop.',
      unit: 's',
      queries: [
        [
          `${rate(`${STAGES}_sum`, TARGETS, 'by (stage)')} / on () group_left () ${rate(`${CHECKS}_count`, TARGETS)}`,
          '{{stage}}',
        ],
      ],
      width: 12,
      stacked: true,
    }),
    new heatmap.PanelBuilder()
      .title('Distribution of check latency')
      .description('Checks by how long they took. Two bands: cached and fresh tokens, or minted and exchanged delegation tokens.')
      .datasource(DATASOURCE)
      .span(12)
      .height(8)
      .unit('short')
      .calculate(false)
      .yAxis(new heatmap.YAxisConfigBuilder().unit('s'))
      .color(new heatmap.HeatmapColorOptionsBuilder().mode(heatmap.HeatmapColorMode.Scheme).scheme('Oranges').steps(64))
      .withTarget(
        target([`sum by (le) (increase(${CHECKS}_bucket{${TARGETS}}[$__rate_interval]))`, '{{le}}'])
          .refId('A')
          .format(PromQueryFormat.Heatmap),
      ),
  ];
}

function delegation() {
  return [
    graph({
      title: 'Delegation tokens',
      description:
        'Tokens for backends by how they are made and what came of it. refused: the authorization server said no. invalid: what it issued must not be used.',
      unit: 'reqps',
      queries: [[rate(DELEGATIONS, BACKEND, 'by (mode, outcome)'), '{{mode}} {{outcome}}']],
      colors: BY_OUTCOME,
    }),
    graph({
      title: 'Failed share by backend',
      description: 'invalid, timeout and unavailable, of all delegation tokens. Each is a call refused with 503.',
      unit: 'percentunit',
      queries: [[share(DELEGATIONS, BACKEND, 'outcome!~"ok|refused"', 'by (backend)'), '{{backend}}']],
      steps: [
        [null, 'transparent'],
        [0.05, RED],
      ],
    }),
    graph({
      title: 'Exchange latency',
      description:
        'Time at the authorization server, every outcome. It lies on the path of each call, within the time Envoy gives.',
      unit: 's',
      queries: [
        [quantile(0.5, EXCHANGES, TARGETS), 'p50'],
        [quantile(0.95, EXCHANGES, TARGETS), 'p95'],
        [quantile(0.99, EXCHANGES, TARGETS), 'p99'],
      ],
    }),
  ];
}

function keys() {
  return [
    graph({
      title: 'Age of keys by issuer',
      description:
        'The oldest among the instances. Fetched again after issuers[].keyMaxAgeMs when a token comes; not used beyond keyMaxStaleMs, 24 h by default.',
      unit: 's',
      queries: [[`max by (issuer) (time() - mcp_ext_authz_jwks_fetched_timestamp_seconds{${TARGETS}})`, '{{issuer}}']],
      steps: [
        [null, 'transparent'],
        [KEYS_STALE, ORANGE],
        [2 * KEYS_STALE, RED],
      ],
    }),
    graph({
      title: 'Key fetches',
      description: 'failed with no ok beside it: the issuer is out of reach, and the next key rotation will be missed.',
      unit: 'short',
      queries: [
        [
          `sum by (issuer, outcome) (increase(mcp_ext_authz_jwks_fetches_total{${TARGETS}}[$__rate_interval]))`,
          '{{issuer}} {{outcome}}',
        ],
      ],
      colors: BY_OUTCOME,
    }),
    graph({
      title: 'Usable keys by issuer',
      description: 'The fewest that any instance holds. 0: tokens of the issuer are refused there. A step: a rotation.',
      unit: 'short',
      queries: [[`min by (issuer) (mcp_ext_authz_jwks_keys{${TARGETS}})`, '{{issuer}}']],
    }),
  ];
}

function policy() {
  return [
    list({
      title: 'What each instance runs',
      description: 'Policy revision and build of every instance. An instance that is missing here has no policy in force.',
      unit: 'short',
      width: 12,
      expr: `mcp_ext_authz_build_info{${TARGETS}} * on (job, instance) group_left (revision) mcp_ext_authz_bundle_info{${TARGETS}}`,
      columns: { instance: 'Instance', revision: 'Policy revision', version: 'Version', node: 'Node.js', job: 'Job' },
      sortBy: 'Policy revision',
    }),
    graph({
      title: 'Instances by policy revision',
      description: 'A rollout is one colour taking over from another. Two that stay: the same request meets two policies.',
      unit: 'short',
      queries: [[`count by (revision) (mcp_ext_authz_bundle_info{${TARGETS}})`, '{{revision}}']],
      width: 12,
      stacked: true,
    }).height(9),
    graph({
      title: 'Age of the policy',
      description: 'Since it was activated: at start or at a reload.',
      unit: 's',
      queries: [
        [`max(time() - mcp_ext_authz_bundle_activated_timestamp_seconds{${TARGETS}})`, 'oldest'],
        [`min(time() - mcp_ext_authz_bundle_activated_timestamp_seconds{${TARGETS}})`, 'newest'],
      ],
      width: 12,
    }),
    graph({
      title: 'Bundles and configurations',
      description: 'refused: what was in force stays in force. The log of the instance has the cause.',
      unit: 'short',
      queries: [
        [`sum by (outcome) (increase(mcp_ext_authz_bundle_loads_total{${TARGETS}}[$__rate_interval]))`, 'bundle {{outcome}}'],
        [
          `sum by (outcome) (increase(mcp_ext_authz_config_reloads_total{${TARGETS}}[$__rate_interval]))`,
          'configuration {{outcome}}',
        ],
        [
          `sum by (outcome) (increase(mcp_ext_authz_status_uploads_total{${TARGETS}}[$__rate_interval]))`,
          'status upload {{outcome}}',
        ],
      ],
      width: 12,
      colors: BY_OUTCOME,
    }),
    graph({
      title: 'Looks at the source of bundles',
      description: 'changed: another bundle; unchanged: the one that is known; failed: the source could not be asked.',
      unit: 'short',
      queries: [
        [
          `sum by (bundle, outcome) (increase(mcp_ext_authz_bundle_downloads_total{${TARGETS}}[$__rate_interval]))`,
          '{{bundle}} {{outcome}}',
        ],
      ],
      width: 12,
    }),
    graph({
      title: 'Bundles that were not put in force, by reason',
      description: 'Nothing, where all is well. What was in force stays; docs/bundle-servers.md tells what to do.',
      unit: 'short',
      queries: [
        [
          `sum by (bundle, reason) (increase(mcp_ext_authz_bundle_refusals_total{${TARGETS}}[$__rate_interval])) > 0`,
          '{{bundle}} {{reason}}',
        ],
      ],
      width: 12,
    }),
  ];
}

function candidate() {
  return [
    graph({
      title: 'Rules on trial',
      description: 'What rules that are only watched (`log_only`) would have refused.',
      unit: 'short',
      queries: [
        [
          `sum by (rule, backend, tool) (increase(mcp_ext_authz_log_only_total{${BACKEND}}[$__rate_interval])) > 0`,
          '{{rule}} {{backend}} {{tool}}',
        ],
      ],
    }),
    graph({
      title: 'Flips of the candidate',
      description:
        'Requests that the candidate would have answered otherwise than the policy in force. Its counts begin with it.',
      unit: 'short',
      queries: [
        [
          `sum by (direction, backend, tool) (increase(mcp_ext_authz_shadow_flips_total{${BACKEND}}[$__rate_interval])) > 0`,
          '{{direction}} {{backend}} {{tool}}',
        ],
      ],
    }),
    graph({
      title: 'What the candidate was asked',
      description: 'error: it gave no answer. skipped: it could not keep up, or rests because it had to be killed.',
      unit: 'cps',
      queries: [[rate('mcp_ext_authz_shadow_evaluations_total', TARGETS, 'by (outcome)'), '{{outcome}}']],
    }),
    graph({
      title: 'Instances by candidate',
      description: 'Which revision each instance has beside the policy in force. None: no candidate was loaded.',
      unit: 'short',
      queries: [[`count by (revision) (mcp_ext_authz_shadow_info{${TARGETS}})`, '{{revision}}']],
      stacked: true,
    }),
  ];
}

function backends() {
  return [
    graph({
      title: 'Backends that answer the sidecar',
      description: '1: every instance was answered when it last asked. What a backend listed before is kept while it is down.',
      unit: 'short',
      queries: [[`min by (backend) (mcp_ext_authz_backend_up{${TARGETS}, backend=~"$backend"})`, '{{backend}}']],
    }),
    graph({
      title: 'Catalog refreshes',
      description:
        'refused: policy, delegation or the backend said no. invalid: the answer cannot be used. The log of the instance has the cause.',
      unit: 'short',
      queries: [
        [
          `sum by (backend, outcome) (increase(mcp_ext_authz_catalog_refreshes_total{${TARGETS}, backend=~"$backend"}[$__rate_interval]))`,
          '{{backend}} {{outcome}}',
        ],
      ],
    }),
    graph({
      title: 'Items listed',
      description: 'What each backend offered last. A step is a release of it, or a reason to look at `catalog diff`.',
      unit: 'short',
      queries: [
        [`max by (backend, list) (mcp_ext_authz_catalog_items{${TARGETS}, backend=~"$backend"})`, '{{backend}} {{list}}'],
      ],
    }),
  ];
}

function lists() {
  return [
    graph({
      title: 'Items of lists',
      description:
        'What backends listed, and whether the caller was shown it. All hidden at one backend: its policy or its scopes have changed.',
      unit: 'cps',
      queries: [
        [rate('mcp_ext_authz_list_items_total', BACKEND, 'by (backend, list, outcome)'), '{{backend}} {{list}} {{outcome}}'],
      ],
    }),
    graph({
      title: 'Under way in ext_proc',
      description:
        'Exchanges whose answer is being processed; streams last long. Beyond processing.maxInFlight an instance refuses, and so does Envoy beyond max_requests of its cluster.',
      unit: 'short',
      queries: [
        [`max(mcp_ext_authz_in_flight_processing{${TARGETS}})`, 'busiest instance'],
        [`sum(mcp_ext_authz_in_flight_processing{${TARGETS}})`, 'all'],
      ],
    }),
    graph({
      title: 'Given up or left out',
      description:
        'Exchanges that ext_proc gave up: Envoy answered 500 or cut them off. Backends that the front door left out: their tools are missing from its list. The log of the instance has the cause.',
      unit: 'short',
      queries: [
        [`sum(increase(mcp_ext_authz_processing_failures_total{${TARGETS}}[$__rate_interval]))`, 'ext_proc'],
        [
          `sum by (backend) (increase(mcp_ext_authz_front_door_failures_total{${BACKEND}}[$__rate_interval]))`,
          'front door {{backend}}',
        ],
      ],
    }),
  ];
}

function processes() {
  return [
    graph({
      title: 'Checks under way',
      description:
        'Beyond server.maxInFlight an instance refuses as overloaded. Growing while the rate does not: something waits.',
      unit: 'short',
      queries: [
        [`max(mcp_ext_authz_in_flight_checks{${TARGETS}})`, 'busiest instance'],
        [`sum(mcp_ext_authz_in_flight_checks{${TARGETS}})`, 'all'],
      ],
      width: 6,
    }),
    graph({
      title: 'Late answers',
      description: 'Share of answers that came after Envoy had stopped waiting; a caller that hangs up counts too.',
      unit: 'percentunit',
      queries: [[`${rate('mcp_ext_authz_late_answers_total', TARGETS)} / ${rate(`${CHECKS}_count`, TARGETS)}`, 'late']],
      width: 6,
      steps: [
        [null, 'transparent'],
        [0.005, RED],
      ],
    }),
    graph({
      title: 'Decision-log lines',
      description: 'lost: the audit trail has a gap. While the log is full, Checks are refused as overloaded.',
      unit: 'cps',
      queries: [[rate('mcp_ext_authz_decision_log_lines_total', TARGETS, 'by (outcome)'), '{{outcome}}']],
      width: 6,
      colors: BY_OUTCOME,
    }),
    graph({
      title: 'Decision-log requests to services',
      description: 'failed: sent again. refused: the service did not want the lines, and they are lost.',
      unit: 'cps',
      queries: [[rate('mcp_ext_authz_decision_log_uploads_total', TARGETS, 'by (sink, outcome)'), '{{sink}} {{outcome}}']],
      width: 6,
    }),
    graph({
      title: 'Decision-log bytes that wait',
      description: 'Up to the bound of the sink; what comes then is lost there, or Checks are refused.',
      unit: 'bytes',
      queries: [[`max by (sink) (mcp_ext_authz_decision_log_buffered_bytes{${TARGETS}})`, '{{sink}}']],
      width: 6,
    }),
    graph({
      title: 'Decision-log lines that one sink did not record',
      description: 'Nothing, where all is well. Another sink may have them.',
      unit: 'short',
      queries: [
        [
          `sum by (sink, reason) (increase(mcp_ext_authz_decision_log_dropped_total{${TARGETS}}[$__rate_interval])) > 0`,
          '{{sink}} {{reason}}',
        ],
      ],
      width: 6,
    }),
    graph({
      title: 'Decision-log masks that failed',
      description: 'mask: the event was written without all that could be masked. drop: it was written.',
      unit: 'short',
      queries: [
        [
          `sum by (rule) (increase(mcp_ext_authz_decision_log_mask_failures_total{${TARGETS}}[$__rate_interval])) > 0`,
          '{{rule}}',
        ],
      ],
      width: 6,
    }),
    graph({
      title: 'Cache hits',
      description: 'Share of tokens found verified. It falls with many callers, short-lived tokens, or a cache too small.',
      unit: 'percentunit',
      queries: [[share('mcp_ext_authz_cache_lookups_total', TARGETS, 'result="hit"', 'by (cache)'), '{{cache}}']],
      width: 6,
    }),
    graph({
      title: 'Cache entries',
      description: 'Of the fullest instance; at tokens.cacheEntries the least recently used goes.',
      unit: 'short',
      queries: [[`max by (cache) (mcp_ext_authz_cache_entries{${TARGETS}})`, '{{cache}}']],
      width: 6,
    }),
    graph({
      title: 'Event-loop lag, p99',
      description: 'The ten worst instances. Every Check waits that long; above 50 ms look for a starved CPU or a heavy policy.',
      unit: 's',
      queries: [[`topk(10, nodejs_eventloop_lag_p99_seconds{${TARGETS}})`, '{{instance}}']],
      width: 6,
      steps: [
        [null, 'transparent'],
        [0.05, ORANGE],
      ],
    }),
    graph({
      title: 'Resident memory',
      description: 'The ten largest instances. Caches and logs are bounded, so it levels off; a line that does not is a leak.',
      unit: 'bytes',
      queries: [[`topk(10, process_resident_memory_bytes{${TARGETS}})`, '{{instance}}']],
      width: 6,
    }),
    graph({
      title: 'CPU',
      description: 'Cores used by the ten busiest instances. Decisions run on one thread: near 1 an instance is full.',
      unit: 'short',
      queries: [[`topk(10, rate(process_cpu_seconds_total{${TARGETS}}[$__rate_interval]))`, '{{instance}}']],
      width: 6,
    }),
  ];
}

const choice = (name: string, label: string, query: string) =>
  new dashboard.QueryVariableBuilder(name)
    .label(label)
    .datasource(DATASOURCE)
    .query(query)
    .multi(true)
    .includeAll(true)
    .allValue('.+')
    .current({ text: 'All', value: '$__all' })
    .sort(dashboard.VariableSort.AlphabeticalAsc)
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged);

/** Marks the moments that a timestamp metric names. */
const moment = (name: string, iconColor: string, metric: string, titleFormat: string) =>
  new dashboard.AnnotationQueryBuilder()
    .name(name)
    .datasource(DATASOURCE)
    .enable(true)
    .iconColor(iconColor)
    .expr(`${metric}{${TARGETS}} * 1000`)
    .useValueForTime(true)
    .titleFormat(titleFormat);

export function buildDashboard(): dashboard.Dashboard {
  const builder = new dashboard.DashboardBuilder('mcp-ext-authz')
    .uid('mcp-ext-authz')
    .description('Decisions, latency and dependencies of the MCP external-authorization sidecar.')
    .tags(['mcp', 'envoy', 'authorization'])
    .time({ from: 'now-3h', to: 'now' })
    .refresh('30s')
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .withVariable(new dashboard.DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(choice('job', 'Job', 'label_values(mcp_ext_authz_build_info, job)'))
    .withVariable(choice('instance', 'Instance', 'label_values(mcp_ext_authz_build_info{job=~"$job"}, instance)'))
    .withVariable(choice('backend', 'Backend', 'label_values(mcp_ext_authz_decisions_total{job=~"$job"}, backend)'))
    .annotation(moment('Policy activated', 'blue', 'mcp_ext_authz_bundle_activated_timestamp_seconds', 'policy: {{instance}}'))
    .annotation(moment('Process started', 'purple', 'process_start_time_seconds', 'started: {{instance}}'));
  const rows = {
    'At a glance': atAGlance(),
    'Traffic and decisions': traffic(),
    Latency: latency(),
    'Delegation and exchange': delegation(),
    Keys: keys(),
    Policy: policy(),
    'Candidate policy': candidate(),
    Backends: backends(),
    'Lists and the front door': lists(),
    Process: processes(),
  };
  for (const [title, panels] of Object.entries(rows)) {
    builder.withRow(new dashboard.RowBuilder(title));
    for (const panel of panels) builder.withPanel(panel);
  }
  const built = builder.build();
  for (const [index, panel] of (built.panels ?? []).entries()) panel.id = index + 1;
  return built;
}

/** The text of mcp-ext-authz.json. */
export function renderDashboard(): string {
  return `${JSON.stringify(buildDashboard(), null, 2)}\n`;
}

if (import.meta.main) await writeFile(DASHBOARD_FILE, renderDashboard());
