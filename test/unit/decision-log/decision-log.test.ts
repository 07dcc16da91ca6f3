import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import type { Verdict } from '../../../src/check/authorize.ts';
import { decisionRecord } from '../../../src/check/record.ts';
import { check } from '../../../src/check.ts';
import { createChain, hashOf } from '../../../src/decision-log/chain.ts';
import { createDecisionLog, type DecisionLogOptions } from '../../../src/decision-log/decision-log.ts';
import type { Mask } from '../../../src/decision-log/masking.ts';
import type { LogSink } from '../../../src/decision-log/sink.ts';
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

/** A sink that records, or not, as it is told. */
function fakeSink(name: LogSink['name']) {
  const state = { room: true, broken: false };
  const taken: string[] = [];
  const forced: boolean[] = [];
  const sink: LogSink = {
    name,
    hasRoom: () => state.room && !state.broken,
    isBroken: () => state.broken,
    buffered: () => 0,
    take: async (lines, must) => {
      forced.push(must);
      if (state.broken || !(state.room || must)) return false;
      taken.push(...lines);
      return true;
    },
    close: async () => {},
  };
  return { state, taken, forced, sink };
}

const maskBy = (apply: Mask['apply']): Mask => ({ apply, giveUp: (line) => line });

async function logInto(sinks: readonly LogSink[], options: Partial<DecisionLogOptions> = {}) {
  const counts = { written: 0, lost: 0, dropped: 0 };
  const onLines = (outcome: keyof typeof counts, count: number): void => {
    counts[outcome] += count;
  };
  const log = createDecisionLog({ sinks, maxBufferedBytes: 10_000, labels, onLines, ...options });
  const [allowed, refused] = await Promise.all([decide(), decide(request({ path: '/other' }))]);
  const write = (verdict: Verdict) => log.write(verdict, decisionRecord(verdict), 1, false);
  return { ...log, counts, allow: () => write(allowed), refuse: () => write(refused) };
}

suite('several sinks', () => {
  test('each have every line; it is written when one has it', async () => {
    const [file, upload] = [fakeSink('file'), fakeSink('upload')];
    const { allow, flush, counts } = await logInto([file.sink, upload.sink]);
    allow();
    await flush();
    upload.state.room = false;
    allow();
    await flush();
    assert.deepEqual([file.taken.length, upload.taken.length], [2, 1]);
    assert.deepEqual(counts, { written: 2, lost: 0, dropped: 0 });
  });

  test('by default the file alone decides whether Checks are refused', async () => {
    const [file, upload] = [fakeSink('file'), fakeSink('upload')];
    const { isFull, allow, flush, counts } = await logInto([file.sink, upload.sink]);
    upload.state.room = false;
    assert.ok(!isFull());
    file.state.room = false;
    upload.state.room = true;
    assert.ok(isFull());
    file.state.broken = true;
    assert.throws(allow, /cannot be recorded/);
    await flush();
    assert.deepEqual(counts, { written: 0, lost: 1, dropped: 0 });
  });

  test('without a file nobody is refused, and what no sink takes is lost', async () => {
    const upload = fakeSink('upload');
    const { isFull, allow, flush, counts } = await logInto([upload.sink]);
    upload.state.room = false;
    assert.ok(!isFull());
    allow();
    await flush();
    assert.deepEqual(counts, { written: 0, lost: 1, dropped: 0 });
    assert.deepEqual(upload.forced, [false]);
  });

  test('with requireRecord Checks are refused when none of them can record, and no sooner', async () => {
    const [file, upload] = [fakeSink('file'), fakeSink('upload')];
    const { isFull, allow, refuse, flush, counts } = await logInto([file.sink, upload.sink], { requireRecord: true });
    file.state.broken = true;
    assert.ok(!isFull());
    allow();
    await flush();
    assert.deepEqual(counts, { written: 1, lost: 0, dropped: 0 });
    upload.state.room = false;
    assert.ok(isFull());
    refuse();
    assert.equal(counts.lost, 1);
    // A Check that was under way: its line goes beyond the bound rather than nowhere.
    allow();
    await flush();
    assert.deepEqual(upload.forced, [false, true]);
    assert.deepEqual([upload.taken.length, counts.written], [2, 2]);
  });
});

