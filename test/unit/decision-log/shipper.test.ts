import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { openDiskBuffer } from '../../../src/decision-log/disk-buffer.ts';
import { createMemoryBuffer, type LineBuffer } from '../../../src/decision-log/line-buffer.ts';
import { createRecordWrap, judgeRecords } from '../../../src/decision-log/otlp.ts';
import { createShipper, type ShipperOptions } from '../../../src/decision-log/shipper.ts';
import { judgeUpload, wrapEvents } from '../../../src/decision-log/upload.ts';
import { createService, type ServiceResponse } from '../../../src/services/service.ts';
import { startService, type TestService } from '../support/service.ts';

const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => JSON.stringify({ decision_id: `d${from + index}` }));
const ids = (service: TestService) => service.events().map(({ decision_id }) => decision_id);
const idsOf = (from: number, to: number) => lines(from, to).map((line) => JSON.parse(line).decision_id);

async function open(t: TestContext, given: Partial<ShipperOptions> = {}) {
  const service = await startService();
  const client = createService({ name: 's', url: service.url, timeoutMs: 20_000 });
  const uploads: string[] = [];
  const lost: string[] = [];
  const unkept: string[] = [];
  const sink = createShipper({
    name: 'upload',
    service: client,
    resource: 'logs',
    buffer: createMemoryBuffer(),
    maxBufferBytes: 100_000,
    maxChunkBytes: 32_768,
    minDelayMs: 1,
    maxDelayMs: 2,
    wrap: wrapEvents,
    judge: judgeUpload,
    onUpload: (outcome) => uploads.push(outcome),
    onUnkept: (cause) => unkept.push(String(cause)),
    onLost: (_sink, reason, count) => lost.push(`${count} ${reason}`),
    ...given,
  });
  t.after(async () => {
    await sink.close(0);
    await client.close();
    await service.close();
  });
  return { service, sink, uploads, lost, unkept };
}

const NOW = Date.parse('2026-11-21T12:00:00Z');

const answer = (status: number, headers: Readonly<Record<string, string>> = {}): ServiceResponse => ({
  status,
  headers,
  body: new Uint8Array(),
});

/** Milliseconds until a chunk is sent again after a 429 with these headers. */
async function pauseAfter(t: TestContext, headers: Readonly<Record<string, string>>): Promise<number> {
  const pauses: number[] = [];
  let sends = 0;
  let sentAgain = (): void => {};
  const isSentAgain = new Promise<void>((resolve) => {
    sentAgain = resolve;
  });
  const send: ShipperOptions['service']['send'] = async () => {
    sends += 1;
    if (sends === 2) sentAgain();
    return sends === 1 ? answer(429, headers) : answer(200);
  };
  const wait = async (ms: number) => {
    if (sends === 1) pauses.push(ms);
    await setImmediate();
  };
  const { sink } = await open(t, { service: { send }, maxDelayMs: 1000, random: () => 0, now: () => NOW, wait });
  await sink.take(lines(0, 1), false);
  await isSentAgain;
  await sink.close(20_000);
  return pauses[0] as number;
}

/** A disk that is full when it is told to be. */
function failingBuffer() {
  const memory = createMemoryBuffer();
  let isFailing = false;
  let tries = 0;
  const watchers = new Set<() => void>();
  const append: LineBuffer['append'] = async (more) => {
    tries += 1;
    for (const look of watchers) look();
    if (isFailing) throw new Error('ENOSPC');
    return memory.append(more);
  };
  return {
    buffer: { ...memory, append },
    fail: () => {
      isFailing = true;
    },
    mend: () => {
      isFailing = false;
    },
    /** So many times from now on. */
    tried: (times: number) => {
      const until = tries + times;
      return new Promise<void>((resolve) => watchers.add(() => tries >= until && resolve()));
    },
  };
}

