/** An MCP server is down: the decision stands as it is, Envoy answers for the server, and the other one is not concerned. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ask, lineOf } from '../support/ask.ts';
import { startTestDeployment, type TestDeployment } from '../support/deployment.ts';

let deployment: TestDeployment;
before(async () => {
  deployment = await startTestDeployment({ delegation: 'mint' });
});
after(() => deployment.stop());

test('down: allowed, answered 503 by Envoy, and a refusal is still a refusal', async () => {
  const { ledgerUrl, directoryUrl, tokenOf } = deployment;
  const [alice, bob, other] = await Promise.all([
    tokenOf('alice', ledgerUrl),
    tokenOf('bob', ledgerUrl),
    tokenOf('alice', directoryUrl),
  ]);
  await deployment.ledger.stop();
  const reply = await ask(deployment, { to: 'ledger', token: alice, tool: 'listAccounts' });
  const line = await lineOf(deployment, reply);
  assert.deepEqual([reply.status, reply.json], [503, null], 'the answer is not one of ours');
  assert.deepEqual([line.decision, line.reason, line.status], ['allow', 'allowed', undefined]);
  assert.equal((await ask(deployment, { to: 'ledger', token: bob, tool: 'getCustomerPII' })).reason, 'role_missing');
  assert.equal((await ask(deployment, { token: other, tool: 'listEmployees' })).status, 200);
});
