import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { denied, newFacts } from '../../../src/check/authorize.ts';
import { decisionRecord } from '../../../src/check/record.ts';
import { createDecisionLog } from '../../../src/decision-log/decision-log.ts';
import { createSampler, type ShadowEvent, shadowLine } from '../../../src/decision-log/shadow-line.ts';
import type { LogSink } from '../../../src/decision-log/sink.ts';
import { noFacts } from '../../../src/http.ts';

const EVENT: ShadowEvent = {
  timeMs: Date.UTC(2026, 10, 21, 12, 0, 0, 5),
  record: {
    decision_id: 'd1',
    method: 'tools/call',
    tool: 'getBalance',
    backend: 'ledger',
    issuer: 'https://as.example',
    subject: 'alice',
    client_id: 'claude-code',
    trace_id: undefined,
    request_id: 'r1',
  },
  direction: 'allow_to_deny',
  changed: [],
  revisions: { policy: '1', shadow: '2' },
  results: { policy: { allow: true, reason: 'allowed' }, shadow: { allow: false, reason: 'limit_exceeded' } },
};

describe('the line of a flip', () => {
  test('says what both said, under the id of the decision', () => {
    assert.deepEqual(JSON.parse(shadowLine(EVENT, { id: 'i', version: 'v' })), {
      type: 'shadow',
      timestamp: '2026-11-21T12:00:00.005Z',
      labels: { id: 'i', version: 'v' },
      decision_id: 'd1',
      direction: 'allow_to_deny',
      method: 'tools/call',
      tool: 'getBalance',
      backend: 'ledger',
      issuer: 'https://as.example',
      subject: 'alice',
      client_id: 'claude-code',
      request_id: 'r1',
      bundles: { policy: { revision: '1' }, shadow: { revision: '2' } },
      results: { policy: { allow: true, reason: 'allowed' }, shadow: { allow: false, reason: 'limit_exceeded' } },
    });
  });

  test('is one line, whatever callers call themselves', () => {
    const record = { ...EVENT.record, subject: 'a\nb\u2028"c' };
    const line = shadowLine({ ...EVENT, record }, {});
    assert.ok(!line.includes('\n'));
    assert.equal(JSON.parse(line).subject, record.subject);
  });

  test('takes nothing of the record but names', () => {
    const record = { ...EVENT.record, arguments: { amount: 1 }, token_id: 'jti' };
    assert.equal(shadowLine({ ...EVENT, record }, {}), shadowLine(EVENT, {}));
  });
});

describe('the sample', () => {
  const sampler = (ratio: number, maxPerSecond: number, randoms: number[] = []) => {
    const clock = { now: 5000 };
    return { clock, keep: createSampler({ ratio, maxPerSecond, now: () => clock.now, random: () => randoms.shift() ?? 0 }) };
  };

  test('keeps its share', () => {
    const { keep } = sampler(0.5, 10, [0.49, 0.5, 0.99, 0]);
    assert.deepEqual([keep(), keep(), keep(), keep()], [true, false, false, true]);
  });

  test('keeps none at 0 and all at 1', () => {
    assert.equal(sampler(0, 10, [0]).keep(), false);
    assert.equal(sampler(1, 10, [0.999999]).keep(), true);
  });

  test('keeps no more than so many in a second', () => {
    const { keep, clock } = sampler(1, 2);
    assert.deepEqual([keep(), keep(), keep()], [true, true, false]);
    clock.now = 5999;
    assert.equal(keep(), false);
    clock.now = 6000;
    assert.deepEqual([keep(), keep(), keep()], [true, true, false]);
  });
});

describe('the decision log', () => {
  function openLog() {
    const taken: string[] = [];
    const state = { hasRoom: true };
    const sink: LogSink = {
      name: 'file',
      hasRoom: () => state.hasRoom,
      buffered: () => 0,
      isBroken: () => false,
      take: async (lines) => {
        taken.push(...lines);
        return true;
      },
      close: async () => {},
    };
    const outcomes: string[] = [];
    const labels = { id: 'i', version: 'v' };
    const log = createDecisionLog({ sinks: [sink], labels, maxBufferedBytes: 1e6, onLines: (outcome) => outcomes.push(outcome) });
    return { log, taken, state, outcomes };
  }

  test('has the line of a flip after that of its decision', async () => {
    const { log, taken } = openLog();
    const verdict = denied({ reason: 'role_missing' }, newFacts(noFacts(), 'd1'), { allowedOrigins: new Set() });
    log.write(verdict, decisionRecord(verdict), 1, false);
    log.writeShadow(EVENT);
    await log.flush();
    const lines = taken.map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ type, decision_id }) => [type, decision_id]),
      [
        ['decision', 'd1'],
        ['shadow', 'd1'],
      ],
    );
    assert.deepEqual(lines[1].labels, { id: 'i', version: 'v' });
  });

  test('leaves it out where there is no room, and counts nothing as lost', async () => {
    const { log, taken, state, outcomes } = openLog();
    state.hasRoom = false;
    log.writeShadow(EVENT);
    await log.flush();
    assert.deepEqual([taken, outcomes], [[], []]);
    state.hasRoom = true;
    log.writeShadow(EVENT);
    await log.flush();
    assert.deepEqual([taken.length, outcomes], [1, ['written']]);
  });
});
