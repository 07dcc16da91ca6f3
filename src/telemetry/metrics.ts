/** Every metric, declared once. docs/metrics.md is generated from here. Labels are bounded by the configuration. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Stage, Verdict } from '../authorize.ts';
import { METHODS } from '../mcp/methods.ts';
import type { DecisionRecord } from '../record.ts';

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
    bundleLoads: counter('bundle_loads_total', 'Policy bundles read. outcome: activated or refused.', ['outcome']),
    bundleInfo: gauge('bundle_info', 'Always 1: the revision of the policy in force.', ['revision']),
    bundleActivatedAt: gauge('bundle_activated_timestamp_seconds', 'When the policy in force was activated.'),
    cacheLookups: counter('cache_lookups_total', 'Look-ups in a cache. cache: tokens (verified tokens); result: hit or miss.', [
      'cache',
      'result',
    ]),
    cacheEntries: gauge('cache_entries', 'Entries held in a cache.', ['cache']),
    configReloads: counter('config_reloads_total', 'Reloads of the configuration. outcome: applied or refused.', ['outcome']),
    logLines: counter('decision_log_lines_total', 'Decision-log lines. outcome: written or lost.', ['outcome']),
    buildInfo: gauge('build_info', 'Always 1: what is running.', ['version', 'node']),
  };
  metrics.buildInfo.set({ version, node: process.version }, 1);
  // A counter that is born at 1 is invisible to increase().
  for (const decision of ['allow', 'deny', 'error']) metrics.checkDuration.zero({ decision });
  for (const outcome of ['activated', 'refused']) metrics.bundleLoads.inc({ outcome }, 0);
  for (const outcome of ['applied', 'refused']) metrics.configReloads.inc({ outcome }, 0);
  for (const outcome of ['written', 'lost']) metrics.logLines.inc({ outcome }, 0);
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
    tool: tool === undefined ? 'none' : facts.resource?.tools.has(tool) ? tool : 'other',
    backend,
  });
  metrics.checkDuration.observe({ decision: outcome }, elapsedMs / 1000);
  for (const stage of STAGES) {
    const ms = facts.stages[stage];
    if (ms !== undefined) metrics.stageDuration.observe({ stage }, ms / 1000);
  }
  if (late) metrics.lateAnswers.inc();
}

const STAGES: readonly Stage[] = ['read', 'verify', 'inbound', 'outbound', 'delegate'];
