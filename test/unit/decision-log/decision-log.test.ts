import assert from 'node:assert/strict';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import type { Verdict } from '../../../src/check/authorize.ts';
import { decisionRecord } from '../../../src/check/record.ts';
import { check } from '../../../src/check.ts';
import { createDecisionLog } from '../../../src/decision-log/decision-log.ts';
import { createStreamSink } from '../../../src/decision-log/stream-sink.ts';
import type { HttpFacts } from '../../../src/http.ts';
import { request } from '../support/facts.ts';
import { DECISION_ID, fakePorts, type PortsSpec } from '../support/ports.ts';
import { createSink, type Sink } from '../support/sink.ts';

const labels = { id: 'i', version: '1' };

const decide = (http: HttpFacts = request(), spec: PortsSpec = {}): Promise<Verdict> =>
  check(http, fakePorts(spec), Number.POSITIVE_INFINITY);

async function logTo(sink: Sink, maxBufferedBytes = 10_000) {
  const counts = { written: 0, lost: 0, dropped: 0 };
  const causes: unknown[] = [];
  const log = createDecisionLog({
    sinks: [createStreamSink({ sink, maxBufferedBytes, onBroken: (cause) => causes.push(cause) })],
    maxBufferedBytes,
    labels,
    onLines: (outcome, count) => {
      counts[outcome] += count;
    },
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
    assert.deepEqual(counts, { written: 50, lost: 0, dropped: 0 });
    assert.ok(sink.text().endsWith('\n'));
  });

  test('counts as lost what the sink did not take', async () => {
    const sink = createSink();
    const { allow, flush, counts, causes } = await logTo(sink);
    sink.failWith(new Error('no space left'));
    for (let round = 0; round < 3; round += 1) allow();
    await flush();
    assert.deepEqual(counts, { written: 0, lost: 3, dropped: 0 });
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
    assert.deepEqual(counts, { written: 0, lost: 1, dropped: 0 });
    sink.release();
    await Promise.all(flushes);
    assert.ok(!isFull());
    assert.deepEqual(counts, { written, lost: 1, dropped: 0 });
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
