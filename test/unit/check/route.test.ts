import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { findRoute, type Route } from '../../../src/check/route.ts';
import { principalKey, type Session, sealSession } from '../../../src/check/session.ts';
import { sealTask } from '../../../src/check/task.ts';
import type { HttpFacts } from '../../../src/http.ts';
import { readOperation } from '../../../src/mcp/operation.ts';
import type { Resource } from '../../../src/resource.ts';
import { createSealer } from '../../../src/seal.ts';
import type { Principal } from '../../../src/token/principal.ts';
import { alice, bare, ledger, type RequestSpec, request } from '../support/facts.ts';

const sealer = createSealer([Buffer.alloc(32, 1)]);
const LIMITS = { maxBytes: 65_536, maxDepth: 64, maxMembers: 64 };
const directory: Resource = { ...ledger, name: 'directory', path: '/directory/mcp' };
const door: Resource = {
  ...ledger,
  name: 'front-door',
  path: '/mcp',
  members: [
    { resource: ledger, prefix: 'ledger' },
    { resource: directory, prefix: 'directory' },
  ],
};
const bob: Principal = { ...alice, subject: 'bob' };
const session: Session = {
  principal: principalKey(alice),
  resource: 'ledger',
  backends: { ledger: { id: 'own', revision: '2025-11-25' } },
};
const held = sealSession(sealer, session);

function find(http: HttpFacts, { resource = ledger, principal = alice, seals = true } = {}) {
  const operation = readOperation(http, LIMITS);
  assert.ok(operation.ok, JSON.stringify(operation));
  return findRoute({ http, resource, operation: operation.value, principal }, seals ? sealer : null, () => null);
}

function route(...asked: Parameters<typeof find>): Route {
  const found = find(...asked);
  assert.ok(found.ok, JSON.stringify(found));
  return found.value;
}

function reason(...asked: Parameters<typeof find>): string | null {
  const found = find(...asked);
  return found.ok ? null : found.denial.reason;
}

const legacy = (method: string, params: object = {}, spec: RequestSpec = {}) =>
  request({ body: { jsonrpc: '2.0', id: 1, method, params }, ...spec });
const withSession = (id: string | string[]): RequestSpec => ({ lines: { 'mcp-session-id': id } });
const TASKS = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
function modern(method: string, params: object, lines: Record<string, string> = {}, capabilities: object = TASKS): HttpFacts {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': capabilities,
  };
  return legacy(
    method,
    { ...params, _meta },
    { lines: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, ...lines } },
  );
}
const spliced = (http: HttpFacts, { splice }: Route): any => {
  assert.ok(splice);
  const text = Buffer.from(http.body).toString('utf8');
  const bytes = Buffer.from(http.body);
  assert.equal(bytes.toString('utf8', splice.start, splice.end), splice.from);
  assert.ok(text.includes(splice.from));
  return JSON.parse(
    Buffer.concat([bytes.subarray(0, splice.start), Buffer.from(splice.to), bytes.subarray(splice.end)]).toString(),
  );
};

test('without a sealer ids are the backend’s own', () => {
  const found = route(legacy('tasks/get', { taskId: 't-1' }, withSession('own')), { seals: false });
  assert.deepEqual([found.backend, found.session, found.splice], [ledger, null, null]);
});

suite('sessions', () => {
  test('of the principal', () => {
    assert.deepEqual(route(legacy('tools/list', {}, withSession(held))).session, session);
    assert.deepEqual(route(bare('GET', withSession(` ${held}`.trim()))).session, session);
    assert.equal(route(legacy('tools/list')).session, null);
  });
  test('of somebody else', () => {
    for (const principal of [bob, { ...alice, clientId: 'x' }, { ...alice, issuer: 'https://x.example' }]) {
      for (const http of [
        legacy('tools/list', {}, withSession(held)),
        bare('GET', withSession(held)),
        bare('DELETE', withSession(held)),
      ]) {
        assert.equal(reason(http, { principal }), 'session_forbidden');
      }
    }
  });
  test('of another resource, of the backend, of nobody', () => {
    assert.equal(reason(legacy('tools/list', {}, withSession(held)), { resource: directory }), 'session_unknown');
    assert.equal(reason(legacy('tools/list', {}, withSession(held)), { resource: door }), 'session_unknown');
    for (const id of ['own', '', 'x']) assert.equal(reason(legacy('tools/list', {}, withSession(id))), 'session_unknown', id);
  });
  test('two', () => assert.equal(reason(legacy('tools/list', {}, withSession([held, held]))), 'header_invalid'));
  test('mean nothing in the modern era', () => {
    const found = route(modern('tools/list', {}, { 'mcp-session-id': 'x' }));
    assert.deepEqual([found.backend, found.session], [ledger, null]);
  });
});

