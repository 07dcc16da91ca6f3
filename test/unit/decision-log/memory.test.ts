import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

const BATCHES = 20_000;
/** What the engine itself keeps of so many is some bytes; one result that holds the one before is some tens. */
const MAX_BYTES_EACH = 30;

/** In a process of its own: the test runner keeps something of every promise. */
const SCRIPT = `
import { createDecisionLog } from ${JSON.stringify(import.meta.resolve('../../../src/decision-log/decision-log.ts'))};
const sink = {
  name: 'file', hasRoom: () => true, buffered: () => 0, isBroken: () => false, take: async () => true, close: async () => {},
};
const log = createDecisionLog({ sinks: [sink], labels: {}, maxBufferedBytes: 1e9 });
const event = { timeMs: 0, record: {}, direction: '', changed: [], revisions: {}, results: {} };
async function heapAfter(count) {
  for (let batch = 0; batch < count; batch += 1) {
    log.writeShadow(event);
    if (batch % 50 === 0) await log.flush();
  }
  await log.flush();
  gc();
  return process.memoryUsage().heapUsed;
}
await heapAfter(5000);
const before = await heapAfter(5000);
console.log((await heapAfter(${BATCHES})) - before);
`;

test('the decision log keeps nothing of batches that are recorded', async () => {
  const args = ['--expose-gc', '--input-type=module', '--eval', SCRIPT];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const each = Number.parseInt(stdout, 10) / BATCHES;
  assert.ok(each < MAX_BYTES_EACH, `${each} bytes for each batch`);
});
