import assert from 'node:assert/strict';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { denied, newFacts, type Verdict } from '../../../src/check/authorize.ts';
import { decisionRecord } from '../../../src/check/record.ts';
import { check } from '../../../src/check.ts';
import type { HttpFacts } from '../../../src/http.ts';
import { noFacts } from '../../../src/http.ts';
import { deny } from '../../../src/result.ts';
import { createDecisionLog, decisionLine } from '../../../src/telemetry/decision-log.ts';
import { DELEGATION_TOKEN, LEDGER_PATH, request, SUBJECT_TOKEN } from '../support/facts.ts';
import { DECISION_ID, fakePorts, type PortsSpec, refusing } from '../support/ports.ts';
import { createSink, type Sink } from '../support/sink.ts';

const labels = { id: 'i', version: '1' };

const decide = (http: HttpFacts = request(), spec: PortsSpec = {}): Promise<Verdict> =>
  check(http, fakePorts(spec), Number.POSITIVE_INFINITY);

function lineOf(verdict: Verdict, late = false) {
  const text = decisionLine(verdict, decisionRecord(verdict), 1.5, late, labels);
  assert.ok(!/[\r\n\u2028]/.test(text), 'a line is one line');
  return { text, line: JSON.parse(text) };
}

suite('a decision line', () => {
  test("has OPA's names where OPA has the field, and ours beside them", async () => {
    let ticks = 0;
    const verdict = await decide(request(), { clock: () => ticks++ });
    const { line } = lineOf(verdict);
    assert.deepEqual(line, {
      type: 'decision',
      timestamp: '2026-11-21T12:00:00.000Z',
      labels,
      ...JSON.parse(JSON.stringify({ ...decisionRecord(verdict), revision: undefined })),
      path: 'mcp/inbound/decision',
      bundles: { policy: { revision: 'r1' } },
      result: { allow: true, reason: 'allowed' },
      requested_by: '192.0.2.7',
      http: { method: 'POST', path: LEDGER_PATH, host: 'gateway.example' },
      metrics: {
        timer_server_handler_ns: 1_500_000,
        timer_read_ns: 1_000_000,
        timer_verify_ns: 1_000_000,
        timer_inbound_ns: 3_000_000,
        timer_outbound_ns: 1_000_000,
        timer_delegate_ns: 1_000_000,
      },
    });
  });

  test('of a refusal has no more than was reached', async () => {
    const { line } = lineOf(await decide(request({ lines: { authorization: null } })), true);
    assert.deepEqual(Object.keys(line.metrics), ['timer_server_handler_ns', 'timer_read_ns']);
    assert.deepEqual(line.result, { allow: false, reason: 'token_missing' });
    assert.equal(line.status, 401);
    assert.equal(line.late, true);
    for (const name of ['path', 'bundles', 'subject', 'error']) assert.ok(!(name in line), name);
  });

  test('can be written of a request of which nothing is known', () => {
    const verdict = denied({ reason: 'request_invalid' }, newFacts(noFacts(), DECISION_ID), fakePorts());
    assert.equal(lineOf(verdict).line.reason, 'request_invalid');
    const odd = { ...noFacts(), timeMs: 8.64e15, path: '\ud834', host: '\n' };
    lineOf(denied({ reason: 'request_invalid' }, newFacts(odd, DECISION_ID), fakePorts()));
  });

  test('says what was underneath, without what must not be said', async () => {
    const cause = new Error(`no key for ${SUBJECT_TOKEN}`, { cause: new Error('client_secret=hunter2') });
    const { line, text } = lineOf(await decide(request(), { verify: async () => deny({ reason: 'keys_unavailable', cause }) }));
    assert.equal(line.error, 'Error: no key for [redacted]; Error: [redacted]');
    assert.ok(!text.includes('hunter2'));
  });

  test('holds no secret, wherever one was put', async () => {
    const secrets = /eyJ|hunter2|c3ViamVjdC10b2tlbi|ZGVsZWdhdGlvbi10b2tlb/;
    const everywhere = request({
      requestId: SUBJECT_TOKEN,
      host: SUBJECT_TOKEN,
      context: { secret: 'hunter2' },
      lines: { cookie: 'session=hunter2', 'x-api-key': 'hunter2', 'proxy-authorization': 'Basic hunter2' },
      body: {
        jsonrpc: '2.0',
        id: SUBJECT_TOKEN,
        method: 'tools/call',
        params: { name: SUBJECT_TOKEN, arguments: { password: 'hunter2' } },
      },
    });
    const cases: readonly (readonly [HttpFacts, PortsSpec])[] = [
      [everywhere, {}],
      [{ ...everywhere, path: `/${SUBJECT_TOKEN}` }, {}],
      [{ ...everywhere, query: `access_token=${SUBJECT_TOKEN}` }, {}],
      [{ ...everywhere, method: SUBJECT_TOKEN }, {}],
      [everywhere, { verify: async () => deny({ reason: 'token_malformed', cause: `Bearer hunter2 ${SUBJECT_TOKEN}` }) }],
      [everywhere, { policy: refusing({ reason: 'policy_failed', cause: { token: SUBJECT_TOKEN } }) }],
      [
        everywhere,
        { delegate: { exchange: async () => deny({ reason: 'exchange_invalid', cause: DELEGATION_TOKEN }), mint: null } },
      ],
    ];
    for (const [http, spec] of cases) {
      const verdict = await decide(http, spec);
      const { text } = lineOf(verdict);
      assert.ok(!secrets.test(text), text);
    }
  });
});