suite('tasks', () => {
  const task = { principal: principalKey(alice), backend: 'ledger', id: 'own-é"' };
  const taskId = sealTask(sealer, task);

  test('of the principal get their own id back, in the body and for policy', () => {
    for (const http of [
      legacy('tasks/get', { taskId }),
      legacy('tasks/result', { taskId }),
      legacy('tasks/cancel', { taskId }),
      modern('tasks/get', { taskId }, { 'mcp-name': taskId }),
      modern('tasks/update', { taskId, inputResponses: {} }, { 'mcp-name': taskId }),
    ]) {
      const found = route(http);
      assert.equal(spliced(http, found).params.taskId, task.id);
      assert.deepEqual(found.operation.targets, [{ type: 'task', name: task.id }]);
      assert.equal(found.backend, ledger);
    }
  });
  test('of somebody else', () => {
    assert.equal(reason(legacy('tasks/get', { taskId }), { principal: bob }), 'task_forbidden');
    assert.equal(reason(modern('tasks/cancel', { taskId }, { 'mcp-name': taskId }), { principal: bob }), 'task_forbidden');
  });
  test('of another backend, of nobody, or a session', () => {
    assert.equal(reason(legacy('tasks/get', { taskId }), { resource: directory }), 'task_unknown');
    for (const id of ['own', held, taskId.slice(1)])
      assert.equal(reason(legacy('tasks/get', { taskId: id })), 'task_unknown', id);
  });
  test('at the front door, of one of its backends', () => {
    assert.equal(route(legacy('tasks/get', { taskId }), { resource: door }).backend, ledger);
  });
  test('need the extension in the modern era, known or not', () => {
    for (const id of [taskId, 'x']) {
      assert.equal(reason(modern('tasks/get', { taskId: id }, { 'mcp-name': id }, {})), 'capability_missing');
    }
  });
  test('that are listened to are all the caller’s own', () => {
    const listen = (...taskIds: string[]) =>
      modern('subscriptions/listen', { notifications: { resourceSubscriptions: ['a://b'], taskIds, toolsListChanged: true } });
    const http = listen(taskId, taskId);
    const found = route(http);
    assert.deepEqual(spliced(http, found).params.notifications, {
      resourceSubscriptions: ['a://b'],
      taskIds: [task.id, task.id],
      toolsListChanged: true,
    });
    assert.deepEqual(
      found.operation.targets.map(({ name }) => name),
      ['a://b', task.id, task.id],
    );
    assert.equal(reason(listen(taskId), { principal: bob }), 'task_forbidden');
    assert.equal(reason(listen(taskId, 'own')), 'task_unknown');
    assert.equal(reason(listen(taskId), { resource: directory }), 'task_unknown');
    assert.equal(route(listen()).splice, null);
  });
});

suite('names at the front door', () => {
  const call = (name: string) => legacy('tools/call', { arguments: { name: 'ledger_getBalance' }, name });
  // Of a target that is named like the prefix, too, and of gateways in a row.
  const names = ['ledger_getBalance', 'target___ledger_getBalance', 'ledger___ledger_getBalance', 'a___b___ledger_getBalance'];
  for (const name of names) {
    test(name, () => {
      const found = route(call(name), { resource: door });
      assert.equal(found.backend, ledger);
      assert.deepEqual([found.operation.tool, found.operation.targets[0]?.name], ['getBalance', 'getBalance']);
      assert.deepEqual(spliced(call(name), found).params, { arguments: { name: 'ledger_getBalance' }, name: 'getBalance' });
    });
  }
  for (const name of ['getBalance', 'ledger_', 'ledger', 'other_getBalance', 'a___b___c___d___e___ledger_x']) {
    test(`${name} is nobody's`, () => assert.equal(reason(call(name), { resource: door }), 'target_unknown'));
  }
  test('a single resource has them as they are', () => assert.equal(route(call('ledger_getBalance')).splice, null));
});
