/** Sessions through a real Envoy: what the client holds is good for its principal alone, at every replica that has the key. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { parse } from 'yaml';
import { freePort } from '../../examples/reference/free-port.ts';
import { DIRECTORY, LEDGER, startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { addListener } from '../support/listeners.ts';
import { addCluster, type PlainBackend, pointCluster, startPlainBackend } from '../support/plain-backend.ts';
import { type HeaderLine, openWire, type Wire, type WireAnswer } from '../support/wire.ts';

type Tree = Record<string, any>;

const REVISION = '2025-11-25';
const MODERN = '2026-07-28';
const HANDSHAKE = { protocolVersion: REVISION, capabilities: {}, clientInfo: { name: 'test', version: '1' } };

let deployment: TestDeployment;
let plain: PlainBackend;
let alice: string;
/** Envoy's listeners before a second sidecar with the same key, and before one with another. */
const replicas: Record<'same' | 'other', { listener: number; authz: number; wire?: Wire }> = {
  same: { listener: 0, authz: 0 },
  other: { listener: 0, authz: 0 },
};

before(async () => {
  plain = await startPlainBackend();
  for (const one of Object.values(replicas)) Object.assign(one, { listener: await freePort(), authz: await freePort() });
  deployment = await startTestDeployment({
    delegation: 'mint',
    adjustSidecar: withoutCatalog,
    adjustEnvoy: (config) => {
      pointCluster(config, 'employee_directory', plain.port);
      for (const [name, { listener, authz }] of Object.entries(replicas)) {
        addCluster(config, 'mcp_ext_authz', `authz_${name}`, authz);
        addCluster(config, 'mcp_ext_proc', `proc_${name}`, authz);
        addListener(config, name, listener, ({ filters, extAuthz }) => {
          extAuthz.grpc_service.envoy_grpc.cluster_name = `authz_${name}`;
          const extProc = filters.find((filter) => filter.name === 'envoy.filters.http.ext_proc')!;
          extProc.typed_config.grpc_service.envoy_grpc.cluster_name = `proc_${name}`;
        });
      }
    },
  });
  const { keys } = (parse(await readFile(deployment.sidecar.configFile, 'utf8')) as Tree).processing;
  for (const [name, replica] of Object.entries(replicas)) {
    await deployment.startAnotherSidecar(name, (config) => {
      config.server.listen = `127.0.0.1:${replica.authz}`;
      config.wellKnown.listen = '127.0.0.1:0';
      if (name === 'same') config.processing.keys = keys;
    });
    replica.wire = openWire(replica.listener, deployment.certificates.caPem);
  }
  alice = await deployment.tokenOf('alice', deployment.ledgerUrl);
});
after(async () => {
  for (const { wire } of Object.values(replicas)) wire?.close();
  await deployment.stop();
  await plain.stop();
});

interface Asked {
  readonly token?: string;
  readonly session?: string | readonly string[];
  readonly path?: string;
  readonly httpMethod?: 'GET' | 'DELETE';
  readonly method?: string;
  readonly params?: object;
  readonly headers?: readonly HeaderLine[];
  readonly wire?: Wire;
}

function send(asked: Asked = {}): Promise<WireAnswer> {
  const { token = alice, session = [], path = LEDGER, method = 'tools/list', params = {}, headers = [] } = asked;
  const { httpMethod = 'POST', wire = deployment.wire } = asked;
  const body = httpMethod === 'POST' ? Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })) : null;
  return wire.http1({
    method: httpMethod,
    path,
    authority: 'localhost',
    headers: [
      ...(body === null ? [] : [['content-type', 'application/json'] as const]),
      ['accept', body === null ? 'text/event-stream' : 'application/json, text/event-stream'],
      ['authorization', `Bearer ${token}`],
      ...[session].flat().map((id): HeaderLine => ['mcp-session-id', id]),
      ...headers,
    ],
    body,
  });
}

async function begin(asked: Asked = {}): Promise<string> {
  const { status, headers } = await send({ ...asked, method: 'initialize', params: HANDSHAKE });
  assert.equal(status, 200);
  const [id = '', ...more] = headers.get('mcp-session-id') ?? [];
  assert.deepEqual(more, []);
  assert.match(id, /^[\w-]{60,}$/);
  return id;
}

const ownId = () => deployment.requests.at(-1)?.headers['mcp-session-id'];
const reasonOf = ({ body }: WireAnswer) => JSON.parse(body).error?.data?.reason;
const lineOf = ({ headers }: WireAnswer) =>
  deployment.decisions.waitFor('the line', ({ request_id }) => request_id === headers.get('x-request-id')?.[0]);

/** Refused by us: nothing reaches a backend, one line says so. */
async function assertRefused(asked: Asked, status: number, reason: string): Promise<Tree> {
  const seen = deployment.requests.length;
  const reply = await send(asked);
  assert.deepEqual([reply.status, reasonOf(reply)], [status, reason], reply.body);
  assert.equal(deployment.requests.length, seen);
  const line = await lineOf(reply);
  assert.deepEqual([line.decision, line.reason], ['deny', reason]);
  return line;
}

