/**
 * The one front door of the reference deployment, whole: real Envoy, both backends behind it, and every official client as its
 * users have it. What each backend saw is what counts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { employeeDirectoryTools } from '../../examples/reference/employee-directory-tools.ts';
import { enterpriseLedgerTools } from '../../examples/reference/enterprise-ledger-tools.ts';
import type { RequestRecord } from '../../examples/reference/guarded-server.ts';
import type { Caller } from '../support/callers.ts';
import { type AnyClient, CLIENT_KINDS, MCP_REMOTE, rejection, textOf } from '../support/clients.ts';
import { startTestDeployment, type TestDeployment } from '../support/deployment.ts';
import { backendsKnown } from '../support/door.ts';
import { waitUntil } from '../support/ndjson.ts';

type Tree = Record<string, any>;

const LEDGER_TOOLS = enterpriseLedgerTools.map(({ name }) => `enterprise_ledger_${name}`);
const DIRECTORY_TOOLS = employeeDirectoryTools.map(({ name }) => `employee_directory_${name}`);
const POLICY_URI = 'ledger://policies/retention';

let deployment: TestDeployment;
before(async () => {
  deployment = await startTestDeployment();
  await backendsKnown(deployment);
});
after(() => deployment.stop());

/** Since the test began. */
function requestsOf(backend: string, from: number, subject: string): RequestRecord[] {
  return deployment.requests.slice(from).filter((one) => one.backend === backend && one.delegation?.sub === subject);
}

const callsOf = (records: readonly RequestRecord[]) => records.filter(({ body }) => body.includes('"method":"tools/call"'));

for (const kind of CLIENT_KINDS) {
  describe(kind.name, () => {
    const connect = async (caller: Caller, scope?: string): Promise<AnyClient> =>
      kind.connect(deployment, deployment.frontDoorUrl, await deployment.tokenOf(caller, deployment.frontDoorUrl, scope));

    test('one list of both backends, of what the caller may call', async (t) => {
      const alice = await connect('alice');
      t.after(alice.close);
      const hers = await alice.listTools();
      // She is no auditor.
      assert.deepEqual(
        hers,
        [...LEDGER_TOOLS, ...DIRECTORY_TOOLS].filter((name) => name !== 'enterprise_ledger_getAuditTrail'),
      );
      const agent = await connect('agent');
      t.after(agent.close);
      const its = await agent.listTools();
      assert.ok(its.includes('enterprise_ledger_listAccounts') && its.includes('employee_directory_listEmployees'));
      assert.deepEqual(
        hers.filter((name) => !its.includes(name)),
        ['enterprise_ledger_getCustomerPII', 'enterprise_ledger_transferFunds', 'enterprise_ledger_createInvoice'],
      );
    });

    test('a call of each backend: its own tool name, and a token of its own', async (t) => {
      const from = deployment.requests.length;
      const client = await connect('alice');
      t.after(client.close);
      assert.match(textOf(await client.callTool('enterprise_ledger_listAccounts')) ?? '', /Payroll/);
      assert.match(textOf(await client.callTool('employee_directory_listEmployees')) ?? '', /Rahul/);
      for (const [backend, tool] of [
        ['enterprise-ledger', 'listAccounts'],
        ['employee-directory', 'listEmployees'],
      ] as const) {
        const [call, ...more] = callsOf(requestsOf(backend, from, 'alice'));
        assert.ok(call !== undefined && more.length === 0, `one call of ${backend}`);
        assert.equal(JSON.parse(call.body).params.name, tool);
        const { aud, scope, act, sub } = call.delegation as Tree;
        assert.deepEqual([aud, scope], [`https://${backend}.internal/mcp`, `${backend}:${tool}`]);
        assert.deepEqual([act.sub, sub, call.verified], ['ai-identity-gateway', 'alice', true]);
      }
      const all = deployment.requests.slice(from);
      assert.equal(new Set(all.map(({ delegation }) => delegation?.jti)).size, all.length, 'a token for each request');
      assert.deepEqual(
        all.filter(({ refusal }) => refusal !== undefined),
        [],
      );
    });

    test("a prefix of the client's own in front", async (t) => {
      const client = await connect('agent');
      t.after(client.close);
      assert.match(textOf(await client.callTool('target___enterprise_ledger_listAccounts')) ?? '', /Payroll/);
      assert.match(
        textOf(await client.callTool('target___employee_directory_getManager', { employeeId: 'E-021' })) ?? '',
        /Rahul/,
      );
    });

    test('prompts and resources', async (t) => {
      const client = await connect('alice');
      t.after(client.close);
      assert.deepEqual(await client.listPrompts(), ['enterprise_ledger_monthly-close']);
      const { messages } = await client.getPrompt('enterprise_ledger_monthly-close', { month: '2026-06' });
      assert.match(messages[0].content.text, /^Close 2026-06:/);
      assert.deepEqual(await client.listResources(), [POLICY_URI]);
      const { contents } = await client.readResource(POLICY_URI);
      assert.equal(contents[0].text, 'Bookings are kept for ten years.');
    });

    test('refusals: a tool of nobody, a tool that policy keeps, a scope that is missing', async (t) => {
      const bob = await connect('bob');
      t.after(bob.close);
      const unknown = await rejection(bob.callTool('no_such_tool'));
      assert.deepEqual([unknown.code, unknown.data?.reason], [-32602, 'target_unknown']);
      const denied = await rejection(bob.callTool('enterprise_ledger_getCustomerPII', { customerId: 'CUS-1' }));
      assert.deepEqual([denied.code, denied.data?.reason], [-31403, 'role_missing']);
      const alice = await connect('alice', 'ledger:read');
      t.after(alice.close);
      const missing = await rejection(alice.callTool('enterprise_ledger_getCustomerPII', { customerId: 'CUS-1' }));
      // mcp-remote, which was given a token, tries to obtain a better one by itself.
      const told = kind.name.startsWith('mcp-remote') ? /mcp-remote: Incompatible auth server/ : /pii:read/;
      assert.match(JSON.stringify([missing.message, missing.requiredScope]), told);
      assert.match(textOf(await alice.callTool('enterprise_ledger_listAccounts')) ?? '', /Payroll/);
    });

    const skip = kind === MCP_REMOTE && 'it never sends DELETE';
    test('what it leaves behind: no session', { skip }, async () => {
      const from = deployment.requests.length;
      const client = await connect('carol');
      await client.listTools();
      await client.callTool('enterprise_ledger_listAccounts');
      await client.close();
      const methods = () => requestsOf('enterprise-ledger', from, 'carol').map(({ method, body }) => bodyMethod(body) ?? method);
      await waitUntil('every session is ended', () => {
        const count = (one: string) => methods().filter((method) => method === one).length;
        return count('initialize') > 0 && count('initialize') === count('DELETE');
      });
    });
  });
}

function bodyMethod(body: string): string | undefined {
  return body === '' ? undefined : JSON.parse(body).method;
}
