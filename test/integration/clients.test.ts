/**
 * The official clients of both generations through the gateway, with nothing in between: what they can do, and what of a
 * refusal their users get to see.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as v2 from '@modelcontextprotocol/client';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport, StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpError } from '@modelcontextprotocol/sdk/types.js';
import { employeeDirectoryTools } from '../../examples/reference/employee-directory-tools.ts';
import { enterpriseLedgerTools } from '../../examples/reference/enterprise-ledger-tools.ts';
import { createBrowserProvider } from '../support/browser.ts';
import type { Caller } from '../support/callers.ts';
import { startTestDeployment, type TestDeployment } from '../support/deployment.ts';
import { reconfigure } from '../support/reconfigure.ts';

/** What both generations can do, in one shape. */
interface AnyClient {
  readonly revision: () => string | undefined;
  readonly listTools: () => Promise<string[]>;
  readonly callTool: (name: string, args?: Record<string, unknown>) => Promise<any>;
  readonly close: () => Promise<void>;
}

type Connect = (url: string, token: string) => Promise<AnyClient>;

let deployment: TestDeployment;
before(async () => {
  deployment = await startTestDeployment();
});
after(() => deployment.stop());

const connectV1: Connect = async (url, token) => {
  const requestInit = { headers: { Authorization: `Bearer ${token}` } };
  const transport = new StreamableHTTPClientTransport(new URL(url), { fetch: deployment.fetch, requestInit });
  const client = new Client({ name: 'test', version: '1.0.0' });
  await client.connect(transport as never);
  return {
    revision: () => transport.protocolVersion,
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    callTool: (name, args = {}) => client.callTool({ name, arguments: args }),
    close: async () => {
      await transport.terminateSession();
      await client.close();
    },
  };
};

const connectV2 = (mode: v2.VersionNegotiationMode): Connect => {
  return async (url, token) => {
    const requestInit = { headers: { Authorization: `Bearer ${token}` } };
    const transport = new v2.StreamableHTTPClientTransport(new URL(url), { fetch: deployment.fetch, requestInit });
    const client = new v2.Client({ name: 'test', version: '1.0.0' }, { versionNegotiation: { mode } });
    await client.connect(transport);
    return {
      revision: () => client.getNegotiatedProtocolVersion(),
      listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
      callTool: (name, args = {}) => client.callTool({ name, arguments: args }),
      close: () => client.close(),
    };
  };
};

const CLIENTS: { name: string; connect: Connect; ledger: string; directory: string }[] = [
  { name: 'SDK v1', connect: connectV1, ledger: '2025-11-25', directory: '2025-11-25' },
  { name: 'SDK v2, legacy', connect: connectV2('legacy'), ledger: '2025-11-25', directory: '2025-11-25' },
  { name: 'SDK v2, auto', connect: connectV2('auto'), ledger: '2025-11-25', directory: '2026-07-28' },
];

async function open(connect: Connect, caller: Caller, url: string, scope?: string): Promise<AnyClient> {
  return connect(url, await deployment.tokenOf(caller, url, scope));
}

