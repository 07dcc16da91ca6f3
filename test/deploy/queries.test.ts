/**
 * Every query of the dashboard and of the rules returns data from a real Prometheus. The metrics here are the sidecar's
 * own, moved as src/ moves them on a day when everything happens: calls, refusals, outages, a reload, a rotation.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serveHttp } from '../../src/http-server.ts';
import { createMetrics, type Metrics, recordVerdict } from '../../src/telemetry/metrics.ts';
import { missing } from './support/prometheus.ts';
import { assertQueriesReturnData } from './support/returns-data.ts';

const skip = missing('prometheus');
const ISSUER = 'https://idp.example';

test('every query returns data', { skip, timeout: 300_000 }, async (t) => {
  const metrics = createMetrics('test');
  const { url, close } = await serveMetrics(metrics);
  t.after(close);
  await assertQueriesReturnData(url, { drive: () => aBadDay(metrics) });
});

test('a query without data is named, and so is a target that cannot be scraped', { skip, timeout: 300_000 }, async (t) => {
  const { url, close } = await serveMetrics(createMetrics('test'));
  t.after(close);
  const idle = assert.rejects(assertQueriesReturnData(url, { withinMs: 1000 }), ({ message }: Error) => {
    assert.match(message, /panel "Decisions": /);
    assert.match(message, /panel "Check p99": /);
    assert.match(message, /alert McpExtAuthzKeysMissing: mcp_ext_authz_jwks_keys/);
    assert.doesNotMatch(message, /panel "Resident memory"/);
    return true;
  });
  const gone = assert.rejects(assertQueriesReturnData(`${url}/gone`, { withinMs: 0 }), /the scrape says: .*404/);
  await Promise.all([idle, gone]);
});

async function serveMetrics({ register }: Metrics): Promise<{ url: string; close: () => Promise<void> }> {
  const { url, close } = await serveHttp('127.0.0.1:0', async (path) =>
    path === '/metrics' ? { type: register.contentType, body: await register.metrics() } : null,
  );
  return { url: `${url}/metrics`, close };
}

function aBadDay(metrics: Metrics): void {
  judge(metrics, 'allow', 'allowed', 'post_entry');
  judge(metrics, 'allow', 'allowed');
  judge(metrics, 'deny', 'tool_forbidden', 'not_in_the_catalog');
  judge(metrics, 'deny', 'token_missing');
  judge(metrics, 'error', 'exchange_timeout', 'post_entry', true);
  judge(metrics, 'error', 'list_invalid');
  for (const outcome of ['ok', 'refused', 'invalid', 'timeout', 'unavailable']) {
    metrics.delegations.inc({ mode: 'exchange', backend: 'enterprise-ledger', outcome });
    metrics.exchangeDuration.observe({ outcome }, 0.02);
  }
  metrics.delegations.inc({ mode: 'mint', backend: 'employee-directory', outcome: 'ok' });
  for (const result of ['hit', 'miss']) metrics.cacheLookups.inc({ cache: 'tokens', result });
  metrics.cacheEntries.set({ cache: 'tokens' }, 2);
  for (const outcome of ['ok', 'failed']) metrics.jwksFetches.inc({ issuer: ISSUER, outcome });
  metrics.jwksKeys.set({ issuer: ISSUER }, 0);
  metrics.jwksFetchedAt.set({ issuer: ISSUER }, Date.now() / 1000 - 20 * 3600);
  for (const outcome of ['activated', 'refused']) metrics.bundleLoads.inc({ bundle: 'policy', outcome });
  metrics.bundleFailing.set({ bundle: 'policy' }, 1);
  for (const outcome of ['changed', 'unchanged', 'failed']) metrics.bundleDownloads.inc({ bundle: 'policy', outcome });
  metrics.bundleRefusals.inc({ bundle: 'policy', reason: 'revision_older' });
  metrics.bundleInfo.set({ revision: '2026-11-21-1' }, 1);
  metrics.bundleActivatedAt.set(Date.now() / 1000 - 40 * 86_400);
  for (const outcome of ['ok', 'invalid']) metrics.catalogRefreshes.inc({ backend: 'enterprise-ledger', outcome });
  metrics.catalogItems.set({ backend: 'enterprise-ledger', list: 'tools' }, 8);
  metrics.backendUp.set({ backend: 'enterprise-ledger' }, 0);
  for (const outcome of ['shown', 'hidden']) metrics.listItems.inc({ backend: 'enterprise-ledger', list: 'tools', outcome }, 4);
  metrics.processing.set(1);
  metrics.processingFailures.inc();
  metrics.frontDoorFailures.inc({ backend: 'enterprise-ledger' });
  for (const outcome of ['applied', 'refused']) metrics.configReloads.inc({ outcome });
  for (const sink of ['upload', 'otlp']) {
    for (const outcome of ['ok', 'failed', 'refused']) metrics.logUploads.inc({ sink, outcome });
    metrics.logBuffered.set({ sink }, 1e6);
    metrics.logDropped.inc({ sink, reason: 'full' });
  }
  metrics.logMaskFailures.inc({ rule: 'mask' });
  for (const outcome of ['written', 'lost'] as const) metrics.logLines.inc({ outcome }, 5);
  for (const outcome of ['same', 'flip', 'error', 'skipped']) metrics.shadowEvaluations.inc({ outcome });
  metrics.shadowFlips.inc({ tool: 'post_entry', backend: 'enterprise-ledger', direction: 'allow_to_deny' });
  metrics.logOnly.inc({ rule: 'limit', reason: 'limit_exceeded', tool: 'post_entry', backend: 'enterprise-ledger' });
  metrics.shadowInfo.set({ revision: '2026-11-22-1' }, 1);
  for (const outcome of ['ok', 'failed']) metrics.statusUploads.inc({ outcome });
  metrics.inFlight.set(1);
}

type Verdict = Parameters<typeof recordVerdict>[1];
type Record = Parameters<typeof recordVerdict>[2];

/** Counts one Check as the server does. */
function judge(metrics: Metrics, decision: string, reason: string, tool?: string, late = false): void {
  const stages = { read: 0.05, verify: 0.1, inbound: 0.02, outbound: 0.02, delegate: 20 };
  const resource = { tools: new Map([['post_entry', {}]]) };
  const verdict = { outcome: decision, reason, facts: { resource, stages } };
  const record = {
    decision,
    reason,
    method: tool === undefined ? 'tools/list' : 'tools/call',
    tool,
    backend: 'enterprise-ledger',
  };
  recordVerdict(metrics, verdict as unknown as Verdict, record as unknown as Record, 21, late);
}