async function logTo(sink: Sink, maxBufferedBytes = 10_000) {
  const counts = { written: 0, lost: 0 };
  const causes: unknown[] = [];
  const log = createDecisionLog({
    sink,
    maxBufferedBytes,
    labels,
    onLines: (outcome, count) => {
      counts[outcome] += count;
    },
    onBroken: (cause) => causes.push(cause),
  });
  const [allowed, refused] = await Promise.all([decide(), decide(request({ path: '/other' }))]);
  const write = (verdict: Verdict) => log.write(verdict, decisionRecord(verdict), 1, false);
  return { ...log, counts, causes, allow: () => write(allowed), refuse: () => write(refused) };
}

suite('the decision log', () => {
  test('has one line for each Check, in order, together', async () => {
    const sink = createSink();
    const { allow, refuse, flush, counts } = await logTo(sink);
    for (let round = 0; round < 50; round += 1) (round % 2 === 0 ? allow : refuse)();
    assert.deepEqual(sink.lines(), []);
    await flush();
    assert.deepEqual(
      sink.lines().map((line) => JSON.parse(line).decision),
      Array.from({ length: 50 }, (_, round) => (round % 2 === 0 ? 'allow' : 'deny')),
    );
    assert.deepEqual(counts, { written: 50, lost: 0 });
    assert.ok(sink.text().endsWith('\n'));
  });

  test('counts as lost what the sink did not take', async () => {
    const sink = createSink();
    const { allow, flush, counts, causes } = await logTo(sink);
    sink.failWith(new Error('no space left'));
    for (let round = 0; round < 3; round += 1) allow();
    await flush();
    assert.deepEqual(counts, { written: 0, lost: 3 });
    assert.equal(causes.length, 1);
    assert.throws(allow, /cannot be recorded/);
  });

  test('writes by itself, soon', async () => {
    const sink = createSink();
    const { allow } = await logTo(sink);
    const took = once(sink, 'took');
    allow();
    await took;
    assert.equal(sink.lines().length, 1);
  });

  test('has a line even for a verdict of which none can be made', async () => {
    const sink = createSink();
    const { write, flush, refuse } = await logTo(sink);
    const verdict = await decide();
    const broken = { ...verdict, facts: { ...verdict.facts, http: null } } as unknown as Verdict;
    write(broken, decisionRecord(verdict), 1, false);
    refuse();
    await flush();
    const [first, second] = sink.lines().map((line) => JSON.parse(line));
    assert.deepEqual([first.decision_id, first.decision, first.reason], [DECISION_ID, 'allow', 'allowed']);
    assert.match(first.error, /^TypeError/);
    assert.equal(second.reason, 'resource_unknown');
  });

  test('can be flushed with nothing to flush, and again', async () => {
    const sink = createSink();
    const { flush, refuse } = await logTo(sink);
    await flush();
    assert.equal(sink.text(), '');
    refuse();
    await Promise.all([flush(), flush()]);
    assert.equal(sink.lines().length, 1);
  });

  test('says that it is full when the sink does not keep up, and goes on when it does', async () => {
    const sink = createSink();
    const { allow, refuse, flush, isFull, counts } = await logTo(sink, 3000);
    sink.hold();
    const flushes: Promise<void>[] = [];
    for (let round = 0; round < 10 && !isFull(); round += 1) {
      allow();
      flushes.push(flush());
    }
    assert.ok(isFull());
    const written = flushes.length;
    refuse();
    assert.deepEqual(counts, { written: 0, lost: 1 });
    sink.release();
    await Promise.all(flushes);
    assert.ok(!isFull());
    assert.deepEqual(counts, { written, lost: 1 });
    assert.equal(sink.lines().length, written);
    refuse();
    await flush();
    assert.equal(sink.lines().length, written + 1);
  });

  test('still records the allow of a Check that was under way when it became full', async () => {
    const sink = createSink();
    const { allow, flush, isFull, counts } = await logTo(sink, 1);
    sink.hold();
    allow();
    const first = flush();
    assert.ok(isFull());
    allow();
    const second = flush();
    sink.release();
    await Promise.all([first, second]);
    assert.equal(sink.lines().length, 2);
    assert.equal(counts.lost, 0);
  });

  test('that broke says so once, is full for good, and lets no allow pass', async () => {
    const sink = createSink();
    const { allow, refuse, flush, isFull, causes, counts } = await logTo(sink);
    allow();
    sink.destroy(new Error('ENOSPC'));
    await new Promise((resolve) => sink.once('close', resolve));
    assert.ok(isFull());
    assert.throws(allow, /cannot be recorded/);
    refuse();
    await flush();
    assert.deepEqual(causes.map(String), ['Error: ENOSPC']);
    assert.equal(counts.written, 0);
    assert.equal(counts.lost, 3);
  });
});