/** What a call was rejected with. */
async function rejection(call: Promise<unknown>): Promise<any> {
  return call.then(
    (value) => assert.fail(`allowed: ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
}

for (const { name, connect, ...revisions } of CLIENTS) {
  describe(name, () => {
    test('connects to the ledger, lists its tools and calls one', async () => {
      const client = await open(connect, 'alice', deployment.ledgerUrl);
      assert.equal(client.revision(), revisions.ledger);
      assert.deepEqual(
        await client.listTools(),
        enterpriseLedgerTools.map((tool) => tool.name).filter((tool) => tool !== 'getAuditTrail'), // for auditors
      );
      const { structuredContent } = await client.callTool('getBalance', { accountId: 'ACC-2001' });
      assert.deepEqual(structuredContent, { result: { accountId: 'ACC-2001', balance: 986020, currency: 'USD' } });
      await client.close();
    });

    test('connects to the directory, lists its tools and calls one', async () => {
      const client = await open(connect, 'agent', deployment.directoryUrl);
      assert.equal(client.revision(), revisions.directory);
      assert.deepEqual(
        await client.listTools(),
        employeeDirectoryTools.map((tool) => tool.name),
      );
      assert.match(JSON.stringify(await client.callTool('getManager', { employeeId: 'E-021' })), /Rahul/);
      await client.close();
    });

    test("a policy's no is an error with a code, a sentence and the decision id, and the client works on", async () => {
      const client = await open(connect, 'bob', deployment.ledgerUrl);
      const error = await rejection(client.callTool('getCustomerPII', { customerId: 'CUS-1' }));
      assert.ok(error instanceof (name === 'SDK v1' ? McpError : v2.ProtocolError), String(error));
      assert.equal(error.code, -31403);
      assert.match(error.message, /This needs one of the roles: analyst\.$/);
      const { reason, decision_id: id } = error.data as Record<string, unknown>;
      assert.equal(reason, 'role_missing');
      const line = await deployment.decisions.waitFor('the decision', ({ decision_id }) => decision_id === id);
      assert.deepEqual([line.subject, line.tool, line.reason], ['bob', 'getCustomerPII', 'role_missing']);
      assert.equal((await client.callTool('listAccounts')).structuredContent.result.length, 3);
      await client.close();
    });

    test('a tool that the backend refuses by itself is its own error', async () => {
      const client = await open(connect, 'alice', deployment.ledgerUrl);
      const { isError, content } = await client.callTool('getBalance', { accountId: 'ACC-9999' });
      assert.deepEqual([isError, content[0].text], [true, 'There is no account ACC-9999.']);
      await client.close();
    });

    test('without a token it cannot connect', async () => {
      const error = await rejection(connect(deployment.ledgerUrl, ''));
      assert.match(`${error} ${error.cause ?? ''}`, /401|[Uu]nauthorized|bearer token is required/);
    });

    test('a scope that is missing is told, without a provider that could obtain it', async () => {
      const client = await open(connect, 'alice', deployment.ledgerUrl, 'ledger:read');
      const error = await rejection(client.callTool('getCustomerPII', { customerId: 'CUS-1' }));
      if (name === 'SDK v1') {
        assert.ok(error instanceof StreamableHTTPError);
        assert.equal(error.code, 403);
        assert.match(error.message, /"required_scopes":\["ledger:read","pii:read"\]/);
      } else {
        assert.ok(error instanceof v2.InsufficientScopeError, String(error));
        assert.equal(error.requiredScope, 'ledger:read pii:read');
      }
      await client.close();
    });
  });
}

describe('step-up: the client obtains the scopes that the challenge names and goes on', () => {
  const user = () => ({ username: 'alice', password: deployment.authorizationServer.passwords.alice ?? '' });
  const connectable = (url: string) => new URL(url);

  test('SDK v1', async () => {
    const scopes: string[] = [];
    const provider = createBrowserProvider(user(), scopes, false);
    const newTransport = () =>
      new StreamableHTTPClientTransport(connectable(deployment.ledgerUrl), {
        authProvider: provider as never,
        fetch: deployment.fetch,
      });
    const first = newTransport();
    assert.ok((await rejection(new Client({ name: 'test', version: '1' }).connect(first as never))) instanceof UnauthorizedError);
    await first.finishAuth(provider.lastCode());

    const transport = newTransport();
    const client = new Client({ name: 'test', version: '1' });
    await client.connect(transport as never);
    assert.ok(
      (await rejection(client.callTool({ name: 'getCustomerPII', arguments: { customerId: 'CUS-1' } }))) instanceof
        UnauthorizedError,
    );
    await transport.finishAuth(provider.lastCode());
    const { structuredContent } = (await client.callTool({ name: 'getCustomerPII', arguments: { customerId: 'CUS-1' } })) as any;
    assert.equal(structuredContent.result.name, 'Greta Lindqvist');
    assert.deepEqual(scopes, ['ledger:read', 'ledger:read pii:read']);
    await client.close();
  });

  test('SDK v2', async () => {
    const scopes: string[] = [];
    const provider = createBrowserProvider(user(), scopes);
    const newTransport = () =>
      new v2.StreamableHTTPClientTransport(connectable(deployment.ledgerUrl), {
        authProvider: provider as never,
        fetch: deployment.fetch,
      });
    const newClient = () => new v2.Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'legacy' } });
    const first = newTransport();
    assert.ok((await rejection(newClient().connect(first))) instanceof v2.UnauthorizedError);
    await first.finishAuth(provider.lastCallback());

    const transport = newTransport();
    const client = newClient();
    await client.connect(transport);
    assert.ok((await rejection(client.callTool({ name: 'createInvoice', arguments: {} }))) instanceof v2.UnauthorizedError);
    await transport.finishAuth(provider.lastCallback());
    const args = { customerId: 'CUS-1', amount: 100, currency: 'EUR', dueDate: '2026-12-24' };
    const { structuredContent } = (await client.callTool({ name: 'createInvoice', arguments: args })) as any;
    assert.equal(structuredContent.result.amount, 100);
    assert.deepEqual(scopes, ['ledger:read', 'ledger:read ledger:write'], 'the second request unites both');
    await client.close();
  });
});

describe('a strict resource', () => {
  let restore: () => Promise<void>;
  before(async () => {
    restore = await reconfigure(deployment, (config) => {
      for (const resource of config.resources) resource.denials = 'strict';
    });
  });
  after(() => restore());

  test('SDK v1 shows the 403 with its text', async () => {
    const client = await open(connectV1, 'bob', deployment.ledgerUrl);
    const error = await rejection(client.callTool('getCustomerPII', { customerId: 'CUS-1' }));
    assert.ok(error instanceof StreamableHTTPError);
    assert.equal(error.code, 403);
    assert.match(error.message, /"reason":"role_missing"/);
    await client.close();
  });

  test('SDK v2 shows the 403 with its text', async () => {
    const client = await open(connectV2('auto'), 'agent', deployment.directoryUrl);
    const error = await rejection(client.callTool('noSuchTool'));
    assert.ok(error instanceof v2.SdkHttpError, String(error));
    assert.equal(error.status, 403);
    assert.match(JSON.stringify([error.message, error.data]), /tool_unknown/);
    await client.close();
  });
});
