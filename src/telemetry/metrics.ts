/** Every metric, declared once. docs/metrics.md is generated from here. Labels are bounded by the configuration. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Stage, Verdict } from '../check/authorize.ts';
import type { DecisionRecord } from '../check/record.ts';
import { METHODS } from '../mcp/methods.ts';
import { createShadowMetrics } from './shadow-metrics.ts';

/** From tens of microseconds, where a warm decision lies, to Envoy's usual timeout. */
const SECONDS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** HTTP methods stand where no JSON-RPC method was read. */
const HTTP_METHODS = new Set(['GET', 'POST', 'DELETE', 'OPTIONS', 'HEAD', 'response']);

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics(version: string) {
  const register = new Registry();
  collectDefaultMetrics({ register });
  // Gauges with a counter's name: promtool and some scrapers object.
  for (const what of ['handles', 'requests', 'resources']) register.removeSingleMetric(`nodejs_active_${what}_total`);
  const registers = [register];
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name: `mcp_ext_authz_${name}`, help, labelNames, registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge({ name: `mcp_ext_authz_${name}`, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Histogram({ name: `mcp_ext_authz_${name}`, help, labelNames, buckets: SECONDS, registers });

  const metrics = {
    register,
    decisions: counter(
      'decisions_total',
      'Checks answered. decision: allow, deny (no) or error (broken, so no); reason: docs/denials.md; tool: from the catalog, else other.',
      ['decision', 'reason', 'method', 'tool', 'backend'],
    ),
    checkDuration: histogram('check_duration_seconds', 'Time from a Check received to its answer.', ['decision']),
    stageDuration: histogram(
      'stage_duration_seconds',
      'Time of each stage of a Check: read, verify, inbound, outbound, delegate.',
      ['stage'],
    ),
    inFlight: gauge('in_flight_checks', 'Checks under way.'),
    lateAnswers: counter(
      'late_answers_total',
      'Checks answered after Envoy had stopped waiting; Envoy refused them by itself.',
      [],
    ),
    delegations: counter(
      'delegations_total',
      'Delegation tokens asked for. mode: exchange or mint; outcome: ok, refused, invalid, timeout or unavailable.',
      ['mode', 'backend', 'outcome'],
    ),
    exchangeDuration: histogram('exchange_duration_seconds', 'Time of a token exchange at the authorization server.', [
      'outcome',
    ]),
    jwksFetches: counter('jwks_fetches_total', "Fetches of an issuer's keys. outcome: ok or failed.", ['issuer', 'outcome']),
    jwksKeys: gauge('jwks_keys', 'Usable signing keys held of an issuer.', ['issuer']),
    jwksFetchedAt: gauge('jwks_fetched_timestamp_seconds', 'When the keys held of an issuer were fetched.', ['issuer']),
    bundleLoads: counter(
      'bundle_loads_total',
      'Policy bundles read. bundle: policy, or shadow (the candidate); outcome: activated or refused.',
      ['bundle', 'outcome'],
    ),
    bundleRefusals: counter('bundle_refusals_total', 'Bundles that were not had or not put in force. reason: docs/bundles.md.', [
      'bundle',
      'reason',
    ]),
    bundleDownloads: counter(
      'bundle_downloads_total',
      'Looks at the source of a bundle, file or server. outcome: changed, unchanged or failed.',
      ['bundle', 'outcome'],
    ),
    bundleFailing: gauge(
      'bundle_failing',
      "Whether the source's latest bundle is not in force, because it could not be had or was refused: 1 or 0.",
      ['bundle'],
    ),
    bundleInfo: gauge('bundle_info', 'Always 1: the revision of the policy in force.', ['revision']),
    bundleActivatedAt: gauge('bundle_activated_timestamp_seconds', 'When the policy in force was activated.'),
    cacheLookups: counter('cache_lookups_total', 'Look-ups in a cache. cache: tokens (verified tokens); result: hit or miss.', [
      'cache',
      'result',
    ]),
    cacheEntries: gauge('cache_entries', 'Entries held in a cache.', ['cache']),
    configReloads: counter('config_reloads_total', 'Reloads of the configuration. outcome: applied or refused.', ['outcome']),
    listItems: counter(
      'list_items_total',
      'Items of lists that backends answered with. list: tools, prompts, resources or resourceTemplates; outcome: shown or hidden from the caller.',
      ['backend', 'list', 'outcome'],
    ),
    processing: gauge('in_flight_processing', 'Exchanges under way in ext_proc.'),
    processingFailures: counter(
      'processing_failures_total',
      'Exchanges that ext_proc gave up; Envoy answered 500 or cut them off.',
      [],
    ),
    frontDoorFailures: counter(
      'front_door_failures_total',
      'Times a backend was left out at the front door: out of reach, or answering nonsense.',
      ['backend'],
    ),
    catalogRefreshes: counter(
      'catalog_refreshes_total',
      'Times a backend was asked for its lists. outcome: ok, refused (policy, delegation or backend said no), invalid or unreachable.',
      ['backend', 'outcome'],
    ),
    catalogItems: gauge('catalog_items', 'Items a backend listed last. list: tools, prompts, resources or resource_templates.', [
      'backend',
      'list',
    ]),
    backendUp: gauge('backend_up', 'Whether a backend answered the sidecar itself when it was last asked: 1 or 0.', ['backend']),
    logOnly: counter(
      'log_only_total',
      'What rules would have refused that are only watched (log_only). rule: as policy names it, 100 at most, else other; reason and tool as in decisions_total.',
      ['rule', 'reason', 'tool', 'backend'],
    ),
    /** Rules that have been a label's value. */
    ruleLabels: new Set<string>(),
    /** Tools known by the catalog alone that have been a label's value, by backend. */
    catalogLabels: new Map<string, Set<string>>(),
    logLines: counter(
      'decision_log_lines_total',
      'Decision-log lines. outcome: written (by one sink at least), lost (by all), or dropped (policy wants none).',
      ['outcome'],
    ),
    logDropped: counter(
      'decision_log_dropped_total',
      'Lines that one sink did not record. sink: file, upload or otlp; reason: full, broken, refused (by the service), damaged (on disk) or stopped.',
      ['sink', 'reason'],
    ),
    logUploads: counter(
      'decision_log_uploads_total',
      'Requests with lines to a service. sink: upload or otlp; outcome: ok, failed (sent again) or refused (lines are lost).',
      ['sink', 'outcome'],
    ),
    logBuffered: gauge('decision_log_buffered_bytes', 'What waits to be written or sent.', ['sink']),
    logMaskFailures: counter(
      'decision_log_mask_failures_total',
      'Events that policy should have masked or dropped and failed to. rule: mask (the event is written without all that could be masked) or drop (it is written).',
      ['rule'],
    ),
    ...createShadowMetrics(registers),
    statusUploads: counter('status_uploads_total', 'Uploads of the status. outcome: ok or failed.', ['outcome']),
    buildInfo: gauge('build_info', 'Always 1: what is running.', ['version', 'node']),
  };
  metrics.buildInfo.set({ version, node: process.version }, 1);
  // A counter that is born at 1 is invisible to increase().
  for (const decision of ['allow', 'deny', 'error']) metrics.checkDuration.zero({ decision });
  for (const outcome of ['applied', 'refused']) metrics.configReloads.inc({ outcome }, 0);
  for (const rule of ['mask', 'drop']) metrics.logMaskFailures.inc({ rule }, 0);
  for (const outcome of ['written', 'lost', 'dropped']) metrics.logLines.inc({ outcome }, 0);
  for (const result of ['hit', 'miss']) metrics.cacheLookups.inc({ cache: 'tokens', result }, 0);
  return metrics;
}

/** What `recordVerdict` counts, kept until somebody looks or a while has passed: in a row it costs a third. */
export interface VerdictCounts {
  readonly add: (...observed: Observed) => void;
  /** Counts what was added so far. */
  readonly flush: () => void;
}

type Observed = [verdict: Verdict, record: DecisionRecord, elapsedMs: number, late: boolean];

const FLUSH_MS = 20;

export function createVerdictCounts(metrics: Metrics): VerdictCounts {
  let waiting: Observed[] = [];

  function flush(): void {
    const observed = waiting;
    waiting = [];
    for (const one of observed) recordVerdict(metrics, ...one);
  }

  function add(...observed: Observed): void {
    if (waiting.length === 0) setTimeout(flush, FLUSH_MS);
    waiting.push(observed);
  }

  return { add, flush };
}

/** Counts one verdict; called once for each Check. */
export function recordVerdict(
  metrics: Metrics,
  { outcome, reason, facts }: Verdict,
  record: DecisionRecord,
  elapsedMs: number,
  late: boolean,
): void {
  const { method, tool, backend = 'none' } = record;
  metrics.decisions.inc({
    decision: outcome,
    reason,
    method: METHODS.has(method) || HTTP_METHODS.has(method) ? method : 'other',
    tool: toolLabel(metrics, facts, tool),
    backend,
  });
  metrics.checkDuration.observe({ decision: outcome }, elapsedMs / 1000);
  for (const stage of STAGES) {
    const ms = facts.stages[stage];
    if (ms !== undefined) metrics.stageDuration.observe({ stage }, ms / 1000);
  }
  if (late) metrics.lateAnswers.inc();
  for (const { rule, reason: would } of facts.asked?.inbound.logOnly ?? [])
    metrics.logOnly.inc({ rule: ruleLabel(metrics, rule), reason: would, tool: toolLabel(metrics, facts, tool), backend });
}

const MAX_RULE_LABELS = 100;

/** A policy may name its rules by what callers send; a label's values must have an end. */
function ruleLabel({ ruleLabels }: Metrics, rule: string): string {
  if (ruleLabels.size < MAX_RULE_LABELS) ruleLabels.add(rule);
  return ruleLabels.has(rule) ? rule : 'other';
}

/** What a backend calls its tools may change without end; a label's values may not. */
const MAX_CATALOG_LABELS = 1000;

/** A tool's name where it is among so many that are known, else `other`. */
export function toolLabel(
  metrics: Pick<Metrics, 'catalogLabels'>,
  { resource, tool: known }: Pick<Verdict['facts'], 'resource' | 'tool'>,
  tool: string | undefined,
): string {
  if (tool === undefined) return 'none';
  if (resource === null || !known?.known) return 'other';
  if (resource.tools.has(tool)) return tool;
  const labels = metrics.catalogLabels.get(resource.name) ?? new Set();
  metrics.catalogLabels.set(resource.name, labels);
  if (labels.size < MAX_CATALOG_LABELS) labels.add(tool);
  return labels.has(tool) ? tool : 'other';
}

const STAGES: readonly Stage[] = ['read', 'verify', 'inbound', 'outbound', 'delegate'];