describe('the owner', () => {
  test("an SDK v1 client works, ends its session, and never sees the backend's id", async () => {
    const seen: string[] = [];
    const watched = (async (input: string | URL, init?: RequestInit) => {
      const response = await deployment.fetch(input, init);
      seen.push(JSON.stringify([...response.headers]));
      return response;
    }) as typeof fetch;
    const from = deployment.requests.length;
    const transport = new StreamableHTTPClientTransport(new URL(deployment.ledgerUrl), {
      fetch: watched,
      requestInit: { headers: { Authorization: `Bearer ${alice}` } },
    });
    const client = new Client({ name: 'test', version: '1' });
    await client.connect(transport as never);
    const held = transport.sessionId ?? assert.fail();
    assert.equal((await client.listTools()).tools.length, 7);
    await client.callTool({ name: 'listAccounts', arguments: {} });
    assert.equal(transport.sessionId, held);
    await transport.terminateSession();
    await client.close();
    const own = new Set(deployment.requests.slice(from).flatMap(({ headers }) => headers['mcp-session-id'] ?? []));
    assert.equal(own.size, 1);
    const [id = ''] = own;
    assert.match(id, /^[0-9a-f-]{36}$/);
    assert.ok(seen.length >= 5 && seen.every((headers) => !headers.includes(id)));
    assert.ok(seen.filter((headers) => headers.includes(held)).length >= 3);
    assert.ok(deployment.requests.every(({ headers }) => headers['mcp-session-id'] !== held));
  });

  test('goes on with another token, which was refreshed or has other scopes', async () => {
    const session = await begin();
    const refreshed = await deployment.tokenOf('alice', deployment.ledgerUrl, 'ledger:read');
    assert.notEqual(refreshed, alice);
    assert.equal((await send({ session, token: refreshed })).status, 200);
    const own = ownId();
    assert.equal((await send({ session })).status, 200);
    assert.equal(ownId(), own);
  });

  test('has two sessions, and they are two at the backend', async () => {
    const [one, two] = [await begin(), await begin()];
    await send({ session: one });
    const first = ownId();
    await send({ session: two });
    assert.notEqual(ownId(), first);
  });

  test('ends it: after that the 404 is the backend’s own', async () => {
    const session = await begin();
    assert.equal((await send({ session, httpMethod: 'DELETE' })).status, 200);
    const seen = deployment.requests.length;
    const reply = await send({ session });
    assert.equal(reply.status, 404);
    assert.equal(reasonOf(reply), undefined);
    assert.equal(deployment.requests.length, seen + 1);
  });

  test('is answered under the id that it holds', async () => {
    const session = await begin();
    for (const params of [{ method: 'tools/list' }, { method: 'ping' }]) {
      assert.deepEqual((await send({ session, ...params })).headers.get('mcp-session-id'), [session]);
    }
  });
});

describe('somebody else', () => {
  const others: Record<string, () => Promise<string> | string> = {
    'another user': () => deployment.tokenOf('bob', deployment.ledgerUrl),
    'the same user through another client': () => deployment.tokenOf('alice-through-agent', deployment.ledgerUrl),
    'a client of the same name from another issuer': () => deployment.testIssuer.token(deployment.ledgerUrl),
  };
  for (const [who, tokenOf] of Object.entries(others)) {
    test(`${who} is refused, whatever it asks`, async () => {
      const session = await begin();
      const token = await tokenOf();
      for (const asked of [
        { method: 'tools/list' },
        { method: 'tools/call', params: { name: 'listAccounts', arguments: {} } },
        { method: 'initialize', params: HANDSHAKE },
        { httpMethod: 'GET' },
        { httpMethod: 'GET', headers: [['last-event-id', '1']] },
        { httpMethod: 'DELETE' },
      ] as const) {
        const line = await assertRefused({ ...asked, session, token }, 403, 'session_forbidden');
        assert.ok(line.subject === 'bob' || line.subject === 'alice');
        assert.ok(!JSON.stringify(line).includes(session));
      }
      assert.equal((await send({ session })).status, 200, 'the owner goes on');
    });
  }
});

describe('an id that is none of ours', () => {
  test('forged, garbled, of another resource, or the backend’s own', async () => {
    const session = await begin();
    await send({ session });
    const own = ownId() ?? assert.fail();
    plain.answerWith((response) =>
      response
        .writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's-plain' })
        .end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { ...HANDSHAKE, serverInfo: HANDSHAKE.clientInfo } })),
    );
    const agent = deployment.testIssuer.token(deployment.directoryUrl);
    const elsewhere = await begin({ path: DIRECTORY, token: agent });
    const changed = session.slice(0, 20) + (session[20] === 'A' ? 'B' : 'A') + session.slice(21);
    for (const id of [
      own,
      elsewhere,
      changed,
      session.slice(0, -1),
      `${session}A`,
      session.toUpperCase(),
      'x',
      '*',
      'a'.repeat(9000),
    ]) {
      await assertRefused({ session: id }, 404, 'session_unknown');
    }
    await assertRefused({ session, path: DIRECTORY, token: agent }, 404, 'session_unknown');
  });

  test('two header lines', async () => {
    const session = await begin();
    for (const both of [
      [session, session],
      [session, 'x'],
    ]) {
      await assertRefused({ session: both }, 400, 'header_invalid');
    }
  });

  test('an empty one', async () => {
    await assertRefused({ session: '' }, 404, 'session_unknown');
  });

  test('in the modern era it means nothing, and does not reach the backend', async () => {
    plain.answerWith((response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': MODERN,
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    for (const session of ['x', await begin()]) {
      const { status } = await send({
        path: DIRECTORY,
        token: deployment.testIssuer.token(deployment.directoryUrl),
        session,
        method: 'tools/call',
        params: { name: 'listEmployees', arguments: {}, _meta },
        headers: [
          ['mcp-protocol-version', MODERN],
          ['mcp-method', 'tools/call'],
          ['mcp-name', 'listEmployees'],
        ],
      });
      assert.equal(status, 200);
      assert.equal(plain.requests.at(-1)!.headers['mcp-session-id'], undefined);
    }
  });
});

