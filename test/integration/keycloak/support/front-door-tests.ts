/** Both servers as one, and what the gateway asks them in its own name: each token behind it comes from the real Keycloak. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { decodeJwt } from 'jose';
import { employeeDirectoryTools } from '../../../../examples/reference/employee-directory-tools.ts';
import { enterpriseLedgerTools } from '../../../../examples/reference/enterprise-ledger-tools.ts';
import { type Line, waitUntil } from '../../../support/ndjson.ts';
import { GATEWAY, type World } from './world.ts';

const BACKENDS = { 'enterprise-ledger': enterpriseLedgerTools, 'employee-directory': employeeDirectoryTools };
const namesOf = (prefix: string, tools: readonly { readonly name: string }[]) => tools.map(({ name }) => `${prefix}_${name}`);
const DIRECTORY_TOOLS = namesOf('employee_directory', employeeDirectoryTools);
const LEDGER_READS = ['listAccounts', 'getAccount', 'getBalance', 'listTransactions'].map((name) => `enterprise_ledger_${name}`);

export function asOneServer(given: () => World): void {
  describe('both servers as one', () => {
    let world: World;
    before(async () => {
      world = given();
      await waitUntil('both catalogs are filled', async () => {
        const samples = await world.metrics();
        return Object.entries(BACKENDS).every(
          ([backend, { length }]) => samples.value('mcp_ext_authz_catalog_items', { backend, list: 'tools' }) === length,
        );
      });
    });

    async function connect(token: string) {
      const transport = new StreamableHTTPClientTransport(new URL(world.frontDoorUrl), {
        fetch: world.fetch,
        requestInit: { headers: { authorization: `Bearer ${token}` } },
      });
      const client = new Client({ name: 'test', version: '1' });
      await client.connect(transport as never);
      return { client, transport };
    }

    const lastCall = () =>
      world.requests.findLast(({ body }) => body.includes('"tools/call"')) ?? assert.fail('no tool was called');

    /** One request; the status and, where it was refused, the reason. */
    async function call(
      token: string,
      name: string,
      session: Record<string, string> = {},
    ): Promise<[number, string | undefined]> {
      const response = await world.fetch(world.frontDoorUrl, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2025-11-25',
          ...session,
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } }),
      });
      const text = await response.text();
      return [response.status, /"reason":"(\w+)"/.exec(text)?.[1]];
    }

    test('the gateway asks each server on an exchange of its own token', async () => {
      const own = world.requests.filter(({ delegation }) => delegation?.sub === GATEWAY);
      assert.deepEqual(new Set(own.map(({ backend }) => backend)), new Set(Object.keys(BACKENDS)));
      for (const { backend, verified, refusal, delegation } of own) {
        assert.ok(verified, refusal ?? 'refused');
        const { aud, scope, act, jti } = delegation as Record<string, unknown>;
        const expected = [`https://${backend}.internal/mcp`, `${backend}:protocol`, { sub: GATEWAY }];
        assert.deepEqual([aud, scope, act], expected);
        const isIts = (line: Line) => line.delegation_token_id === jti;
        const { decision, client_id, token_id } = await world.decisions.waitFor(`the line of ${jti}`, isIts);
        assert.deepEqual([decision, client_id], ['allow', GATEWAY]);
        // By client credentials, and exchanged.
        assert.match(`${token_id} ${jti}`, /^trrtcc:\S+ trrtte:/);
      }
    });

    test('alice and bob see what each may use of both', async () => {
      const [{ access_token: alice }, { access_token: bob }] = await Promise.all([world.signIn('alice'), world.signIn('bob')]);
      const list = async (token: string) => {
        const { client } = await connect(token);
        const { tools } = await client.listTools();
        await client.close();
        return tools.map(({ name }) => name).sort();
      };
      const ofAuditors = 'enterprise_ledger_getAuditTrail';
      const all = [...namesOf('enterprise_ledger', enterpriseLedgerTools), ...DIRECTORY_TOOLS];
      assert.deepEqual(await list(alice), all.filter((name) => name !== ofAuditors).sort());
      assert.deepEqual(await list(bob), [...LEDGER_READS, ...DIRECTORY_TOOLS].sort());
    });

    test('in one session each server gets a token for itself and for the one tool', async () => {
      const { access_token: token } = await world.signIn('alice');
      const { sub, aud } = decodeJwt(token);
      assert.deepEqual(
        new Set<unknown>([aud].flat()),
        new Set<unknown>([GATEWAY, world.frontDoorUrl, world.ledgerUrl, world.directoryUrl]),
      );
      const { client, transport } = await connect(token);
      for (const [prefix, backend, tool] of [
        ['enterprise_ledger', 'enterprise-ledger', 'listAccounts'],
        ['employee_directory', 'employee-directory', 'listDepartments'],
      ] as const) {
        const result = await client.callTool({ name: `${prefix}_${tool}`, arguments: {} });
        assert.ok(!result.isError && result.structuredContent, JSON.stringify(result));
        const { verified, refusal, body, delegation } = lastCall();
        assert.ok(verified, refusal ?? 'refused');
        assert.equal(JSON.parse(body).params.name, tool);
        const { sub: subject, aud: audience, scope, act } = delegation as Record<string, unknown>;
        const expected = [sub, `https://${backend}.internal/mcp`, `${backend}:${tool}`, { sub: GATEWAY }];
        assert.deepEqual([subject, audience, scope, act], expected);
      }
      await transport.terminateSession();
      await client.close();
    });

    test('a session is of no use to somebody else, nor to another client of the same user', async () => {
      const [{ access_token: alice }, { access_token: bob }] = await Promise.all([world.signIn('alice'), world.signIn('bob')]);
      const { access_token: agent } = await world.signInThroughAgent('alice');
      const { client, transport } = await connect(alice);
      const session = { 'mcp-session-id': transport.sessionId as string };
      const callWith = (token: string) => call(token, 'employee_directory_listDepartments', session);
      for (const token of [bob, agent]) assert.deepEqual(await callWith(token), [403, 'session_forbidden']);
      assert.deepEqual(await callWith(alice), [200, undefined]);
      await client.close();
    });

    test('a token for one server opens the front door, and nothing of the other behind it', async () => {
      const { access_token: token } = await world.signIn('alice', 'directory:read');
      assert.deepEqual(await call(token, 'employee_directory_listDepartments'), [200, undefined]);
      const before = lastCall();
      assert.deepEqual(await call(token, 'enterprise_ledger_listAccounts'), [403, 'insufficient_scope']);
      assert.equal(lastCall(), before);
    });
  });
}
