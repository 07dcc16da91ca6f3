/**
 * The Employee Directory, called by the official client of its own SDK generation in both eras, through a hand-played
 * gateway.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Client, StreamableHTTPClientTransport, type VersionNegotiationMode } from '@modelcontextprotocol/client';
import { startEmployeeDirectory } from '../../examples/reference/employee-directory.ts';
import { employeeDirectoryTools } from '../../examples/reference/employee-directory-tools.ts';
import { directoryUrl, gatewayOf, startBackend, startIssuer, tokenOf } from './support/deployment.ts';
import { delegatingFetch } from './support/gateway.ts';
import { json } from './support/json.ts';

const backend = 'employee-directory';

const calls: { name: string; args: Record<string, unknown>; contains: RegExp }[] = [
  { name: 'listEmployees', args: { department: 'Finance' }, contains: /E-010.*E-011.*E-012/ },
  { name: 'getEmployee', args: { employeeId: 'E-021' }, contains: /Bob Achterberg/ },
  { name: 'searchEmployees', args: { query: 'reliability' }, contains: /Yusra/ },
  { name: 'getManager', args: { employeeId: 'E-021' }, contains: /Rahul/ },
  { name: 'listDepartments', args: {}, contains: /Engineering.*3/ },
  { name: 'getOrgChart', args: {}, contains: /Ingrid.*reports.*Lena/ },
];

const eras: { era: string; mode: VersionNegotiationMode; revision: string }[] = [
  { era: 'legacy', mode: 'legacy', revision: '2025-11-25' },
  { era: 'modern', mode: { pin: '2026-07-28' }, revision: '2026-07-28' },
];

for (const { era, mode, revision } of eras) {
  test(`the official client lists and calls every tool, ${era} era`, async (t) => {
    const { client, records, responses } = await connect(t, mode);
    assert.equal(client.getNegotiatedProtocolVersion(), revision);

    const { tools } = await client.listTools();
    assert.deepEqual(
      tools.map(({ name, title, annotations }) => ({ name, title, annotations })),
      employeeDirectoryTools.map(({ name, title, annotations }) => ({ name, title, annotations })),
    );
    for (const { name, args, contains } of calls) {
      const result = await client.callTool({ name, arguments: args });
      assert.ok(!result.isError, name);
      assert.match(JSON.stringify(result.content), contains, name);
    }

    assert.ok(records.every(({ verified }) => verified));
    assert.ok(responses.every((response) => !response.headers.has('mcp-session-id')));
    const types = responses.filter(({ status }) => status === 200).map(({ headers }) => headers.get('content-type'));
    assert.deepEqual([...new Set(types)], ['application/json']);
    const scopes = records.map(({ delegation }) => delegation?.scope);
    assert.deepEqual(
      scopes.slice(-calls.length),
      calls.map(({ name }) => `${backend}:${name}`),
    );
  });
}

test('a tool that cannot do it says why, as a tool error', async (t) => {
  const { client } = await connect(t, 'auto');
  const { isError, content } = await client.callTool({ name: 'getEmployee', arguments: { employeeId: 'E-999' } });
  assert.deepEqual([isError, content], [true, [{ type: 'text', text: 'There is no employee E-999.' }]]);
});

test('there are no sessions and no GET stream', async (t) => {
  const { directory, guardedFetch } = await connect(t, 'auto');
  for (const method of ['GET', 'DELETE']) {
    const response = await guardedFetch(directory.url, { method });
    assert.deepEqual([response.status, response.headers.get('allow')], [405, 'POST'], method);
  }
});

test('in the modern era headers and body must agree', async (t) => {
  const { client, directory, guardedFetch } = await connect(t, { pin: '2026-07-28' });
  await client.listTools();
  const { headers, body } = directory.records.at(-1) ?? {};
  const { authorization: _, 'content-length': __, ...sent } = headers ?? {};
  const response = await guardedFetch(directory.url, {
    method: 'POST',
    headers: { ...sent, 'mcp-method': 'tools/call' },
    body: body ?? '',
  });
  assert.deepEqual([response.status, (await json<{ error: { code: number } }>(response)).error.code], [400, -32020]);
});

test('nothing passes without a delegation token, and the refusal is recorded', async (t) => {
  const server = await startIssuer(t);
  const directory = await startBackend(t, startEmployeeDirectory, server);
  const token = await tokenOf(server, 'alice', directoryUrl);
  for (const authorization of [undefined, `Bearer ${token}`]) {
    const headers = { 'Content-Type': 'application/json', ...(authorization && { Authorization: authorization }) };
    const body = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
    const response = await fetch(directory.url, { method: 'POST', headers, body });
    assert.equal(response.status, 401);
    assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer realm="employee-directory"/);
  }
  assert.deepEqual(
    directory.records.map(({ verified }) => verified),
    [false, false],
  );
});

/** A directory, a gateway and the official client, connected as alice. */
async function connect(t: TestContext, mode: VersionNegotiationMode) {
  const server = await startIssuer(t);
  const directory = await startBackend(t, startEmployeeDirectory, server);
  const guardedFetch = delegatingFetch(gatewayOf(server), await tokenOf(server, 'alice', directoryUrl), backend);
  const responses: Response[] = [];
  const observedFetch: typeof fetch = async (input, init) => {
    const response = await guardedFetch(input, init);
    responses.push(response);
    return response;
  };
  const client = new Client({ name: 'test', version: '1.0.0' }, { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(new URL(directory.url), { fetch: observedFetch }));
  t.after(() => client.close());
  return { client, directory, guardedFetch, responses, records: directory.records };
}
