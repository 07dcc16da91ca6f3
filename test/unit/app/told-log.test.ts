import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createToldLog } from '../../../src/app/told-log.ts';
import { UploadRefused } from '../../../src/decision-log/shipper.ts';

function createTold() {
  let now = 0;
  const told: unknown[] = [];
  const tell = createToldLog(
    (_level, _message, { sink, cause } = {}) => told.push([sink, cause]),
    () => now,
  );
  const fail = (cause: unknown, sink = 'upload') => tell({ level: 'warn', message: 'not sent', fields: { sink }, cause });
  return {
    told,
    fail,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

const refused = (status: number) => new UploadRefused(`the service answered ${status}`, status);
const failed = (code: string) => new TypeError('no answer', { cause: Object.assign(new Error('it says'), { code }) });

suite('trouble that repeats itself', () => {
  test('is told once a minute', () => {
    const { told, fail, pass } = createTold();
    for (let round = 0; round < 3; round += 1) fail(refused(503));
    pass(59_999);
    fail(refused(503));
    assert.equal(told.length, 1);
    pass(1);
    fail(refused(503));
    assert.equal(told.length, 2);
  });

  test('hides no other trouble, nor that of another', () => {
    const { told, fail } = createTold();
    const causes = [refused(503), refused(401), failed('ECONNREFUSED'), failed('ENOSPC'), new RangeError('odd'), undefined];
    for (const cause of [...causes, ...causes]) fail(cause);
    fail(refused(503), 'otlp');
    assert.deepEqual(told, [
      ['upload', 'UploadRefused: the service answered 503'],
      ['upload', 'UploadRefused: the service answered 401'],
      ['upload', 'TypeError: no answer; Error ECONNREFUSED: it says'],
      ['upload', 'TypeError: no answer; Error ENOSPC: it says'],
      ['upload', 'RangeError: odd'],
      ['upload', undefined],
      ['otlp', 'UploadRefused: the service answered 503'],
    ]);
  });

  test('has a bound, however many kinds of it there are', () => {
    const { told, fail } = createTold();
    for (let status = 100; status < 600; status += 1) fail(refused(status));
    assert.equal(told.length, 101);
  });
});
