/**
 * Thousands of calls by a hundred callers at once, interleaved on few connections: each reaches its backend under the name
 * of its own caller, with the bytes of its own call, whatever is cached on the way.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ask } from '../support/ask.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';

const CALLERS = 100;
const MINTED = 3000;
const EXCHANGED = 300;
const AT_ONCE = 40;
const TOOLS = ['listEmployees', 'getEmployee', 'searchEmployees', 'getManager', 'listDepartments', 'getOrgChart'];

let deployment: TestDeployment;
before(async () => {
  deployment = await startTestDeployment({
    adjustSidecar: (config) => {
      withoutCatalog(config);
      config.resources[1].delegation = 'mint';
      // Fewer than there are callers, so that the cache has to let go.
      config.tokens = { cacheEntries: 60 };
    },
  });
});
after(() => deployment.stop());

/** Calls `work` for every number below `count`, so many at once. */
async function spread(count: number, work: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const workers = Array.from({ length: AT_ONCE }, async () => {
    while (next < count) await work(next++);
  });
  await Promise.all(workers);
}

test(`${MINTED} calls by ${CALLERS} callers, minted`, async () => {
  const callers = Array.from({ length: CALLERS }, (_, index) => ({
    sub: `user-${index}`,
    jti: `token-${index}`,
    client_id: index % 3 === 0 ? 'bedrock-agentcore' : 'claude-code',
    // Every tenth lacks the scope, every eleventh belongs elsewhere.
    scope: index % 10 === 9 ? 'ledger:read' : 'directory:read',
    tenant: index % 11 === 10 ? 'globex' : 'acme',
  }));
  const tokens = callers.map((claims) => deployment.testIssuer.token(deployment.directoryUrl, { claims }));
  const expected = new Map<string, { sub: string; clientId: string; tool: string }>();
  const wrong: unknown[] = [];
  const seenBefore = deployment.requests.length;
  await spread(MINTED, async (number) => {
    const at = (number * 37) % CALLERS;
    const { sub, client_id: clientId, scope, tenant } = callers[at]!;
    const tool = TOOLS[number % TOOLS.length]!;
    const marker = `call-${number}`;
    const over = number % 8 === 0 ? 'http1' : 'http2';
    const { reason, json, status } = await ask(deployment, {
      token: tokens[at]!,
      tool,
      id: marker,
      arguments: { employeeId: 'E-010', query: sub },
      over,
    });
    const refusal = tenant !== 'acme' ? 'tenant_mismatch' : scope !== 'directory:read' ? 'insufficient_scope' : undefined;
    if (reason !== refusal || json?.id !== marker) wrong.push([marker, sub, over, status, reason, json?.id]);
    if (refusal === undefined) expected.set(marker, { sub, clientId, tool });
  });
  assert.deepEqual(wrong, []);

  const seen = deployment.requests.slice(seenBefore);
  assert.equal(seen.length, expected.size);
  const ids = new Set<unknown>();
  for (const { body, delegation, verified } of seen) {
    const message = JSON.parse(body);
    const { sub, clientId, tool } = expected.get(message.id) ?? assert.fail(`${message.id} was to be refused`);
    assert.ok(verified);
    assert.deepEqual([delegation?.sub, delegation?.client_id, delegation?.scope], [sub, clientId, `employee-directory:${tool}`]);
    assert.deepEqual([message.params.name, message.params.arguments.query], [tool, sub]);
    ids.add(delegation?.jti);
  }
  assert.equal(ids.size, seen.length, 'no delegation token was used twice');
});

test(`${EXCHANGED} calls by four callers, exchanged`, async () => {
  const names = ['alice', 'bob', 'carol', 'agent'] as const;
  const tokens = await Promise.all(names.map((name) => deployment.tokenOf(name, deployment.ledgerUrl)));
  const seenBefore = deployment.requests.length;
  await spread(EXCHANGED, async (number) => {
    const at = number % names.length;
    await ask(deployment, { to: 'ledger', token: tokens[at]!, tool: 'listAccounts', id: `${names[at]}-${number}` });
  });
  const seen = deployment.requests.slice(seenBefore);
  assert.equal(seen.length, EXCHANGED);
  for (const { body, delegation, verified } of seen) {
    const caller = JSON.parse(body).id.split('-')[0];
    assert.ok(verified);
    assert.equal(delegation?.sub, caller === 'agent' ? 'bedrock-agentcore' : caller);
  }
  assert.equal(new Set(seen.map(({ delegation }) => delegation?.jti)).size, EXCHANGED);
});

test('every call has one line, under the name of its caller', async () => {
  const lines = await deployment.decisions.waitForCount(MINTED + EXCHANGED);
  assert.equal(lines.length, MINTED + EXCHANGED);
  assert.equal(new Set(lines.map(({ decision_id }) => decision_id)).size, lines.length);
  const perDelegation = new Map(
    lines.filter(({ reason }) => reason === 'allowed').map((line) => [line.delegation_token_id, line.subject]),
  );
  for (const { delegation } of deployment.requests) assert.equal(perDelegation.get(delegation?.jti), delegation?.sub);
});