suite('on the way to the sinks', () => {
  test('lines are masked, dropped, and put in a chain, in order', async () => {
    const file = fakeSink('file');
    const { privateKey } = generateKeyPairSync('ed25519');
    const chainOptions = {
      id: 'c',
      key: privateKey,
      kid: 'k',
      checkpointEvery: 1000,
      checkpointMs: 60_000,
      labels,
      continues: null,
    };
    let round = 0;
    const { allow, end, counts } = await logInto([file.sink], {
      chain: { links: createChain({ ...chainOptions, now: () => 0 }), checkpointMs: 60_000 },
      mask: maskBy(async (line) => {
        const mine = round++;
        // The first takes longest.
        for (let turn = 0; turn < 10 - mine; turn += 1) await null;
        return mine === 1 ? null : line.replace('"decision_id":"', `"round":${mine},"decision_id":"`);
      }),
    });
    for (let count = 0; count < 4; count += 1) allow();
    await end(20_000);
    const events = file.taken.map((line) => JSON.parse(line));
    assert.deepEqual(
      events.map((event) => [event.type, event.round]),
      [
        ['chain', undefined],
        ['checkpoint', undefined],
        ['decision', 0],
        ['decision', 2],
        ['decision', 3],
        ['checkpoint', undefined],
      ],
    );
    assert.equal(events.at(-1).end, true);
    assert.deepEqual(
      events.slice(1).map((event) => event.chain.prev),
      file.taken.slice(0, -1).map((line) => hashOf(line)),
    );
    assert.deepEqual(counts, { written: 6, lost: 0, dropped: 1 });
  });

  test('the log is full while policy takes too long for too many', async () => {
    const file = fakeSink('file');
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const mask = async (line: string) => {
      await gate;
      return line;
    };
    const { allow, flush, isFull, counts } = await logInto([file.sink], { mask: maskBy(mask), maxBufferedBytes: 3000 });
    const flushes: Promise<void>[] = [];
    for (let count = 0; count < 10 && !isFull(); count += 1) {
      allow();
      flushes.push(flush());
    }
    assert.ok(isFull());
    release();
    await Promise.all(flushes);
    assert.ok(!isFull());
    assert.deepEqual(counts, { written: flushes.length, lost: 0, dropped: 0 });
  });

  test('what fails there is lost and told, and the next lines go on', async () => {
    const file = fakeSink('file');
    const failures: unknown[] = [];
    let isFailing = true;
    const mask = async (line: string) => {
      if (isFailing) throw new Error('a bug');
      return line;
    };
    const { allow, flush, counts } = await logInto([file.sink], {
      mask: maskBy(mask),
      onFailure: (cause) => failures.push(cause),
    });
    allow();
    await flush();
    isFailing = false;
    allow();
    await flush();
    assert.deepEqual(counts, { written: 1, lost: 1, dropped: 0 });
    assert.deepEqual(failures.map(String), ['Error: a bug']);
  });

  test('at the end a mask is not waited for, and what waits is written without it', async () => {
    const file = fakeSink('file');
    const { privateKey } = generateKeyPairSync('ed25519');
    const settings = { id: 'c', key: privateKey, kid: 'k', checkpointEvery: 1000, checkpointMs: 60_000, labels, continues: null };
    let asked = 0;
    const failures: unknown[] = [];
    const { allow, flush, end, counts } = await logInto([file.sink], {
      chain: { links: createChain({ ...settings, now: () => 0 }), checkpointMs: 60_000 },
      mask: {
        apply: (line) => (asked++ < 3 ? line : new Promise(() => {})),
        giveUp: (line) => JSON.stringify({ ...JSON.parse(line), input: 'gone' }),
      },
      onFailure: (cause) => failures.push(cause),
    });
    for (let count = 0; count < 50; count += 1) allow();
    void flush();
    for (let count = 0; count < 50; count += 1) allow();
    await end(2000);
    const events = file.taken.map((line) => JSON.parse(line));
    const decisions = events.filter(({ type }) => type === 'decision');
    assert.equal(decisions.length, 100);
    assert.deepEqual(
      decisions.map(({ input }) => input === 'gone'),
      Array.from({ length: 100 }, (_, at) => at >= 3),
    );
    assert.equal(events.at(-1).end, true);
    assert.deepEqual(counts, { written: events.length, lost: 0, dropped: 0 });
    assert.ok(asked < 50, `${asked} asked`);
    assert.deepEqual(failures, []);
  });

  test('what no sink has taken at the end is lost, and that is told', async () => {
    const file = fakeSink('file');
    const failures: unknown[] = [];
    const taking = Promise.withResolvers<boolean>();
    const sink = { ...file.sink, take: () => taking.promise };
    const { allow, refuse, flush, end, counts } = await logInto([sink], { onFailure: (cause) => failures.push(cause) });
    allow();
    void flush();
    refuse();
    await end(20);
    assert.deepEqual(counts, { written: 0, lost: 2, dropped: 0 });
    assert.deepEqual(failures, ['2 lines could not be written before the end']);
    taking.resolve(true);
    await flush();
    assert.deepEqual(counts, { written: 0, lost: 2, dropped: 0 });
  });
});
