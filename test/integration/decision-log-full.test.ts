/**
 * The sink of the decision log does not take any more. Then Checks are refused rather than answered unrecorded: whatever a
 * backend saw has its line. When the sink takes again, all is well again.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ask, type Reply } from '../support/ask.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { waitUntil } from '../support/ndjson.ts';

let deployment: TestDeployment;
let pipe: number;
let token: string;

before(async () => {
  deployment = await startTestDeployment({
    delegation: 'mint',
    adjustSidecar: (config) => {
      withoutCatalog(config);
      // A named pipe holds 64 KiB, and its other end reads only when told to.
      const file = join(config.decisionLog.file, '..', 'decisions.pipe');
      assert.equal(spawnSync('mkfifo', [file]).status, 0);
      pipe = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
      config.decisionLog = { file, maxBufferedBytes: 20_000 };
    },
  });
  token = await deployment.tokenOf('alice', deployment.directoryUrl);
});
after(async () => {
  // The sidecar flushes when it stops: somebody must read until then.
  const reading = setInterval(drain, 20);
  await deployment?.stop().finally(() => clearInterval(reading));
  closeSync(pipe);
});

let text = '';
function drain(): void {
  const buffer = Buffer.alloc(65_536);
  try {
    for (let size = readSync(pipe, buffer); size > 0; size = readSync(pipe, buffer)) text += buffer.toString('utf8', 0, size);
  } catch {
    // Nothing is there at the moment.
  }
}

const lines = () =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

test('full: refused; with room again: answered; and nothing was let through without a line', async () => {
  const replies: Reply[] = [];
  let refusedInARow = 0;
  while (refusedInARow < 20 && replies.length < 3000) {
    const reply = await ask(deployment, { token, tool: 'listDepartments' });
    replies.push(reply);
    refusedInARow = reply.reason === 'overloaded' ? refusedInARow + 1 : 0;
  }
  assert.equal(refusedInARow, 20, 'it never got full');
  assert.ok(replies.every(({ status, reason }) => status === 200 || (status === 503 && reason === 'overloaded')));
  const seen = deployment.requests.length;
  assert.equal((await ask(deployment, { token, tool: 'listDepartments' })).reason, 'overloaded');
  assert.equal(deployment.requests.length, seen);

  await waitUntil('it has room again', async () => {
    drain();
    const reply = await ask(deployment, { token, tool: 'listDepartments' });
    replies.push(reply);
    return reply.status === 200;
  });
  await waitUntil('every answer that was let through has its line', async () => {
    drain();
    const recorded = new Set(lines().map(({ request_id }) => request_id));
    return replies.filter(({ status }) => status === 200).every(({ requestId }) => recorded.has(requestId));
  });
  const tokens = new Set(lines().map(({ delegation_token_id }) => delegation_token_id));
  assert.ok(
    deployment.requests.every(({ delegation }) => tokens.has(delegation?.jti)),
    'the backend saw what no line tells of',
  );
  const metrics = await deployment.metrics();
  assert.ok(
    metrics.value('mcp_ext_authz_decision_log_lines_total', { outcome: 'lost' }) >= 20,
    'what was refused unrecorded is counted',
  );
});
