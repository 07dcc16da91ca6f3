/** One backend behind the front door is down, and comes back; tokens end while streams are open. Nothing else is disturbed. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { employeeDirectoryTools } from '../../examples/reference/employee-directory-tools.ts';
import { startEnterpriseLedger } from '../../examples/reference/enterprise-ledger.ts';
import { lineOf } from '../support/ask.ts';
import { type AnyClient, rejection, SDK_V1, SDK_V2_LEGACY, SDK_V2_MODERN, textOf } from '../support/clients.ts';
import { LEDGER, startTestDeployment, type TestDeployment } from '../support/deployment.ts';
import { backendsKnown, beginSession, modernLetter, send } from '../support/door.ts';
import { hear, messageOf } from '../support/front-door.ts';
import { waitUntil } from '../support/ndjson.ts';

const KINDS = [SDK_V1, SDK_V2_LEGACY, SDK_V2_MODERN];
const DIRECTORY_TOOLS = employeeDirectoryTools.map(({ name }) => `employee_directory_${name}`);
const CALL = '{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"enterprise_ledger_listAccounts"}}';

let deployment: TestDeployment;
let alice: string;
let restarted: Awaited<ReturnType<typeof startEnterpriseLedger>> | null = null;
const log: string[] = [];
before(async () => {
  deployment = await startTestDeployment({
    onSidecarLine: (line) => void log.push(line),
    adjustSidecar: (config) => {
      config.catalog.refreshMs = 500;
      for (const issuer of config.issuers) issuer.clockToleranceSeconds = 0;
    },
  });
  await backendsKnown(deployment);
  alice = await deployment.tokenOf('alice', deployment.frontDoorUrl);
});
after(async () => {
  await restarted?.stop();
  await deployment.stop();
});

const failures = async () =>
  (await deployment.metrics()).value('mcp_ext_authz_front_door_failures_total', { backend: 'enterprise-ledger' });

describe('a backend that is down', () => {
  const clients = new Map<string, AnyClient>();
  let held: string;
  before(async () => {
    held = await beginSession(deployment, alice);
    for (const kind of KINDS) clients.set(kind.name, await kind.connect(deployment, deployment.frontDoorUrl, alice));
    await deployment.ledger.stop();
  });
  after(async () => {
    for (const client of clients.values()) await client.close().catch(() => {});
  });

  for (const { name, connect } of KINDS) {
    test(`${name}: its tools vanish, its calls are a clear error, the other server goes on`, async () => {
      const before = await failures();
      const client = clients.get(name) as AnyClient;
      assert.deepEqual(await client.listTools(), DIRECTORY_TOOLS);
      assert.ok((await failures()) > before, 'the list counts it');
      const listed = await failures();
      const error = await rejection(client.callTool('enterprise_ledger_listAccounts'));
      assert.match(JSON.stringify([error.message, error.data]), /The backend does not answer at the moment/);
      assert.ok((await failures()) > listed, 'the call counts it');
      assert.match(textOf(await client.callTool('employee_directory_listEmployees')) ?? '', /Rahul/);
      await waitUntil('the log warns', () => log.some((line) => /"warn".*left out.*enterprise-ledger/.test(line)));
    });

    test(`${name}: a client that comes now has the other server`, async (t) => {
      const client = await connect(deployment, deployment.frontDoorUrl, alice);
      t.after(client.close);
      assert.deepEqual(await client.listTools(), DIRECTORY_TOOLS);
      assert.match(textOf(await client.callTool('employee_directory_listEmployees')) ?? '', /Rahul/);
    });
  }

  test('is an error with the id of the request, and a line in the decision log', async () => {
    for (const letter of [
      { token: alice, session: held, text: CALL },
      modernLetter(alice, '"c"', 'tools/call', { name: 'enterprise_ledger_listAccounts', arguments: {} }),
    ]) {
      const reply = await send(deployment, letter);
      assert.deepEqual([reply.status, reply.json.id, reply.reason], [503, 'c', 'backend_unavailable']);
      assert.deepEqual(reply.headers.get('retry-after'), ['1']);
      assert.equal((await lineOf(deployment, reply)).decision, 'allow', 'the Check had allowed it');
    }
    await deployment.decisions.waitFor('what came of it', ({ reason }) => reason === 'backend_unavailable');
  });

  test('comes back: a session from before begins anew, one that began without it reaches it', async () => {
    const without = await beginSession(deployment, alice);
    restarted = await startEnterpriseLedger({ ...deployment.backendOptions, port: deployment.ledger.port });
    const lost = await send(deployment, { token: alice, session: held, text: CALL });
    assert.equal(lost.status, 404, 'which tells a client to begin anew');
    for (const session of [without, await beginSession(deployment, alice)]) {
      const reply = await send(deployment, { token: alice, session, text: CALL });
      assert.deepEqual([reply.status, reply.json?.result?.isError], [200, undefined], reply.body);
    }
    const modern = clients.get(SDK_V2_MODERN.name) as AnyClient;
    assert.match(textOf(await modern.callTool('enterprise_ledger_listAccounts')) ?? '', /Payroll/);
    await waitUntil('its tools are there again', async () => (await modern.listTools()).length > DIRECTORY_TOOLS.length);
  });
});

describe('when a token ends', () => {
  /** @param scope one of its own: a token with scopes that were asked for before is the same again. */
  async function shortToken(seconds: number, scope: string): Promise<string> {
    const { authorizationServer, tokenOf, frontDoorUrl } = deployment;
    authorizationServer.setAccessTokenSeconds(seconds);
    try {
      return await tokenOf('carol', frontDoorUrl, scope);
    } finally {
      authorizationServer.setAccessTokenSeconds(300);
    }
  }

  const expiryOf = (token: string): number =>
    JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()).exp * 1000;

  test('a stream at the front door ends with it, cleanly', async () => {
    const token = await shortToken(4, 'ledger:read directory:read');
    const session = await beginSession(deployment, token);
    const headers = {
      accept: 'text/event-stream',
      authorization: `Bearer ${token}`,
      'mcp-session-id': session,
      'mcp-protocol-version': '2025-11-25',
    };
    const heard = await hear(deployment.frontDoorUrl, { headers }, deployment.fetch);
    assert.equal(heard.response.status, 200);
    for (let event = await heard.next(); event !== null; event = await heard.next());
    const late = Date.now() - expiryOf(token);
    assert.ok(late >= -50 && late < 5000, `${late} ms after it`);
    const again = await hear(deployment.frontDoorUrl, { headers }, deployment.fetch);
    assert.equal(again.response.status, 401);
  });

  test('a stream of a single server is cut', async () => {
    const { authorizationServer, tokenOf, ledgerUrl, fetch } = deployment;
    authorizationServer.setAccessTokenSeconds(4);
    const token = await tokenOf('carol', ledgerUrl, 'ledger:read');
    authorizationServer.setAccessTokenSeconds(300);
    const session = await beginSession(deployment, token, { path: LEDGER });
    const headers = { accept: 'text/event-stream', authorization: `Bearer ${token}`, 'mcp-session-id': session };
    const heard = await hear(ledgerUrl, { headers }, fetch);
    assert.equal(heard.response.status, 200);
    await assert.rejects(heard.next(), /terminated/);
    const late = Date.now() - expiryOf(token);
    assert.ok(late >= -50 && late < 5000, `${late} ms after it`);
  });

  test('a subscription gets its result first', async () => {
    const token = await shortToken(5, 'ledger:read directory:read audit:read');
    const letter = modernLetter(token, '"l"', 'subscriptions/listen', { notifications: { toolsListChanged: true } });
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${token}`,
      'mcp-protocol-version': '2026-07-28',
      ...Object.fromEntries(letter.headers ?? []),
    };
    const heard = await hear(deployment.frontDoorUrl, { method: 'POST', headers, body: letter.text as string }, deployment.fetch);
    const messages: any[] = [];
    for (let event = await heard.next(); event !== null; event = await heard.next()) messages.push(messageOf(event));
    const late = Date.now() - expiryOf(token);
    assert.ok(late >= -50 && late < 5000, `${late} ms after it`);
    assert.equal(messages[0].method, 'notifications/subscriptions/acknowledged');
    assert.deepEqual([messages.at(-1).id, messages.at(-1).result.resultType], ['l', 'complete']);
  });
});