suite('a sink that sends', () => {
  test('sends what OPA would: gzipped arrays of events, to the resource', async (t) => {
    const { service, sink, uploads } = await open(t, { resource: 'logs/partition-1' });
    assert.equal(await sink.take(lines(0, 3), false), true);
    await service.until(() => ids(service).length === 3);
    const [first] = service.taken;
    assert.equal(first?.path, '/logs/partition-1');
    assert.equal(first?.headers['content-type'], 'application/json');
    assert.equal(first?.headers['content-encoding'], 'gzip');
    assert.equal(first?.text, `[${lines(0, 3).join(',')}]`);
    await sink.close(20_000);
    assert.deepEqual(uploads, ['ok']);
    assert.equal(sink.buffered(), 0);
  });

  test('sends again what was not taken, in order, and only that', async (t) => {
    const { service, sink, uploads } = await open(t);
    service.answer(503);
    await sink.take(lines(0, 2), false);
    await service.until(() => service.taken.length === 3);
    assert.deepEqual(ids(service), []);
    await sink.take(lines(2, 3), false);
    service.answer(204, '');
    await service.until(() => ids(service).length >= 3);
    assert.deepEqual(ids(service), idsOf(0, 3));
    assert.ok(uploads.filter((outcome) => outcome === 'failed').length >= 2);
  });

  test('makes one request at a time', async (t) => {
    const { service, sink } = await open(t);
    service.hold();
    await sink.take(lines(0, 1), false);
    await service.until(() => service.taken.length === 1);
    for (let round = 1; round < 50; round += 1) await sink.take(lines(round, round + 1), false);
    assert.equal(service.taken.length, 1);
    service.answer(200);
    await service.until(() => ids(service).length === 50);
    assert.deepEqual(ids(service), idsOf(0, 50));
    assert.equal(service.taken.length, 2, 'what came in between went together');
  });

  test('learns how much fits into a request', async (t) => {
    const { service, sink } = await open(t, { maxChunkBytes: 2000, maxBufferBytes: 10_000_000 });
    const long = Array.from({ length: 3000 }, (_, index) =>
      JSON.stringify({ decision_id: `d${index}`, text: randomBytes(100).toString('base64') }),
    );
    await sink.take(long, false);
    await service.until(() => ids(service).length === 3000);
    assert.deepEqual(ids(service), idsOf(0, 3000));
    const sizes = service.taken.map(({ size }) => size);
    assert.ok(Math.max(...sizes) <= 2000, String(Math.max(...sizes)));
    assert.ok(Math.max(...sizes) > 1000, 'it grew');
    assert.ok(sizes.length < 400, `${sizes.length} requests`);
  });

  test('sends smaller ones to a service that finds them too large, and gives up what is too large alone', async (t) => {
    const { service, sink, lost, uploads } = await open(t);
    service.answer(413);
    await sink.take(lines(0, 2), false);
    await service.until(() => service.taken.length === 3);
    assert.deepEqual(
      service.taken.map(({ text }) => JSON.parse(text).length),
      [2, 1, 1],
    );
    await sink.close(20_000);
    assert.deepEqual(lost, ['1 refused', '1 refused']);
    assert.ok(uploads.every((outcome) => outcome === 'refused'));
  });

  test('loses what its buffer has no room for, and says so; with must it takes it', async (t) => {
    const { service, sink, lost } = await open(t, { maxBufferBytes: 100 });
    service.answer(500);
    assert.equal(await sink.take(lines(0, 4), false), true);
    assert.equal(sink.hasRoom(0), true);
    assert.equal(await sink.take(lines(4, 6), false), false);
    assert.deepEqual(lost, ['2 full']);
    assert.equal(await sink.take(lines(6, 8), true), true);
    assert.equal(sink.hasRoom(0), false);
    service.answer(200);
    await service.until(() => ids(service).length >= 6);
    assert.deepEqual(ids(service), [...idsOf(0, 4), ...idsOf(6, 8)]);
  });

  test('tries once more when it is closed, and says what is lost with the memory', async (t) => {
    const { service, sink } = await open(t, { minDelayMs: 60_000, maxDelayMs: 60_000 });
    await sink.take(lines(0, 2), false);
    await sink.close(20_000);
    assert.deepEqual(ids(service), idsOf(0, 2));
    const other = await open(t, { minDelayMs: 60_000, maxDelayMs: 60_000 });
    other.service.answer(500);
    await other.sink.take(lines(0, 2), false);
    await other.sink.close(20_000);
    assert.deepEqual(other.lost, ['2 stopped']);
  });

  test('does not wait for a service that hangs when it is closed', async (t) => {
    const { service, sink, lost } = await open(t);
    service.hold();
    await sink.take(lines(0, 1), false);
    await service.until(() => service.taken.length === 1);
    await sink.close(10);
    assert.deepEqual(lost, ['1 stopped']);
  });

  test('has no room from when its buffer fails until it has kept what waits, and loses nothing meanwhile', async (t) => {
    const disk = failingBuffer();
    const { sink, service, lost, unkept } = await open(t, { buffer: disk.buffer, retryMs: 1 });
    service.answer(503);
    disk.fail();
    assert.equal(await sink.take(lines(0, 2), false), true);
    assert.deepEqual([sink.hasRoom(0), sink.isBroken(), unkept[0]], [false, true, 'Error: ENOSPC']);
    await disk.tried(5);
    assert.deepEqual([sink.hasRoom(0), sink.isBroken()], [false, true], 'time alone changes nothing');
    assert.equal(await sink.take(lines(2, 4), true), true);
    disk.mend();
    service.answer(200);
    await service.until(() => ids(service).length >= 4);
    assert.deepEqual([sink.hasRoom(0), sink.isBroken()], [true, false]);
    await sink.take(lines(4, 5), false);
    await service.until(() => ids(service).length >= 5);
    assert.deepEqual(ids(service), idsOf(0, 5));
    assert.deepEqual(lost, []);
  });

  test('keeps so much in memory while its buffer fails, and what must be taken', async (t) => {
    const disk = failingBuffer();
    const { sink, lost } = await open(t, { buffer: disk.buffer, retryMs: 60_000, maxUnkeptBytes: 70 });
    disk.fail();
    assert.equal(await sink.take(lines(0, 3), false), true);
    assert.equal(await sink.take(lines(3, 4), false), false);
    assert.equal(await sink.take(lines(4, 5), true), true);
    assert.deepEqual(lost, ['1 broken']);
    assert.equal(sink.buffered(), [...lines(0, 3), ...lines(4, 5)].join('\n').length + 1);
  });

  test('sends what its buffer could not keep when it is closed, and says how many it could not', async (t) => {
    const disk = failingBuffer();
    const one = await open(t, { buffer: disk.buffer, retryMs: 60_000 });
    disk.fail();
    await one.sink.take(lines(0, 2), true);
    await one.sink.close(20_000);
    assert.deepEqual([ids(one.service), one.lost], [idsOf(0, 2), []]);
    const other = await open(t, { buffer: disk.buffer, retryMs: 60_000 });
    other.service.answer(503);
    await other.sink.take(lines(0, 2), true);
    await other.sink.close(20_000);
    assert.deepEqual(other.lost, ['2 stopped']);
  });

  test('sends large requests again after a service that found them too large for a while', async (t) => {
    const { service, sink } = await open(t, { maxBufferBytes: 10_000_000 });
    service.answer(413);
    await sink.take(lines(0, 64), false);
    await service.until(() => service.taken.some(({ text }) => JSON.parse(text).length === 1));
    service.answer(200);
    await sink.take(lines(64, 5000), false);
    await service.until(() => ids(service).at(-1) === 'd4999');
    const sizes = service.taken.map(({ text }) => JSON.parse(text).length);
    assert.ok(Math.max(...sizes) > 500, String(sizes));
  });

  test('does not ask a service for too much again and again', async (t) => {
    let refused = 0;
    const seen: number[] = [];
    let drained = (): void => {};
    const isDrained = new Promise<void>((resolve) => {
      drained = resolve;
    });
    const service: ShipperOptions['service'] = {
      send: async (_path, { body }) => {
        const count = JSON.parse(gunzipSync(body as Uint8Array).toString('utf8')).length;
        if (count > 10) refused += 1;
        else seen.push(count);
        if (seen.reduce((sum, one) => sum + one, 0) === 20_000) drained();
        return answer(count > 10 ? 413 : 200);
      },
    };
    const { sink } = await open(t, { service, maxBufferBytes: 10_000_000 });
    await sink.take(lines(0, 20_000), false);
    await isDrained;
    assert.ok(refused > 5 && refused < 40, `${refused} of ${seen.length}`);
  });

  test('takes the word of a service that has too much to say', async (t) => {
    const { service, sink, uploads, lost } = await open(t);
    const much = 'x'.repeat(2 * 1024 * 1024);
    service.answer(500, much);
    await sink.take(lines(0, 2), false);
    await service.until(() => service.taken.length === 1);
    service.answer(200, much);
    await service.until(() => ids(service).length > 0);
    await sink.close(20_000);
    assert.deepEqual([ids(service), uploads.at(-1), lost], [idsOf(0, 2), 'ok', []]);
    assert.equal(sink.buffered(), 0);
  });

  test('leaves a service alone for as long as it asks, a minute at most', async (t) => {
    const date = (ms: number) => new Date(ms).toUTCString();
    const asked = ['2', date(NOW + 7000), '86400', date(NOW + 86_400_000), '0', date(NOW - 5000), 'soon', '-5', '1e9', ''];
    assert.deepEqual(
      await Promise.all(asked.map((value) => pauseAfter(t, { 'retry-after': value }))),
      [2000, 7000, 60_000, 60_000, 50, 50, 50, 50, 50, 50],
    );
    assert.equal(await pauseAfter(t, {}), 50);
  });

  test('on disk loses nothing while the service is down and the process ends', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'shipper-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const before = await open(t, { buffer: await openDiskBuffer({ directory }) });
    before.service.answer(502);
    await before.sink.take(lines(0, 5), false);
    await before.sink.close(20_000);
    assert.deepEqual(before.lost, []);
    const { service, sink } = await open(t, { buffer: await openDiskBuffer({ directory }) });
    await sink.take(lines(5, 6), false);
    await service.until(() => ids(service).length >= 6);
    assert.deepEqual(ids(service), idsOf(0, 6));
  });
});

