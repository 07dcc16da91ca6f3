import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { suite, type TestContext, test } from 'node:test';
import { openDecisionLog } from '../../../src/app/decision-log.ts';
import { denied, newFacts } from '../../../src/check/authorize.ts';
import { decisionRecord } from '../../../src/check/record.ts';
import { check } from '../../../src/check.ts';
import { parseConfig } from '../../../src/config.ts';
import { noFacts } from '../../../src/http.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { VERSION } from '../../../src/version.ts';
import { yamlOf } from '../support/config.ts';
import { request } from '../support/facts.ts';
import { fakePorts } from '../support/ports.ts';
import { startService } from '../support/service.ts';
import { createSink } from '../support/sink.ts';
import { createWorld } from '../support/world.ts';

const SECRET = 'c2VjcmV0LW9mLXRoZS1zaWRlY2Fy';

async function open(t: TestContext, settings: object = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'decision-log-'));
  const bufferDirectory = join(directory, 'buffer');
  const service = await startService();
  process.env.LOGS_TOKEN = SECRET;
  const config = parseConfig(
    yamlOf((given) => {
      given.services = [{ name: 'logs', url: service.url, credentials: { bearer: { env: 'LOGS_TOKEN' } } }];
      const upload = { service: 'logs', minDelayMs: 1, maxDelayMs: 2, bufferDirectory };
      given.decisionLog = { file: 'none', upload, ...settings };
    }),
  );
  const said: string[] = [];
  const watchers = new Set<() => void>();
  const log = await openDecisionLog(config, {
    log: (_level, message, { sink, reason, cause } = {}) => {
      said.push(`${message} ${sink} ${reason ?? cause}`);
      for (const look of watchers) look();
    },
    metrics: createMetrics('1'),
    policy: () => null,
    standard: createSink(),
  });
  t.after(async () => {
    await log.end();
    await service.close();
    rmSync(directory, { recursive: true });
  });
  const verdict = await check(request(), fakePorts(), Number.POSITIVE_INFINITY);
  const allow = () => log.write(verdict, decisionRecord(verdict), 1, false);
  const hears = (what: RegExp) =>
    new Promise<void>((resolve) => {
      const look = (): void => {
        if (said.some((one) => what.test(one))) resolve();
      };
      watchers.add(look);
      look();
    });
  return { ...log, service, allow, said, hears, bufferDirectory };
}

suite('the decision log of a process', () => {
  test('names each way in which a service fails, and knows the last one until it works again', async (t) => {
    const { service, allow, hears, said, lastUploadFailure } = await open(t);
    assert.equal(lastUploadFailure(), null);
    for (const status of [503, 401]) {
      service.answer(status);
      if (status === 503) allow();
      await hears(new RegExp(`could not be sent upload .*answered ${status}`));
      assert.deepEqual(lastUploadFailure(), { message: `the service answered ${status}`, httpCode: status });
    }
    service.answer(200);
    await service.until(() => service.events().length === 1);
    allow();
    await service.until(() => service.events().length === 2);
    assert.equal(lastUploadFailure(), null);
    assert.equal(said.filter((one) => one.includes('503')).length, 1);
    assert.ok(!said.join().includes(SECRET));
  });

  test('says so when a service cannot be reached', async (t) => {
    const { service, allow, hears, lastUploadFailure } = await open(t);
    await service.close();
    allow();
    await hears(/ECONNREFUSED/);
    assert.equal(lastUploadFailure()?.httpCode, null);
    assert.match(lastUploadFailure()?.message ?? '', /ECONNREFUSED/);
  });

  test('names a buffer that keeps nothing, refuses what must be recorded, and loses nothing', async (t) => {
    const { service, allow, hears, isFull, bufferDirectory } = await open(t, { requireRecord: true });
    rmSync(bufferDirectory, { recursive: true });
    allow();
    assert.equal(isFull(), false);
    await hears(/wait in memory: their buffer fails upload .*ENOENT/);
    assert.equal(isFull(), true);
    assert.throws(allow, /cannot be recorded/);
    mkdirSync(bufferDirectory);
    await service.until(() => service.events().length === 1);
    assert.equal(isFull(), false);
    allow();
    await service.until(() => service.events().length === 2);
  });

  test('refuses while its file takes nothing, loses nothing, and goes on by itself', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'decision-log-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const file = join(directory, 'pipe');
    assert.equal(spawnSync('mkfifo', [file]).status, 0);
    const openReader = (): number => openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const reader = openReader();
    const { allow, hears, isFull } = await open(t, { file });
    closeSync(reader);
    allow();
    assert.equal(isFull(), false);
    await hears(/the decision log is broken: every Check is refused .*EPIPE/);
    assert.equal(isFull(), true);
    assert.throws(allow, /cannot be recorded/);
    const next = openReader();
    t.after(() => closeSync(next));
    await hears(/the decision log is whole again/);
    assert.equal(isFull(), false);
    const bytes = Buffer.alloc(65_536);
    const lines = bytes.toString('utf8', 0, readSync(next, bytes)).split('\n');
    assert.deepEqual([lines.length, JSON.parse(lines[0] as string).decision, lines[1]], [2, 'allow', '']);
  });

  test('says so when lines are lost because too many wait in memory', async (t) => {
    const { allow, hears, bufferDirectory } = await open(t, { maxBufferedBytes: 10 });
    rmSync(bufferDirectory, { recursive: true });
    allow();
    await hears(/their buffer fails/);
    allow();
    await hears(/the decision log lost lines upload broken/);
    mkdirSync(bufferDirectory);
  });

  test('has the labels of the configuration in every line, beside those of each process', async (t) => {
    const world = await createWorld(t);
    const config = world.config((tree) => {
      tree.labels = { app: 'ledger', region: 'eu' };
    });
    const log = await openDecisionLog(config, {
      log: () => {},
      metrics: null,
      policy: () => null,
      standard: new PassThrough(),
    });
    const verdict = denied({ reason: 'internal_error' }, newFacts(noFacts(), 'd1'), { allowedOrigins: new Set() });
    log.write(verdict, decisionRecord(verdict), 1, false);
    await log.end();
    const { labels } = JSON.parse(await readFile(world.path('decisions.log'), 'utf8'));
    assert.deepEqual(labels, { app: 'ledger', region: 'eu', id: log.labels.id, version: VERSION });
    assert.deepEqual(log.labels, labels, 'the status says the same');
  });
});
