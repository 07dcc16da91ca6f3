/**
 * Policies that answer badly, and what becomes of it. The policy of this test looks its answer up by the name of the tool, so
 * every answer that a policy author could give is one row. Compiled by opa as any other policy is.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { searchOpa } from '../../scripts/opa.ts';
import { POLICY_REASONS, type Reason, reasonRow } from '../../src/reasons.ts';
import { ask, lineOf, type Reply } from '../support/ask.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';

const YES = { allow: true, reason: 'allowed' };
const TOKEN = {
  ...YES,
  audience: 'https://employee-directory.internal/mcp',
  scope: 'employee-directory:listEmployees',
  ttl_seconds: 5,
};

/** What the inbound policy says, by tool; what is not here is undefined. */
const INBOUND: Record<string, unknown> = {
  true: true,
  'the string true': 'true',
  'a list': [YES],
  'no reason': { allow: true },
  'no allow': { reason: 'allowed' },
  'allow as a string': { allow: 'true', reason: 'allowed' },
  'allow as a number': { allow: 1, reason: 'allowed' },
  'allowed, for a reason to refuse': { allow: true, reason: 'policy_denied' },
  'refused, for being allowed': { allow: false, reason: 'allowed' },
  'a reason nobody knows': { allow: false, reason: 'bad_karma' },
  'a reason that is not for policies': { allow: false, reason: 'token_missing' },
  'one member too many': { ...YES, debug: true },
  'a message with quotes': { allow: false, reason: 'policy_denied', message: 'Say "please".' },
  'a message of two lines': { allow: false, reason: 'policy_denied', message: 'No.\r\nX-Evil: 1' },
  'a message that does not end': { allow: false, reason: 'policy_denied', message: 'a'.repeat(513) },
  'a message that is a number': { allow: false, reason: 'policy_denied', message: 42 },
  'a scope is missing, but which': { allow: false, reason: 'insufficient_scope' },
  'scopes in one string': { allow: false, reason: 'insufficient_scope', required_scopes: 'a b' },
  'a scope with a space': { allow: false, reason: 'insufficient_scope', required_scopes: ['a b'] },
  'a scope with a quote': { allow: false, reason: 'insufficient_scope', required_scopes: ['a"b'] },
  'no scopes': { allow: false, reason: 'insufficient_scope', required_scopes: [] },
};

/** What the outbound policy says, by tool. */
const OUTBOUND: Record<string, unknown> = {
  'no audience': { ...TOKEN, audience: undefined },
  'an empty audience': { ...TOKEN, audience: '' },
  'two audiences': { ...TOKEN, audience: ['a', 'b'] },
  'no scope': { ...TOKEN, scope: '' },
  'a scope with two spaces': { ...TOKEN, scope: 'a  b' },
  'scopes in a list': { ...TOKEN, scope: ['a'] },
  'six seconds': { ...TOKEN, ttl_seconds: 6 },
  'no seconds': { ...TOKEN, ttl_seconds: 0 },
  'a second and a half': { ...TOKEN, ttl_seconds: 1.5 },
  'five as a string': { ...TOKEN, ttl_seconds: '5' },
  'a resource that is a number': { ...TOKEN, resource: 1 },
  'the header Authorization': { ...TOKEN, headers: { authorization: 'Bearer forged' } },
  'a header of Envoy': { ...TOKEN, headers: { 'x-envoy-original-path': '/' } },
  'a header that says where from': { ...TOKEN, headers: { 'x-forwarded-for': '127.0.0.1' } },
  'a header in capitals': { ...TOKEN, headers: { 'X-Tenant': 'acme' } },
  'a header of two lines': { ...TOKEN, headers: { 'x-tenant': 'acme\r\nx-evil: 1' } },
  'a header that is a number': { ...TOKEN, headers: { 'x-tenant': 1 } },
  'seventeen headers': {
    ...TOKEN,
    headers: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`x-number-${index}`, 'x'])),
  },
  'outbound: one member too many': { ...TOKEN, token: 'x' },
  'outbound: allow as a string': { ...TOKEN, allow: 'true' },
  'outbound: true': true,
};

const GOOD: Record<string, unknown> = {
  plain: TOKEN,
  'a second': { ...TOKEN, ttl_seconds: 1 },
  'headers of the policy': { ...TOKEN, headers: { 'x-tenant': 'acme', 'x-cost-centre': '4711' } },
  'several scopes': { ...TOKEN, scope: 'employee-directory:listEmployees employee-directory:getEmployee' },
};

const REFUSALS = [...POLICY_REASONS].filter((reason) => reason !== 'allowed') as Reason[];

const INBOUND_REGO = `package mcp.inbound
import rego.v1

decision := data.inbound[input.mcp.tool]

decision := {"allow": true, "reason": "allowed"} if input.mcp.tool in object.keys(data.outbound)

decision := {"allow": true, "reason": "allowed"} if input.mcp.tool == "outbound undefined"

decision := {"allow": true, "reason": "allowed"} if input.mcp.tool == "two answers"

decision := {"allow": false, "reason": "policy_denied"} if input.mcp.tool == "two answers"

decision := {"allow": true, "reason": "allowed"} if {
	input.mcp.tool == "greedy"
	numbers := input.mcp.arguments.numbers
	count([[a, b, c, d] | some a in numbers; some b in numbers; some c in numbers; some d in numbers]) > 0
}
`;
const OUTBOUND_REGO = `package mcp.outbound
import rego.v1

decision := data.outbound[input.mcp.tool]
`;