suite('log records of OpenTelemetry', () => {
  const line = {
    type: 'decision',
    timestamp: '2026-11-21T12:00:00.123Z',
    decision_id: 'd1',
    decision: 'error',
    reason: 'policy_failed',
    tool: 't',
    trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
  };
  const wrap = createRecordWrap({ id: 'i', version: '1' }, () => 1000);

  test('have the line as their body, and what one searches by beside it', () => {
    const text = JSON.stringify(line);
    const { resourceLogs } = JSON.parse(wrap([text, '{}']));
    const [{ resource, scopeLogs }] = resourceLogs;
    assert.deepEqual(resource.attributes[0], { key: 'service.name', value: { stringValue: 'mcp-ext-authz' } });
    const [record, other] = scopeLogs[0].logRecords;
    assert.equal(record.timeUnixNano, String(BigInt(Date.parse(line.timestamp)) * 1_000_000n));
    assert.equal(record.observedTimeUnixNano, '1000000000');
    assert.deepEqual([record.severityNumber, record.severityText], [17, 'ERROR']);
    assert.deepEqual(record.body, { stringValue: text });
    assert.equal(record.traceId, line.trace_id);
    assert.deepEqual(
      record.attributes.map(({ key }: { key: string }) => key),
      ['type', 'decision_id', 'decision', 'reason', 'tool'],
    );
    assert.deepEqual([other.timeUnixNano, other.severityNumber, other.traceId], ['1000000000', 9, undefined]);
  });

  const judge = (status: number, body = '') => judgeRecords({ status, headers: {}, body: Buffer.from(body) }, 3);

  test('that a collector takes in part are not sent again', () => {
    assert.deepEqual(judge(200, '{"partialSuccess":{"rejectedLogRecords":"2"}}'), { taken: true, refused: 2 });
    assert.deepEqual(judge(200, '{"partialSuccess":{"rejectedLogRecords":7}}'), { taken: true, refused: 3 });
    for (const body of ['', '{}', 'x', '{"partialSuccess":{}}', '[]'])
      assert.deepEqual(judge(200, body), { taken: true, refused: 0 });
  });

  test('are sent again unless they are wrong', () => {
    assert.equal(judge(400).taken, 'never');
    assert.equal(judge(413).taken, 'too_large');
    for (const status of [301, 401, 404, 429, 500, 503]) assert.equal(judge(status).taken, false, String(status));
  });

  test('that nobody can take are given up', async (t) => {
    const { service, sink, lost } = await open(t, { name: 'otlp', wrap, judge: judgeRecords });
    service.answer(400);
    await sink.take(lines(0, 2), false);
    await service.until(() => service.taken.length === 1);
    await sink.close(20_000);
    assert.deepEqual(lost, ['2 refused']);
  });
});
