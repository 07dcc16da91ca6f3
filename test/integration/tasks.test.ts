/** Tasks through a real Envoy, of 2025-11-25 and of the extension: who began one has an id for it, and nobody else has. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { type EverythingServer, startEverythingServer } from '../conformance/everything-server.ts';
import { changedBundle, changeJson, withRevision } from '../support/bundles.ts';
import { DIRECTORY, startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { stats } from '../support/envoy-admin.ts';
import type { TokenSpec } from '../support/issuer.ts';
import { pointCluster } from '../support/plain-backend.ts';
import { reconfigure, replaceFile } from '../support/reconfigure.ts';
import { startTaskServer, type TaskServer } from '../support/task-server.ts';
import type { WireAnswer } from '../support/wire.ts';

type Tree = Record<string, any>;

const MODERN = '2026-07-28';
const TASKS = 'io.modelcontextprotocol/tasks';
const SEALED = /^[\w-]{60,}$/;
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/;

let deployment: TestDeployment;
let everything: EverythingServer;
let legacy: TaskServer;

before(async () => {
  // Where Envoy sends the Host that the reference backends have.
  everything = await startEverythingServer(['employee-directory.internal']);
  legacy = await startTaskServer('listAccounts');
  const row = { scopes: ['directory:read'], roles: 'any' };
  const tools = ['slow_compute', 'confirm_delete', 'failing_job', 'greet'];
  const bundle = await changedBundle((members) => {
    withRevision('tasks')(members);
    changeJson(members, '/data.json', ({ permissions }: Tree) => {
      permissions.backends['employee-directory'].tools = Object.fromEntries(tools.map((name) => [name, row]));
    });
  });
  deployment = await startTestDeployment({
    delegation: 'mint',
    adjustSidecar: withoutCatalog,
    adjustEnvoy: (config) => {
      pointCluster(config, 'employee_directory', everything.port);
      pointCluster(config, 'enterprise_ledger', legacy.port);
    },
  });
  const file = `${deployment.dir}/tasks-bundle.tar.gz`;
  await replaceFile(file, bundle);
  await reconfigure(deployment, (config) => {
    config.policy.bundleFile = file;
  });
});
after(async () => {
  await deployment.stop();
  await everything.stop();
  await legacy.stop();
});

/** Requests that reached a backend. */
async function reached(cluster: string): Promise<number> {
  return (await stats(deployment.envoy.adminSocket, `cluster.${cluster}.upstream_rq_total`)).get(
    `cluster.${cluster}.upstream_rq_total`,
  ) as number;
}

const lineOf = ({ headers }: WireAnswer) =>
  deployment.decisions.waitFor('the line', ({ request_id }) => request_id === headers.get('x-request-id')?.[0]);

interface Asked {
  readonly params?: object;
  readonly claims?: TokenSpec['claims'];
  readonly name?: string;
  readonly capabilities?: object;
  readonly until?: 'end' | 'stream';
}

interface Reply extends WireAnswer {
  readonly message: Tree;
}

/** In the modern era; a token is for the directory. */
async function send(method: string, asked: Asked = {}): Promise<Reply> {
  const { params = {}, claims = {}, name, capabilities = { extensions: { [TASKS]: {} } } } = asked;
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientCapabilities': capabilities,
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  };
  const answer = await deployment.wire.http2({
    method: 'POST',
    path: DIRECTORY,
    authority: 'localhost',
    headers: [
      ['content-type', 'application/json'],
      ['accept', 'application/json, text/event-stream'],
      ['authorization', `Bearer ${deployment.testIssuer.token(deployment.directoryUrl, { claims })}`],
      ['mcp-protocol-version', MODERN],
      ['mcp-method', method],
      ...(name === undefined ? [] : [['mcp-name', name] as const]),
    ],
    body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 5, method, params: { ...params, _meta } })),
    ...(asked.until === undefined ? {} : { until: asked.until }),
  });
  const text = [...answer.body.matchAll(/^data: (\{.*\})$/gm)].at(-1)?.[1] ?? answer.body;
  return { ...answer, message: text === '' ? {} : JSON.parse(text) };
}

const about = (method: string, taskId: string, asked: Asked & { more?: object } = {}) =>
  send(method, { ...asked, name: taskId, params: { taskId, ...asked.more } });

async function begin(tool: string, args: object, asked: Asked = {}): Promise<string> {
  const { message, body } = await send('tools/call', { ...asked, name: tool, params: { name: tool, arguments: args } });
  assert.equal(message.result?.resultType, 'task', body);
  assert.match(message.result.taskId, SEALED);
  assert.doesNotMatch(body, UUID);
  return message.result.taskId;
}

