import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createLog } from '../../../src/telemetry/log.ts';
import { SUBJECT_TOKEN } from '../support/facts.ts';
import { createSink } from '../support/sink.ts';

suite('the lifecycle log', () => {
  test('is JSON lines for machines', () => {
    const sink = createSink();
    const log = createLog(sink);
    log('info', 'started', { target: '127.0.0.1:9191', count: 3 });
    log('error', 'line\nbreak', { cause: `bad ${SUBJECT_TOKEN}\nx` });
    const [first, second] = sink.lines().map((line) => JSON.parse(line));
    const { timestamp, ...rest } = first;
    assert.deepEqual(rest, { type: 'log', level: 'info', message: 'started', target: '127.0.0.1:9191', count: 3 });
    assert.ok(!Number.isNaN(Date.parse(timestamp)));
    assert.equal(second.cause, 'bad [redacted] x');
    assert.equal(sink.lines().length, 2);
  });

  test('is sentences for people', () => {
    const sink = Object.assign(createSink(), { isTTY: true });
    const log = createLog(sink);
    log('info', 'started', { target: 'x' });
    log('warn', 'slow', { cause: 'Bearer hunter2 \u001b[2J' });
    assert.equal(sink.text(), 'started target=x\nwarn: slow cause=[redacted]  [2J\n');
  });

  test('does not end the process when nobody reads it any more', async () => {
    const sink = createSink();
    const log = createLog(sink);
    sink.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    await new Promise((resolve) => sink.once('close', resolve));
    log('info', 'into the void');
  });
});
