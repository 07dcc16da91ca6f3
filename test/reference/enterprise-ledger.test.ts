/**
 * The Enterprise Ledger, called by the official client of its own SDK generation through a hand-played gateway: all
 * methods work, and so do sessions.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { startEnterpriseLedger } from '../../examples/reference/enterprise-ledger.ts';
import { enterpriseLedgerTools } from '../../examples/reference/enterprise-ledger-tools.ts';
import { gatewayOf, ledgerUrl, startBackend, startIssuer, tokenOf } from './support/deployment.ts';
import { delegatingFetch } from './support/gateway.ts';

const backend = 'enterprise-ledger';

test('the official client connects, lists and calls through a session', async (t) => {
  const { client, transport, records } = await connect(t);
  assert.ok(transport.sessionId);
  assert.equal(client.getServerVersion()?.name, backend);

  const { tools } = await client.listTools();
  assert.deepEqual(
    tools.map((tool) => catalogEntry(tool)),
    enterpriseLedgerTools.map(catalogEntry),
  );
  assert.deepEqual(tools.find(({ name }) => name === 'transferFunds')?.inputSchema.required, [
    'from',
    'to',
    'amount',
    'currency',
  ]);

  const account = await client.callTool({ name: 'getAccount', arguments: { accountId: 'ACC-1001' } });
  assert.deepEqual(account.structuredContent, {
    result: { id: 'ACC-1001', name: 'Operating account', customerId: 'CUS-1', currency: 'EUR', balance: 12_500_000 },
  });
  await client.ping();
  assert.ok(records.every(({ verified }) => verified));
});

const calls: { name: string; args: Record<string, unknown>; contains: RegExp }[] = [
  { name: 'listAccounts', args: {}, contains: /Payroll/ },
  { name: 'getBalance', args: { accountId: 'ACC-1002' }, contains: /4310050/ },
  { name: 'listTransactions', args: { accountId: 'ACC-1001' }, contains: /TX-2.*TX-1/ },
  { name: 'getCustomerPII', args: { customerId: 'CUS-1' }, contains: /dateOfBirth/ },
  { name: 'getAuditTrail', args: { since: '2026-11-06' }, contains: /receivable.booked/ },
  {
    name: 'transferFunds',
    args: { from: 'ACC-1001', to: 'ACC-1002', amount: 500, currency: 'EUR' },
    contains: /12499500/,
  },
  {
    name: 'createInvoice',
    args: { customerId: 'CUS-2', amount: 900, currency: 'USD', dueDate: '2026-12-24' },
    contains: /INV-2/,
  },
];

test('every tool does what it says, on data of this server only', async (t) => {
  const { client, transport } = await connect(t);
  for (const { name, args, contains } of calls) {
    const result = await client.callTool({ name, arguments: args });
    assert.ok(!result.isError, name);
    assert.match(JSON.stringify(result.content), contains, name);
  }
  const { client: other } = await connect(t);
  const balance = await other.callTool({ name: 'getBalance', arguments: { accountId: 'ACC-1001' } });
  assert.match(JSON.stringify(balance.content), /12500000/);
  assert.ok(transport.sessionId);
});

test('a tool that cannot do it says why, as a tool error', async (t) => {
  const { client } = await connect(t);
  const missing = await client.callTool({ name: 'getAccount', arguments: { accountId: 'ACC-9' } });
  assert.deepEqual([missing.isError, missing.content], [true, [{ type: 'text', text: 'There is no account ACC-9.' }]]);
  const transfer = { from: 'ACC-1001', to: 'ACC-2001', amount: 5, currency: 'EUR' };
  const { isError, content } = await client.callTool({ name: 'transferFunds', arguments: transfer });
  assert.ok(isError);
  assert.match(JSON.stringify(content), /must be kept in EUR/);
});

test('the resource and the prompt can be listed and read', async (t) => {
  const { client } = await connect(t);
  const { resources } = await client.listResources();
  assert.deepEqual(
    resources.map(({ uri }) => uri),
    ['ledger://policies/retention'],
  );
  const { contents } = await client.readResource({ uri: 'ledger://policies/retention' });
  assert.match(JSON.stringify(contents), /ten years/);
  const { messages } = await client.getPrompt({ name: 'monthly-close', arguments: { month: '2026-10' } });
  assert.match(JSON.stringify(messages), /Close 2026-10/);
});

test('POST answers with an event stream, GET opens one, DELETE ends the session', async (t) => {
  const { ledger, guardedFetch } = await startGuarded(t);
  const common = { Accept: 'application/json, text/event-stream', 'Content-Type': 'application/json' };
  const post = (headers: object, message: object) =>
    guardedFetch(ledger.url, { method: 'POST', headers: { ...common, ...headers }, body: JSON.stringify(message) });
  const capabilities = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };

  const opened = await post({}, { jsonrpc: '2.0', id: 1, method: 'initialize', params: capabilities });
  assert.equal(opened.headers.get('content-type'), 'text/event-stream');
  assert.match(await opened.text(), /"protocolVersion":"2025-11-25"/);
  const session = {
    'Mcp-Session-Id': opened.headers.get('mcp-session-id') ?? '',
    'MCP-Protocol-Version': '2025-11-25',
  };
  assert.equal((await post(session, { jsonrpc: '2.0', method: 'notifications/initialized' })).status, 202);

  const stream = await guardedFetch(ledger.url, { headers: { ...session, Accept: 'text/event-stream' } });
  assert.deepEqual([stream.status, stream.headers.get('content-type')], [200, 'text/event-stream']);
  await stream.body?.cancel();

  assert.equal((await guardedFetch(ledger.url, { method: 'DELETE', headers: session })).status, 200);
  assert.equal((await post(session, { jsonrpc: '2.0', id: 2, method: 'ping' })).status, 404);
  assert.deepEqual(
    ledger.records.map(({ method }) => method),
    ['POST', 'POST', 'GET', 'DELETE', 'POST'],
  );
});

test('a session belongs to the subject that opened it', async (t) => {
  const { transport, ledger, server } = await connect(t);
  const bob = delegatingFetch(gatewayOf(server), await tokenOf(server, 'bob', ledgerUrl), backend);
  const headers = { 'Content-Type': 'application/json', 'Mcp-Session-Id': transport.sessionId ?? '' };
  const body = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
  assert.equal((await bob(ledger.url, { method: 'POST', headers, body })).status, 403);
});

/** A ledger, and a gateway that delegates for alice. */
async function startGuarded(t: TestContext) {
  const server = await startIssuer(t);
  const ledger = await startBackend(t, startEnterpriseLedger, server);
  const guardedFetch = delegatingFetch(gatewayOf(server), await tokenOf(server, 'alice', ledgerUrl), backend);
  return { server, ledger, guardedFetch, records: ledger.records };
}

/** The same with the official client, connected. */
async function connect(t: TestContext) {
  const guarded = await startGuarded(t);
  const client = new Client({ name: 'test', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL(guarded.ledger.url), { fetch: guarded.guardedFetch });
  await client.connect(transport as Transport);
  t.after(() => client.close());
  return { client, transport, ...guarded };
}

type Listed = { name: string; title?: string | undefined; annotations?: object | undefined };

function catalogEntry({ name, title, annotations }: Listed) {
  return { name, title, annotations };
}