describe('a stream that is taken up again', () => {
  const SECRET = '{"name":"secretTool","description":"hidden words"}';
  const list = (id: string) => `{"jsonrpc":"2.0","id":${id},"result":{"tools":[${SECRET},{"name":"listEmployees"}]}}`;
  const shown = (id: string) => `{"jsonrpc":"2.0","id":${id},"result":{"tools":[{"name":"listEmployees"}]}}`;
  const event = (data: string, id: number) => `id: e${id}\nevent: message\ndata: ${data}\n\n`;
  let session: string;
  let token: string;

  before(async () => {
    token = deployment.testIssuer.token(deployment.directoryUrl);
    plain.answerWith((response) =>
      response
        .writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's-1' })
        .end('{"jsonrpc":"2.0","id":1,"result":{}}'),
    );
    session = await begin({ path: DIRECTORY, token });
  });
  const resume = async () => {
    const { body } = await deployment.wire.http2({
      method: 'GET',
      path: DIRECTORY,
      authority: 'localhost',
      headers: [
        ['accept', 'text/event-stream'],
        ['authorization', `Bearer ${token}`],
        ['mcp-session-id', session],
        ['last-event-id', 'e0'],
      ],
      body: null,
    });
    return body;
  };

  test('repeats answers, and of lists what may be seen', async () => {
    const note = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1.0}}';
    const call = '{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"secretTool"}],"tools":1}}';
    plain.answerWith((response) =>
      response
        .writeHead(200, { 'content-type': 'text/event-stream' })
        .end(event(note, 1) + event(list('"a\\u0062"'), 2) + event(call, 3) + event(list('9'), 4)),
    );
    assert.equal(await resume(), event(note, 1) + event(shown('"a\\u0062"'), 2) + event(call, 3) + event(shown('9'), 4));
    const { headers } = plain.requests.at(-1)!;
    assert.deepEqual([headers['last-event-id'], headers['mcp-session-id'], headers['x-mcp-plan']], ['e0', 's-1', undefined]);
  });

  test('a repeated list that cannot be read is an error', async () => {
    const twice = `{"jsonrpc":"2.0","id":3,"result":{"tools":[${SECRET},${SECRET}]}}`;
    plain.answerWith((response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).end(event(twice, 1)));
    const body = await resume();
    assert.match(body, /^id: e1\nevent: message\ndata: \{"jsonrpc":"2.0","id":3,"error":\{"code":-31503/);
    assert.doesNotMatch(body, /secret|hidden/);
  });

  test('what is neither JSON nor events, or encoded, does not pass', async () => {
    for (const headers of [
      { 'content-type': 'text/plain' },
      { 'content-type': 'text/event-stream', 'content-encoding': 'x' },
      {},
    ]) {
      plain.answerWith((response) => response.writeHead(200, headers).end(event(list('1'), 1)));
      assert.doesNotMatch(await resume(), /secret|hidden/);
    }
  });

  test('a POST cannot ask for it', async () => {
    plain.answerWith((response) => response.writeHead(202).end());
    await send({ path: DIRECTORY, token, session, method: 'ping', headers: [['last-event-id', 'e0']] });
    assert.equal(plain.requests.at(-1)!.headers['last-event-id'], undefined);
  });
});

describe('replicas', () => {
  test('with the same key they are one', async () => {
    const wire = replicas.same.wire as Wire;
    const session = await begin();
    assert.equal((await send({ session, wire })).status, 200);
    const back = await begin({ wire });
    assert.equal((await send({ session: back })).status, 200);
    const bob = await deployment.tokenOf('bob', deployment.ledgerUrl);
    const reply = await send({ session, wire, token: bob });
    assert.deepEqual([reply.status, reasonOf(reply)], [403, 'session_forbidden']);
  });

  test('with another key they do not know each other', async () => {
    const wire = replicas.other.wire as Wire;
    const reply = await send({ session: await begin(), wire });
    assert.deepEqual([reply.status, reasonOf(reply)], [404, 'session_unknown']);
    await assertRefused({ session: await begin({ wire }) }, 404, 'session_unknown');
  });
});
