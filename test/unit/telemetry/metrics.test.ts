import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { BackendView } from '../../../src/catalog/view.ts';
import { denied, newFacts } from '../../../src/check/authorize.ts';
import { decisionRecord } from '../../../src/check/record.ts';
import { check } from '../../../src/check.ts';
import type { HttpFacts } from '../../../src/http.ts';
import { ok } from '../../../src/result.ts';
import { createMetrics, createVerdictCounts, type Metrics, recordVerdict } from '../../../src/telemetry/metrics.ts';
import { bare, callOf, request } from '../support/facts.ts';
import { fakePolicy, fakePorts, type PortsSpec, refusing } from '../support/ports.ts';

async function count(metrics: Metrics, http: HttpFacts, spec: PortsSpec = {}, late = false): Promise<void> {
  const verdict = await check(http, fakePorts(spec), Number.POSITIVE_INFINITY);
  recordVerdict(metrics, verdict, decisionRecord(verdict), 1.5, late);
}

async function series(metrics: Metrics): Promise<number> {
  return (await metrics.register.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
}

async function labelsOf(metrics: Metrics) {
  return (await metrics.decisions.get()).values.filter(({ value }) => value > 0).map(({ labels }) => labels);
}

suite('the metrics', () => {
  test('count a decision under what it was about', async () => {
    const metrics = createMetrics('1.2.3');
    await count(metrics, request());
    await count(metrics, request(), { policy: refusing({ reason: 'tool_forbidden' }) });
    await count(metrics, request({ path: '/other' }));
    await count(metrics, bare('GET'));
    assert.deepEqual(await labelsOf(metrics), [
      { decision: 'allow', reason: 'allowed', method: 'tools/call', tool: 'getBalance', backend: 'ledger' },
      { decision: 'deny', reason: 'tool_forbidden', method: 'tools/call', tool: 'getBalance', backend: 'ledger' },
      { decision: 'deny', reason: 'resource_unknown', method: 'POST', tool: 'none', backend: 'none' },
      { decision: 'allow', reason: 'allowed', method: 'GET', tool: 'none', backend: 'ledger' },
    ]);
  });

  test('name tools that only the catalog knows, up to a number that no backend can move', async () => {
    const metrics = createMetrics('1.2.3');
    const tool = { title: null, description: null, annotations: {}, inputSchema: {}, fingerprint: '' };
    for (let at = 0; at < 1005; at++) {
      const name = `tool-${at}`;
      const view = { tools: new Map([[name, { ...tool, name }]]) } as unknown as BackendView;
      await count(metrics, request({ body: callOf(name) }), { views: () => view });
    }
    const tools = (await labelsOf(metrics)).map((labels) => labels.tool);
    assert.equal(tools.length, 1001);
    assert.ok(tools.includes('tool-999') && tools.includes('other') && !tools.includes('tool-1000'));
  });

  test('count what rules would have refused that are only watched, up to a number of rules', async () => {
    const metrics = createMetrics('1.2.3');
    const watched = (rule: string) => fakePolicy(ok({ logOnly: [{ rule, reason: 'limit_exceeded' }] }));
    for (let at = 0; at < 105; at++) await count(metrics, request(), { policy: watched(`rule-${at}`) });
    await count(metrics, request(), { policy: watched('rule-7') });
    const { values } = await metrics.logOnly.get();
    const of = (rule: string) => values.filter(({ labels }) => labels.rule === rule);
    assert.deepEqual(of('rule-7'), [
      { labels: { rule: 'rule-7', reason: 'limit_exceeded', tool: 'getBalance', backend: 'ledger' }, value: 2 },
    ]);
    assert.deepEqual([values.length, of('rule-100').length, of('other')[0]?.value], [101, 0, 5]);
  });

  test('measure the whole and every stage', async () => {
    const metrics = createMetrics('1.2.3');
    await count(metrics, request());
    const text = await metrics.register.metrics();
    assert.match(text, /mcp_ext_authz_check_duration_seconds_count\{decision="allow"\} 1/);
    for (const stage of ['read', 'verify', 'inbound', 'outbound', 'delegate']) {
      assert.ok(text.includes(`mcp_ext_authz_stage_duration_seconds_count{stage="${stage}"} 1`), stage);
    }
    assert.match(text, /mcp_ext_authz_check_duration_seconds_bucket\{le="0.0025",decision="allow"\} 1/);
    assert.match(text, /mcp_ext_authz_build_info\{version="1.2.3",node="v[\d.]+"\} 1/);
  });

  test('count what came too late', async () => {
    const metrics = createMetrics('1');
    await count(metrics, request(), {}, true);
    await count(metrics, request(), {}, false);
    assert.match(await metrics.register.metrics(), /mcp_ext_authz_late_answers_total 1/);
  });

  test('stay bounded, whatever callers make up', async () => {
    const metrics = createMetrics('1');
    await count(metrics, request());
    await count(metrics, request({ path: '/other' }));
    const before = await series(metrics);
    const ports = fakePorts();
    for (let index = 0; index < 10_000; index += 1) {
      const name = `made-up-${index}`;
      const spec = [
        request({ body: callOf(name) }),
        request({ body: { jsonrpc: '2.0', id: 1, method: name } }),
        bare(`M${index}`),
        bare('GET', { path: `/${name}`, host: name }),
      ][index % 4] as HttpFacts;
      const verdict = await check(spec, ports, Number.POSITIVE_INFINITY);
      recordVerdict(metrics, verdict, decisionRecord(verdict), 1, false);
    }
    const more = (await series(metrics)) - before;
    // One for an unknown tool, one for an unknown method, two for unknown HTTP methods; the rest are buckets of `deny`.
    assert.ok((await labelsOf(metrics)).length <= 2 + 4, JSON.stringify(await labelsOf(metrics)));
    assert.ok(more < 5 + 18, `${more} more series`);
  });

  test('may be counted together, by the time somebody looks', async () => {
    const metrics = createMetrics('1');
    const counts = createVerdictCounts(metrics);
    const verdict = await check(request(), fakePorts(), Number.POSITIVE_INFINITY);
    for (let round = 0; round < 3; round += 1) counts.add(verdict, decisionRecord(verdict), 1, round === 2);
    counts.flush();
    counts.flush();
    const text = await metrics.register.metrics();
    assert.match(text, /decisions_total\{decision="allow"[^}]*\} 3/);
    assert.match(text, /late_answers_total 1/);
  });

  test('take no name of JavaScript for one of the catalog', async () => {
    const metrics = createMetrics('1');
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
      await count(metrics, request({ body: callOf(name) }));
      const verdict = denied({ reason: 'message_invalid', read: { method: name } }, newFacts(request(), 'd'), fakePorts());
      recordVerdict(metrics, verdict, decisionRecord(verdict), 1, false);
    }
    const seen = (await labelsOf(metrics)).map(({ tool, method }) => [tool, method]);
    assert.deepEqual(seen, [
      ['other', 'tools/call'],
      ['none', 'other'],
    ]);
  });

  test('have names, helps and units as Prometheus wants them', async () => {
    const { register } = createMetrics('1');
    for (const { name, help } of await register.getMetricsAsJSON()) {
      assert.ok(help.length > 5, name);
      if (!name.startsWith('mcp_ext_authz_')) continue;
      assert.match(name, /^mcp_ext_authz_[a-z]+(_[a-z]+)*$/);
    }
  });
});