async function until(taskId: string, status: string): Promise<Tree> {
  for (let round = 0; round < 200; round++) {
    const { message, body } = await about('tasks/get', taskId);
    assert.equal(message.result?.taskId, taskId, 'the id is the one that the client holds');
    assert.doesNotMatch(body, UUID);
    if (message.result.status === status) return message.result;
  }
  return assert.fail(`${taskId} never came to be ${status}`);
}

describe('the extension', () => {
  test('its owner gets it until it is done', async () => {
    const taskId = await begin('slow_compute', { seconds: 0.1, label: 'a' });
    const { result } = await until(taskId, 'completed');
    assert.deepEqual(result.content, [{ type: 'text', text: 'Computed for 0.1 s (a)' }]);
  });

  test('its owner answers what it asks', async () => {
    const taskId = await begin('confirm_delete', { filename: 'f' });
    const { inputRequests } = await until(taskId, 'input_required');
    assert.ok(inputRequests.confirm);
    const inputResponses = { confirm: { action: 'accept', content: { confirm: true } } };
    assert.deepEqual((await about('tasks/update', taskId, { more: { inputResponses } })).message.error, undefined);
    assert.deepEqual((await until(taskId, 'completed')).result.content, [{ type: 'text', text: 'f is deleted' }]);
  });

  test('its owner cancels it', async () => {
    const taskId = await begin('slow_compute', { seconds: 60 });
    assert.equal((await about('tasks/cancel', taskId)).message.error, undefined);
    await until(taskId, 'cancelled');
  });

  test('its owner goes on with another token', async () => {
    const taskId = await begin('slow_compute', { seconds: 0.01 });
    const reply = await about('tasks/get', taskId, { claims: { scope: 'directory:read', jti: 'another' } });
    assert.equal(reply.message.result.taskId, taskId);
  });

  test('a call that cannot become a task is not looked into', async () => {
    const name = 'http.edge.ext_proc.streams_started';
    const started = async () => (await stats(deployment.envoy.adminSocket, 'ext_proc.*streams_started')).get(name);
    const before = await started();
    const { message } = await send('tools/call', {
      name: 'greet',
      params: { name: 'greet', arguments: { name: 'x' } },
      capabilities: {},
    });
    assert.equal(message.result.content[0].text, 'Hello, x!');
    assert.equal(await started(), before);
  });

  const METHODS = ['tasks/get', 'tasks/update', 'tasks/cancel'] as const;
  const OTHERS: Record<string, TokenSpec['claims']> = {
    'another user': { sub: 'bob' },
    'the same user through another client': { client_id: 'bedrock-agentcore' },
  };
  for (const [who, claims = {}] of Object.entries(OTHERS)) {
    test(`${who} is refused, whatever it asks`, async () => {
      const taskId = await begin('slow_compute', { seconds: 60 });
      const seen = await reached('employee_directory');
      for (const method of METHODS) {
        const reply = await about(method, taskId, { claims });
        assertRefused(reply, 'task_forbidden', -31403);
        const line = await lineOf(reply);
        assert.deepEqual([line.decision, line.reason, line.method], ['deny', 'task_forbidden', method]);
      }
      const listened = await send('subscriptions/listen', { claims, params: { notifications: { taskIds: [taskId] } } });
      assertRefused(listened, 'task_forbidden', -31403);
      assert.equal(await reached('employee_directory'), seen);
      assert.equal((await about('tasks/cancel', taskId)).message.error, undefined, 'it is still its owner’s');
    });
  }

  test('an id that is none of ours: forged, garbled, the server’s own form', async () => {
    const taskId = await begin('slow_compute', { seconds: 0.01 });
    const changed = taskId.slice(0, 30) + (taskId[30] === 'A' ? 'B' : 'A') + taskId.slice(31);
    const seen = await reached('employee_directory');
    for (const id of [changed, taskId.slice(0, -1), `${taskId}A`, '3f0ecf0e-0000-4000-8000-000000000000', 'é', ' ']) {
      for (const method of METHODS) {
        const reply = await send(method, { name: toHeader(id), params: { taskId: id } });
        assertRefused(reply, 'task_unknown', -32602);
        assert.equal((await lineOf(reply)).reason, 'task_unknown');
      }
      const listened = await send('subscriptions/listen', { params: { notifications: { taskIds: [taskId, id] } } });
      assertRefused(listened, 'task_unknown', -32602);
    }
    assert.equal(await reached('employee_directory'), seen);
  });

  test('the header names another task than the body', async () => {
    const [mine, theirs] = [
      await begin('slow_compute', { seconds: 0.01 }),
      await begin('slow_compute', { seconds: 0.01 }, { claims: { sub: 'bob' } }),
    ];
    const reply = await send('tasks/get', { name: theirs, params: { taskId: mine } });
    assert.equal(reply.message.error.data.reason, 'header_mismatch');
  });

  test('a client that does not know the extension is told so', async () => {
    const taskId = await begin('slow_compute', { seconds: 0.01 });
    const reply = await about('tasks/get', taskId, { capabilities: {} });
    assert.deepEqual([reply.status, reply.message.error.code], [400, -32021]);
    assert.deepEqual(reply.message.error.data.requiredCapabilities, { extensions: { [TASKS]: {} } });
  });

  test('two begin at once: each has its own', async () => {
    const claims = [{ sub: 'alice' }, { sub: 'bob' }];
    const ids = await Promise.all(
      claims.map((one, at) => begin('slow_compute', { seconds: 0.05, label: `${at}` }, { claims: one })),
    );
    for (const [at, one] of claims.entries()) {
      assert.equal((await about('tasks/get', ids[at] as string, { claims: one })).message.result.taskId, ids[at]);
      const other = await about('tasks/get', ids[1 - at] as string, { claims: one });
      assertRefused(other, 'task_forbidden', -31403);
    }
  });
});

