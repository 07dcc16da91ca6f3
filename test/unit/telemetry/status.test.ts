import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Service } from '../../../src/services/service.ts';
import { createStatusReporter } from '../../../src/telemetry/status.ts';
import type { BundleFacts } from '../../../src/telemetry/status-update.ts';

const BUNDLE: BundleFacts = {
  name: 'policy',
  revision: 'r1',
  sizeBytes: 1,
  activatedAt: 0,
  downloadedAt: 0,
  requestedAt: 0,
  answeredAt: 0,
  error: null,
};

function start() {
  const world = { now: 1000, revision: 'r1', answer: 200 as number | Error | Promise<number>, metrics: null as object | null };
  const sent: { path: string; body: any; headers: unknown }[] = [];
  const logged: string[] = [];
  const outcomes: string[] = [];
  const send: Service['send'] = async (path, { body, headers }) => {
    sent.push({ path, body: JSON.parse(String(body)), headers });
    const status = await world.answer;
    if (status instanceof Error) throw status;
    return { status, headers: {}, body: new Uint8Array() };
  };
  const reporter = createStatusReporter({
    send,
    path: 'status/here',
    facts: () => ({
      labels: {},
      bundles: [{ ...BUNDLE, revision: world.revision }],
      decisionLogError: null,
      uploadFailure: null,
    }),
    metrics: async () => world.metrics as Readonly<Record<string, unknown>> | null,
    minIntervalMs: 100,
    maxIntervalMs: 10_000,
    log: (level, message) => logged.push(`${level} ${message}`),
    onUpload: (outcome) => outcomes.push(outcome),
    now: () => world.now,
  });
  const lookAfter = async (ms: number): Promise<void> => {
    world.now += ms;
    await reporter.look();
  };
  const revisions = () => sent.map(({ body }) => body.bundles.policy.active_revision);
  return { ...reporter, world, sent, logged, outcomes, lookAfter, revisions };
}

describe('the status upload', () => {
  test('goes to its path as JSON', async () => {
    const { look, sent, outcomes } = start();
    await look();
    assert.equal(sent[0]?.path, 'status/here');
    assert.deepEqual(sent[0]?.headers, { 'content-type': 'application/json' });
    assert.equal(sent[0]?.body.bundles.policy.active_revision, 'r1');
    assert.deepEqual(outcomes, ['ok']);
  });

  test('has the metrics of the moment, which are no reason to tell anything', async () => {
    const { look, lookAfter, world, sent } = start();
    await look();
    assert.equal(sent[0]?.body.metrics, undefined);
    world.metrics = { prometheus: { some: 1 } };
    await lookAfter(5000);
    assert.equal(sent.length, 1);
    await lookAfter(5000);
    assert.deepEqual(sent[1]?.body.metrics, { prometheus: { some: 1 } });
  });

  test('tells of every change, and now and then where there is none', async () => {
    const { look, lookAfter, world, revisions } = start();
    await look();
    await lookAfter(9999);
    assert.equal(revisions().length, 1);
    await lookAfter(1);
    assert.deepEqual(revisions(), ['r1', 'r1']);
    world.revision = 'r2';
    await lookAfter(100);
    assert.deepEqual(revisions(), ['r1', 'r1', 'r2']);
  });

  test('tells changes that follow each other closely together', async () => {
    const { look, lookAfter, world, revisions } = start();
    await look();
    world.revision = 'r2';
    await lookAfter(99);
    world.revision = 'r3';
    await lookAfter(1);
    assert.deepEqual(revisions(), ['r1', 'r3']);
  });

  test('has one under way at a time; then the latest is told', async () => {
    const { look, lookAfter, world, revisions } = start();
    let answer: (status: number) => void = () => {};
    world.answer = new Promise((resolve) => {
      answer = resolve;
    });
    const first = look();
    for (const revision of ['r2', 'r3']) {
      world.revision = revision;
      world.now += 1000;
      void look();
    }
    await nextTurn();
    assert.deepEqual(revisions(), ['r1']);
    answer(200);
    await first;
    world.answer = 200;
    await lookAfter(1000);
    assert.deepEqual(revisions(), ['r1', 'r3']);
  });

  test('is tried again, later and later, and an outage is told once', async () => {
    const { look, lookAfter, world, sent, logged, outcomes } = start();
    world.answer = 503;
    await look();
    for (const ms of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
      const before = sent.length;
      await lookAfter(ms - 1);
      assert.equal(sent.length, before, `earlier than ${ms}`);
      world.answer = ms % 2000 === 0 ? new Error('unreachable') : 404;
      await lookAfter(1);
      assert.equal(sent.length, before + 1, `after ${ms}`);
    }
    assert.equal(logged.length, 1);
    world.answer = 204;
    await lookAfter(60_000);
    assert.deepEqual(logged, ['warn the status could not be uploaded; it is tried again', 'info the status was uploaded again']);
    assert.deepEqual(outcomes.slice(-2), ['failed', 'ok']);
  });

  test('ends with what has not been told', async () => {
    const { look, stop, world, revisions } = start();
    await look();
    world.revision = 'r2';
    await stop();
    assert.deepEqual(revisions(), ['r1', 'r2']);
  });

  test('has nothing to say at the end where all was told, and does not mind a service that is gone', async () => {
    const { look, stop, world, revisions } = start();
    await look();
    await stop();
    assert.deepEqual(revisions(), ['r1']);
    world.revision = 'r2';
    world.answer = new Error('gone');
    await stop();
  });
});
