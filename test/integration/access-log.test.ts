/**
 * The same facts in two logs: Envoy's access log carries what we said of a request as dynamic metadata, on a refusal too, so
 * that it joins the decision log by its id. Neither holds a token.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { ask, get, type Reply } from '../support/ask.ts';
import { LEDGER, startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { stats } from '../support/envoy-admin.ts';
import type { Line } from '../support/ndjson.ts';

let deployment: TestDeployment;
const tokens: string[] = [];
const replies: Record<string, Reply> = {};
let envoyStats: Map<string, number>;
let accessLog: readonly Line[];
let decisions: readonly Line[];

before(async () => {
  deployment = await startTestDeployment({ adjustSidecar: withoutCatalog });
  const { ledgerUrl, directoryUrl, tokenOf } = deployment;
  const [alice, aliceLow, bob, agent] = await Promise.all([
    tokenOf('alice', ledgerUrl),
    tokenOf('alice', ledgerUrl, 'ledger:read'),
    tokenOf('bob', ledgerUrl),
    tokenOf('agent', directoryUrl),
  ]);
  tokens.push(alice, aliceLow, bob, agent);
  replies.allowed = await ask(deployment, { to: 'ledger', token: alice, tool: 'listAccounts' });
  replies.allowedMachine = await ask(deployment, { token: agent, tool: 'listEmployees' });
  replies.list = await ask(deployment, { token: agent });
  replies.role = await ask(deployment, { to: 'ledger', token: bob, tool: 'getCustomerPII', arguments: { customerId: 'CUS-1' } });
  replies.scope = await ask(deployment, {
    to: 'ledger',
    token: aliceLow,
    tool: 'getCustomerPII',
    arguments: { customerId: 'CUS-1' },
  });
  replies.anonymous = await ask(deployment, { to: 'ledger' });
  replies.wrongAudience = await ask(deployment, { to: 'ledger', token: agent });
  replies.otherIssuer = await ask(deployment, { to: 'ledger', token: deployment.testIssuer.token(ledgerUrl) });
  replies.metadata = await get(deployment, `/.well-known/oauth-protected-resource${LEDGER}`);
  replies.unknown = await get(deployment, '/somewhere/else');
  replies.query = await get(deployment, `${LEDGER}?access_token=${alice}`);
  replies.resource = await ask(deployment, {
    to: 'ledger',
    token: alice,
    method: 'resources/read',
    params: { uri: 'ledger://policies/retention' },
  });
  // Envoy by itself: an unknown host, an oversized body.
  await ask(deployment, { host: 'evil.example' });
  await ask(deployment, { token: agent, params: { x: 'a'.repeat(300_000) } });

  decisions = await deployment.decisions.waitForCount(Object.keys(replies).length);
  envoyStats = await stats(deployment.envoy.adminSocket, 'ext_authz');
  // Envoy writes what it has buffered when it stops.
  await deployment.envoy.stop();
  accessLog = await deployment.accessLog.waitForCount(decisions.length + 2);
});
after(() => deployment.stop());

const decisionOf = ({ requestId }: Reply) =>
  decisions.find(({ request_id }) => request_id === requestId) ?? assert.fail(requestId);
const accessOf = ({ requestId }: Reply) =>
  accessLog.find(({ authz }) => authz?.request_id === requestId) ?? assert.fail(requestId);

test('every Check has one line in each log, and both tell the same', () => {
  assert.equal(decisions.length, Object.keys(replies).length);
  for (const [name, reply] of Object.entries(replies)) {
    const { authz, status } = accessOf(reply);
    const { ext_authz_duration: duration, revision, ...facts } = authz;
    const line = decisionOf(reply);
    for (const [member, value] of Object.entries(facts)) assert.deepEqual(line[member], value, `${name}: ${member}`);
    assert.equal(revision, line.bundles?.policy.revision, name);
    assert.equal(status, reply.status, name);
    assert.ok(duration === undefined || duration >= 0);
  }
});

test('an allow carries who, what, and with which token', () => {
  const { authz, details } = accessOf(replies.allowed!);
  const { decision_id, delegation_token_id, token_id, revision, request_id, ext_authz_duration, issuer, ...facts } = authz;
  assert.deepEqual(facts, {
    decision: 'allow',
    reason: 'allowed',
    method: 'tools/call',
    tool: 'listAccounts',
    era: 'legacy',
    protocol_revision: '2025-03-26',
    backend: 'enterprise-ledger',
    subject: 'alice',
    client_id: 'claude-code',
    actor: ['ai-identity-gateway'],
    audience: 'https://enterprise-ledger.internal/mcp',
    scope: 'enterprise-ledger:listAccounts',
  });
  assert.equal(details, 'via_upstream');
  assert.ok(delegation_token_id && token_id && delegation_token_id !== token_id);
  assert.deepEqual(accessOf(replies.resource!).authz.targets, ['resource:ledger://policies/retention']);
});

test('a refusal carries as much as was learnt', () => {
  const { authz, details } = accessOf(replies.role!);
  assert.equal(details, 'ext_authz_denied');
  assert.deepEqual(
    [authz.decision, authz.reason, authz.subject, authz.tool, authz.status],
    ['deny', 'role_missing', 'bob', 'getCustomerPII', 200],
  );
  assert.equal(authz.decision_id, replies.role?.json.error.data.decision_id);
  const anonymous = accessOf(replies.anonymous!).authz;
  assert.deepEqual(
    [anonymous.reason, anonymous.status, anonymous.subject, anonymous.backend],
    ['token_missing', 401, undefined, 'enterprise-ledger'],
  );
  assert.deepEqual(
    [accessOf(replies.scope!).authz.reason, accessOf(replies.otherIssuer!).authz.reason],
    ['insufficient_scope', 'exchange_refused'],
  );
});

test('what Envoy answers by itself has no decision', () => {
  const own = accessLog.filter(({ authz }) => authz == null);
  assert.deepEqual(own.map(({ status, details }) => [status, details]).sort(), [
    [404, 'route_not_found'],
    [413, 'request_payload_too_large'],
  ]);
});

test('no log holds a token, or a part of one', async () => {
  const files = [deployment.sidecar.decisionLogFile, deployment.envoy.accessLogFile];
  for (const file of files) {
    const text = await readFile(file, 'utf8');
    assert.doesNotMatch(text, /eyJ[\w-]{10,}/, file);
    for (const token of tokens) {
      for (const part of token.split('.')) assert.ok(!text.includes(part), file);
    }
  }
});

test("Envoy's counts are ours", () => {
  const count = (name: string) => envoyStats.get(`http.edge.ext_authz.${name}`) ?? 0;
  const allowed = decisions.filter(({ reason }) => reason === 'allowed').length;
  assert.equal(count('ok'), allowed);
  // A document of ours is a denied response to Envoy, whatever its status.
  assert.equal(count('denied'), decisions.length - allowed);
  for (const name of ['error', 'disabled', 'failure_mode_allowed', 'invalid', 'ignored_dynamic_metadata'])
    assert.equal(count(name), 0, name);
});