const { path: opa, problem } = searchOpa();
const skip = opa === null && (problem ?? 'there is no opa');

async function buildBundle(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mcp-ext-authz-policy-'));
  const refusals = REFUSALS.map((reason) => [
    `refused: ${reason}`,
    {
      allow: false,
      reason,
      message: `Because of ${reason}.`,
      ...(reason === 'insufficient_scope' ? { required_scopes: ['one:scope', 'two:scope'] } : {}),
    },
  ]);
  const refusedLater = { allow: false, reason: 'limit_exceeded', message: 'Enough for today.' };
  await mkdir(join(dir, 'policy'));
  await writeFile(join(dir, 'policy/inbound.rego'), INBOUND_REGO);
  await writeFile(join(dir, 'policy/outbound.rego'), OUTBOUND_REGO);
  await writeFile(
    join(dir, 'policy/data.json'),
    JSON.stringify({
      inbound: { ...INBOUND, ...Object.fromEntries(refusals) },
      outbound: { ...OUTBOUND, ...GOOD, 'refused later': refusedLater },
    }),
  );
  const entrypoints = ['mcp/inbound/decision', 'mcp/outbound/decision'].flatMap((path) => ['-e', path]);
  const args = [
    'build',
    '-t',
    'wasm',
    ...entrypoints,
    '--revision',
    'answers',
    '-o',
    join(dir, 'bundle.tar.gz'),
    '-b',
    join(dir, 'policy'),
  ];
  const { status, stderr } = spawnSync(opa as string, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return dir;
}

describe('what a policy can answer', { skip }, () => {
  let deployment: TestDeployment;
  let dir: string;
  let token: string;
  before(async () => {
    dir = await buildBundle();
    deployment = await startTestDeployment({
      delegation: 'mint',
      adjustSidecar: (config) => {
        withoutCatalog(config);
        config.policy.bundleFile = join(dir, 'bundle.tar.gz');
        config.policy.maxMemoryBytes = 8 * 1024 * 1024;
      },
    });
    token = await deployment.tokenOf('alice', deployment.directoryUrl);
  });
  after(async () => {
    await deployment?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  const call = (tool: string, args = {}): Promise<Reply> => ask(deployment, { token, tool, arguments: args });

  async function isBroken(tool: string, reason: Reason, args = {}): Promise<void> {
    const seen = deployment.requests.length;
    const reply = await call(tool, args);
    assert.deepEqual([reply.status, reply.reason, reply.json.error.code], [503, reason, -31503]);
    assert.equal(deployment.requests.length, seen, 'the backend saw a request');
    const line = await lineOf(deployment, reply);
    assert.deepEqual([line.decision, line.reason, line.delegation_token_id], ['error', reason, undefined]);
  }

  test('nothing: that is no yes', () => isBroken('no such answer', 'policy_undefined'));
  test('nothing about the token: that is no yes', () => isBroken('outbound undefined', 'policy_undefined'));
  test('yes and no at once', () => isBroken('two answers', 'policy_failed'));

  for (const what of [...Object.keys(INBOUND), ...Object.keys(OUTBOUND)]) {
    test(`of the wrong shape: ${what}`, () => isBroken(what, 'policy_invalid'));
  }

  test('more memory than there is, and the next one is answered again', async () => {
    await isBroken('greedy', 'policy_memory', { numbers: Array.from({ length: 100 }, (_, index) => index) });
    assert.equal((await call('plain')).reason, undefined);
  });

  for (const reason of REFUSALS) {
    test(`a refusal: ${reason}`, async () => {
      const seen = deployment.requests.length;
      const reply = await call(`refused: ${reason}`);
      assert.equal(reply.status, reasonRow(reason).status);
      assert.equal(reply.reason, reason);
      assert.equal(reply.json.error.message, `Because of ${reason}.`);
      assert.equal(reply.headers.has('www-authenticate'), reason === 'insufficient_scope');
      assert.equal(deployment.requests.length, seen);
    });
  }

  test('yes to the caller, no to the token', async () => {
    const reply = await call('refused later');
    assert.deepEqual([reply.status, reply.reason, reply.json.error.message], [200, 'limit_exceeded', 'Enough for today.']);
  });

  test('a token for a second', async () => {
    await call('a second');
    const { iat, exp } = (deployment.requests.at(-1)?.delegation ?? {}) as { iat: number; exp: number };
    assert.equal(exp, iat + 1);
  });

  test('several scopes', async () => {
    await call('several scopes');
    assert.equal(
      deployment.requests.at(-1)?.delegation?.scope,
      'employee-directory:listEmployees employee-directory:getEmployee',
    );
  });

  test('headers of its own, in place of those of the client', async () => {
    for (const over of ['http1', 'http2'] as const) {
      await ask(deployment, {
        token,
        tool: 'headers of the policy',
        over,
        headers: [
          ['X-Tenant', 'globex'],
          ['X-Tenant', 'initech'],
          ['x_tenant', 'umbrella'],
          ['X-Cost-Centre', '0'],
        ],
      });
      const { headers } = deployment.requests.at(-1) ?? assert.fail();
      assert.deepEqual([headers['x-tenant'], headers['x-cost-centre'], headers.x_tenant], ['acme', '4711', undefined]);
    }
  });
});
