/**
 * A policy that is as costly as its caller makes it, through Envoy: the call that costs too much is refused, and nobody else
 * notices. One policy after the other takes its place meanwhile.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ask, lineOf, type Reply } from '../support/ask.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { reload } from '../support/reconfigure.ts';

const HEAVY = fileURLToPath(new URL('../fixtures/policies/heavy.tar.gz', import.meta.url));
const CUBIC = { cubic: Array.from({ length: 200 }, (_, at) => at) };
const ENDLESS = { loop: Array.from({ length: 1000 }, (_, at) => at) };

let deployment: TestDeployment;
let alice: string;
let bob: string;

before(async () => {
  deployment = await startTestDeployment({
    delegation: 'mint',
    adjustSidecar: (config) => {
      withoutCatalog(config);
      config.policy.bundleFile = HEAVY;
      config.policy.maxMemoryBytes = 512 * 1024 * 1024;
    },
  });
  alice = await deployment.tokenOf('alice', deployment.directoryUrl);
  bob = await deployment.tokenOf('bob', deployment.directoryUrl);
});
after(() => deployment?.stop());

const call = (token: string, args: object): Promise<Reply> =>
  ask(deployment, { token, tool: 'listEmployees', arguments: args as Record<string, unknown> });

/** Each with its line and without a request to the backend. */
async function isRefused(args: object, reasons: readonly string[]): Promise<void> {
  const seen = deployment.requests.length;
  const reply = await call(alice, args);
  assert.equal(reply.status, 503);
  assert.ok(reasons.includes(String(reply.reason)), String(reply.reason));
  assert.equal(deployment.requests.length, seen);
  const line = await lineOf(deployment, reply);
  assert.deepEqual([line.decision, line.reason], ['error', reply.reason]);
}

test('a call that would be evaluated for ever is refused', () => isRefused(ENDLESS, ['policy_timeout']));
test('so is one that takes time and memory', () => isRefused(CUBIC, ['policy_timeout', 'policy_memory']));
test('and one that ends the evaluation', () => isRefused({ trap: true }, ['policy_failed']));

test('what a rule would have refused that is only watched is in the line and counted', async () => {
  const reply = await call(bob, { amount: 101 });
  assert.equal(reply.reason, undefined);
  assert.deepEqual((await lineOf(deployment, reply)).log_only, ['limits.amount']);
  const counted = (await deployment.metrics()).series('mcp_ext_authz_log_only_total');
  assert.deepEqual(
    counted.map(({ labels, value }) => [labels.rule, labels.reason, labels.tool, value]),
    [['limits.amount', 'limit_exceeded', 'listEmployees', 1]],
  );
});

test('others go on while one caller asks nothing else, and while policies are exchanged', async () => {
  let isOver = false;
  const reasons = new Set<string | undefined>();
  async function attack(args: object): Promise<void> {
    while (!isOver) {
      const { status, reason } = await call(alice, args);
      // Without a reason it is Envoy that would not wait any longer.
      assert.ok(status !== null && status >= 400, `${status}`);
      reasons.add(reason);
    }
  }
  const attacks = [ENDLESS, CUBIC, ENDLESS, { trap: true }].map(attack);
  let answered = 0;
  const exchange = (async () => {
    try {
      // However fast that is: something is to be answered meanwhile.
      for (let time = 0; time < 5 || (answered <= 10 && time < 100); time++) await reload(deployment, 'applied');
    } finally {
      isOver = true;
    }
  })();
  while (!isOver) {
    const reply = await call(bob, {});
    assert.equal(reply.reason, undefined, `after ${answered} answers`);
    answered++;
  }
  await Promise.all([exchange, ...attacks]);
  assert.ok(reasons.has('policy_timeout'), [...reasons].join());
  assert.ok(answered > 10, `${answered} answers`);
});