function toHeader(id: string): string {
  return /^[\x21-\x7e]+$/.test(id) ? id : `=?base64?${Buffer.from(id).toString('base64')}?=`;
}

function assertRefused({ status, message, body }: Reply, reason: string, code: number): void {
  assert.deepEqual([status, message.error?.data?.reason, message.error?.code, message.id], [200, reason, code, 5], body);
}

describe('tasks of 2025-11-25, by SDK v1 on both sides', () => {
  async function connect(claims: NonNullable<TokenSpec['claims']> = {}) {
    const token = deployment.testIssuer.token(deployment.ledgerUrl, { claims });
    const seen: string[] = [];
    const watched = (async (input: string | URL, init?: RequestInit) => {
      const response = await deployment.fetch(input, init);
      if (init?.method === 'POST') seen.push(await response.clone().text());
      return response;
    }) as typeof fetch;
    const transport = new StreamableHTTPClientTransport(new URL(deployment.ledgerUrl), {
      fetch: watched,
      requestInit: { headers: { Authorization: `Bearer ${token}` } },
    });
    const client = new Client({ name: 'test', version: '1' });
    await client.connect(transport as never);
    await client.listTools();
    return { client, tasks: client.experimental.tasks, seen };
  }

  async function begun({ tasks }: Awaited<ReturnType<typeof connect>>) {
    const stream = tasks.callToolStream({ name: 'listAccounts', arguments: {} }, CallToolResultSchema, { task: { ttl: 60_000 } });
    const first = await stream.next();
    assert.ok(first.value?.type === 'taskCreated', JSON.stringify(first.value));
    return { taskId: first.value.task.taskId, own: legacy.taskIds.at(-1) as string, stream };
  }

  test('its owner follows it to its result', async () => {
    const owner = await connect();
    const { taskId, own, stream } = await begun(owner);
    assert.match(taskId, SEALED);
    const status = await owner.tasks.getTask(taskId);
    assert.deepEqual([status.taskId, status.status], [taskId, 'working']);
    await legacy.end(own);
    let last: Tree | undefined;
    for await (const message of stream) last = message;
    assert.deepEqual([last?.type, last?.result?.content], ['result', [{ type: 'text', text: 'done' }]]);
    const result = await owner.tasks.getTaskResult(taskId, CallToolResultSchema);
    assert.equal((result as Tree)._meta['io.modelcontextprotocol/related-task'].taskId, taskId);
    assert.ok(
      owner.seen.every((text) => !text.includes(own)),
      'the server’s own id is never seen',
    );
    await owner.client.close();
  });

  test('its owner cancels it', async () => {
    const owner = await connect();
    const { taskId } = await begun(owner);
    const cancelled = await owner.tasks.cancelTask(taskId);
    assert.deepEqual([cancelled.taskId, cancelled.status], [taskId, 'cancelled']);
    await owner.client.close();
  });

  test('nobody else gets to it, and nobody gets a list', async () => {
    const owner = await connect();
    const { taskId, own } = await begun(owner);
    const other = await connect({ sub: 'bob', roles: ['employee'] });
    const seen = legacy.requests();
    for (const id of [taskId, own, 'x']) {
      const wanted = id === taskId ? /belongs to another caller/ : /no such task/;
      await assert.rejects(other.tasks.getTask(id), wanted);
      await assert.rejects(other.tasks.getTaskResult(id, CallToolResultSchema), wanted);
      await assert.rejects(other.tasks.cancelTask(id), wanted);
    }
    await assert.rejects(owner.tasks.getTask(own), /no such task/);
    await assert.rejects(owner.tasks.listTasks(), /not permitted|method/i);
    assert.equal(legacy.requests(), seen);
    await other.client.close();
    await owner.client.close();
  });
});
