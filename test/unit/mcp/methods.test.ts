/**
 * The closed table, against a list written out from the MCP schemas by hand and against the schemas of the official SDKs:
 * which method exists in which revision, which params it needs and which objects it names.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as v2 from '@modelcontextprotocol/core';
import * as v1 from '@modelcontextprotocol/sdk/types.js';
import { findMethod, METHODS, type Target } from '../../../src/mcp/methods.ts';
import { REVISIONS } from '../../../src/mcp/revisions.ts';

/** A = 2024-11-05, B = 2025-03-26, C = 2025-06-18, D = 2025-11-25, E = 2026-07-28. */
const REQUESTS: Record<string, string> = {
  initialize: 'ABCD',
  'server/discover': 'E',
  ping: 'ABCD',
  'tools/list': 'ABCDE',
  'resources/list': 'ABCDE',
  'resources/templates/list': 'ABCDE',
  'prompts/list': 'ABCDE',
  'tools/call': 'ABCDE',
  'resources/read': 'ABCDE',
  'resources/subscribe': 'ABCD',
  'resources/unsubscribe': 'ABCD',
  'subscriptions/listen': 'E',
  'prompts/get': 'ABCDE',
  'completion/complete': 'ABCDE',
  'logging/setLevel': 'ABCD',
  'tasks/get': 'DE',
  'tasks/cancel': 'DE',
  'tasks/result': 'D',
  'tasks/list': 'D',
  'tasks/update': 'E',
};
const NOTIFICATIONS: Record<string, string> = {
  'notifications/initialized': 'ABCD',
  'notifications/roots/list_changed': 'ABCD',
  'notifications/cancelled': 'ABCD',
  'notifications/progress': 'ABCD',
  'notifications/tasks/status': 'D',
};
const MIRRORED: Record<string, string> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
};

suite('each method exists in its revisions and in no other', () => {
  for (const [kind, table] of [
    ['request', REQUESTS],
    ['notification', NOTIFICATIONS],
  ] as const) {
    for (const [method, letters] of Object.entries(table)) {
      test(`${kind} ${method}: ${letters}`, () => {
        const found = REVISIONS.map((revision, index) => (findMethod(method, kind, revision) ? 'ABCDE'[index] : ''));
        assert.equal(found.join(''), letters);
        const other = kind === 'request' ? 'notification' : 'request';
        for (const revision of REVISIONS) assert.equal(findMethod(method, other, revision), undefined);
        assert.equal(METHODS.get(method)?.mirrored, MIRRORED[method]);
      });
    }
  }

  test('there is no other method', () => {
    assert.deepEqual([...METHODS.keys()].sort(), [...Object.keys(REQUESTS), ...Object.keys(NOTIFICATIONS)].sort());
  });

  const strangers = ['', 'Ping', 'ping ', 'tools/Call', 'tools/call\0', 'tools//call', 'constructor', '__proto__', 'toString'];
  const ofServers = ['sampling/createMessage', 'roots/list', 'elicitation/create', 'notifications/message', 'rpc.discover'];
  for (const method of [...strangers, ...ofServers]) {
    test(`${JSON.stringify(method)} is unknown`, () => {
      for (const revision of REVISIONS)
        for (const kind of ['request', 'notification'] as const) assert.equal(findMethod(method, kind, revision), undefined);
    });
  }
});

/** What the SDKs say a client sends. */
type Literal = { readonly shape: { readonly method: { readonly value: string } } };
type Schema = { readonly safeParse: (value: unknown) => { readonly success: boolean } };

function schemasOf(union: { readonly options: readonly unknown[] }): Map<string, Schema> {
  return new Map(union.options.map((option) => [(option as Literal).shape.method.value, option as Schema]));
}

const SDK = {
  v1: new Map([...schemasOf(v1.ClientRequestSchema), ...schemasOf(v1.ClientNotificationSchema)]),
  v2: new Map([...schemasOf(v2.ClientRequestSchema), ...schemasOf(v2.ClientNotificationSchema)]),
};

suite('the official SDKs have the same methods', () => {
  test('v1, up to 2025-11-25', () => {
    const legacy = Object.entries({ ...REQUESTS, ...NOTIFICATIONS }).filter(([, letters]) => letters !== 'E');
    assert.deepEqual([...SDK.v1.keys()].sort(), legacy.map(([method]) => method).sort());
  });

  test('v2, both eras: all of its methods are in the table, and what it lacks are tasks', () => {
    const absent = [...METHODS.keys()].filter((method) => !SDK.v2.has(method));
    assert.deepEqual(
      [...SDK.v2.keys()].filter((method) => !METHODS.has(method)),
      [],
    );
    assert.deepEqual(
      absent.filter((method) => !method.includes('tasks/')),
      [],
    );
  });
});

/** Params of each method that are in order, and the objects they name. */
const tool = (name: string): Target => ({ type: 'tool', name });
const prompt = (name: string): Target => ({ type: 'prompt', name });
const resource = (name: string): Target => ({ type: 'resource', name });
const task = (name: string): Target => ({ type: 'task', name });
const info = { name: 'client', version: '1' };
const full: Record<string, [params: Record<string, unknown>, targets: Target[], required: string[]]> = {
  initialize: [
    { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: info },
    [],
    ['protocolVersion', 'capabilities', 'clientInfo'],
  ],
  'server/discover': [{}, [], []],
  ping: [{}, [], []],
  'tools/list': [{ cursor: 'c' }, [], []],
  'resources/list': [{ cursor: 'c' }, [], []],
  'resources/templates/list': [{ cursor: 'c' }, [], []],
  'prompts/list': [{ cursor: 'c' }, [], []],
  'tasks/list': [{ cursor: 'c' }, [], []],
  'tools/call': [{ name: 'read', arguments: { a: 1 }, task: { ttl: 1 } }, [tool('read')], ['name']],
  'resources/read': [{ uri: 'file:///a' }, [resource('file:///a')], ['uri']],
  'resources/subscribe': [{ uri: 'file:///a' }, [resource('file:///a')], ['uri']],
  'resources/unsubscribe': [{ uri: 'file:///a' }, [resource('file:///a')], ['uri']],
  'subscriptions/listen': [
    { notifications: { resourceSubscriptions: ['file:///a', 'file:///b'], taskIds: ['t'], toolsListChanged: true } },
    [resource('file:///a'), resource('file:///b'), task('t')],
    ['notifications'],
  ],
  'prompts/get': [{ name: 'greet', arguments: { who: 'me' } }, [prompt('greet')], ['name']],
  'completion/complete': [
    { ref: { type: 'ref/prompt', name: 'greet' }, argument: { name: 'who', value: 'm' }, context: { arguments: { x: 'y' } } },
    [prompt('greet')],
    ['ref', 'argument'],
  ],
  'logging/setLevel': [{ level: 'info' }, [], ['level']],
  'tasks/get': [{ taskId: 't' }, [task('t')], ['taskId']],
  'tasks/cancel': [{ taskId: 't' }, [task('t')], ['taskId']],
  'tasks/result': [{ taskId: 't' }, [task('t')], ['taskId']],
  'tasks/update': [{ taskId: 't', inputResponses: {} }, [task('t')], ['taskId']],
  'notifications/initialized': [{}, [], []],
  'notifications/roots/list_changed': [{}, [], []],
  'notifications/cancelled': [{ requestId: 7, reason: 'r' }, [], []],
  'notifications/progress': [{ progressToken: 'p', progress: 1 }, [], ['progressToken']],
  'notifications/tasks/status': [
    { taskId: 't', status: 'working', ttl: null, createdAt: '2026-01-01T00:00:00Z', lastUpdatedAt: '2026-01-01T00:00:00Z' },
    [task('t')],
    ['taskId'],
  ],
};

const KNOWN_OPTIONAL = new Set(['cursor', 'arguments', 'task', 'inputResponses', 'context', 'requestId', 'reason']);

function targetsOf(method: string, params: unknown): readonly Target[] | null {
  const row = METHODS.get(method);
  assert.ok(row);
  return row.targets(params as Record<string, unknown>);
}

suite('params', () => {
  test('every method has an example here', () => assert.deepEqual(Object.keys(full).sort(), [...METHODS.keys()].sort()));

  for (const [method, [params, targets, required]] of Object.entries(full)) {
    const sdks = Object.entries(SDK).flatMap(
      ([name, schemas]) => schemas.get(method)?.safeParse({ method, params }).success ?? name,
    );

    test(`${method}: in order for us, and for the SDKs that have it`, () => {
      assert.deepEqual(targetsOf(method, params), targets);
      assert.deepEqual(targetsOf(method, { ...params, _meta: { progressToken: 1 }, 'x-unknown': [1] }), targets);
      assert.ok(!sdks.includes(false), 'an SDK refuses the example');
      assert.ok(sdks.includes(true) || method === 'tasks/update', 'no SDK has the method');
    });

    for (const name of required) {
      test(`${method}: not without ${name}, and not with a null, a number, a list or a look-alike in its place`, () => {
        const { [name]: value, ...rest } = params;
        assert.equal(targetsOf(method, rest), null);
        const odd = [null, [], true, ''].filter((one) => !(one === '' && name === 'progressToken'));
        for (const other of odd) assert.equal(targetsOf(method, { ...rest, [name]: other }), null);
        const look = [name.toUpperCase(), `${name}\0`, `${name.slice(0, -1)}\u200b${name.slice(-1)}`];
        for (const alike of look) {
          assert.equal(targetsOf(method, { ...rest, [alike]: value }), null);
          assert.equal(targetsOf(method, { ...params, [alike]: value }), null);
        }
      });
    }

    test(`${method}: an optional member of another shape is refused, and so is its look-alike`, () => {
      for (const name of Object.keys(params).filter((one) => KNOWN_OPTIONAL.has(one) && !required.includes(one))) {
        for (const other of [null, 1.5, [], true]) assert.equal(targetsOf(method, { ...params, [name]: other }), null, name);
        assert.equal(targetsOf(method, { ...params, [name.toUpperCase()]: 1 }), null, name);
      }
    });
  }
});

suite('what names the object', () => {
  test('the answers to earlier questions ride along in the modern era', () => {
    for (const [method, params] of [
      ['tools/call', { name: 'x' }],
      ['prompts/get', { name: 'x' }],
      ['resources/read', { uri: 'x' }],
    ] as const) {
      assert.ok(targetsOf(method, { ...params, inputResponses: { a: 1 }, requestState: 's' }));
      assert.equal(targetsOf(method, { ...params, inputResponses: [] }), null);
      assert.equal(targetsOf(method, { ...params, requestState: {} }), null);
      assert.equal(targetsOf(method, { ...params, REQUESTSTATE: 's' }), null);
    }
  });

  test('nothing that a message names is longer than any real name', () => {
    const long = 'x'.repeat(2049);
    const taken = (method: string, params: object) => METHODS.get(method)?.targets(params as never);
    for (const [method, member] of [
      ['tools/call', 'name'],
      ['prompts/get', 'name'],
      ['resources/read', 'uri'],
      ['tasks/get', 'taskId'],
    ] as const) {
      assert.equal(taken(method, { [member as string]: long }), null, method);
      assert.equal(taken(method, { [member as string]: long.slice(1) })?.length, 1, method);
    }
    assert.equal(taken('subscriptions/listen', { notifications: { taskIds: ['t', long] } }), null);
  });

  test('a completion names the prompt or the resource that it completes', () => {
    const argument = { name: 'a', value: '' };
    const complete = (ref: unknown, rest: object = {}) => targetsOf('completion/complete', { ref, argument, ...rest });
    assert.deepEqual(complete({ type: 'ref/prompt', name: 'p', title: 'P' }), [prompt('p')]);
    assert.deepEqual(complete({ type: 'ref/resource', uri: 'file:///{x}' }), [
      { type: 'resource_template', name: 'file:///{x}' },
    ]);
    for (const ref of [
      {},
      { type: 'ref/prompt' },
      { type: 'ref/prompt', uri: 'x' },
      { type: 'ref/prompt', name: 'p', Name: 'q' },
      { type: 'ref/prompt', name: 'p', TYPE: 'ref/resource' },
      { type: 'ref/prompt', name: ['p'] },
      { type: 'ref/resource' },
      { type: 'ref/resource', name: 'x' },
      { type: 'ref/resource', uri: 'x', URI: 'y' },
      { type: 'ref/tool', name: 'x' },
      { type: 'REF/PROMPT', name: 'x' },
      { name: 'x' },
      { TYPE: 'ref/prompt', name: 'x' },
      'ref/prompt',
    ])
      assert.equal(complete(ref), null, JSON.stringify(ref));
    for (const other of [{ name: '' }, {}, { name: 'a', value: 1 }, { name: 'a', Name: 'b', value: '' }, null, 'a'])
      assert.equal(complete({ type: 'ref/prompt', name: 'p' }, { argument: other }), null, JSON.stringify(other));
  });

  test('a subscription names all that it listens to', () => {
    const listen = (notifications: unknown) => targetsOf('subscriptions/listen', { notifications });
    assert.deepEqual(listen({}), []);
    assert.deepEqual(listen({ promptsListChanged: true, resourcesListChanged: false, toolsListChanged: true }), []);
    assert.deepEqual(listen({ taskIds: [], resourceSubscriptions: ['a'] }), [resource('a')]);
    assert.equal(listen({ taskIds: Array(256).fill('t') })?.length, 256);
    for (const notifications of [
      null,
      [],
      { resourceSubscriptions: 'a' },
      { resourceSubscriptions: null },
      { resourceSubscriptions: [''] },
      { resourceSubscriptions: [1] },
      { resourceSubscriptions: { 0: 'a' } },
      { resourceSubscriptions: ['a', null] },
      { ResourceSubscriptions: ['a'] },
      { resourceSubscriptions: ['a'], 'resourceSubscriptions\0': ['b'] },
      { taskids: ['t'] },
      { taskIds: Array(257).fill('t') },
      { toolsListChanged: 'yes' },
      { ToolsListChanged: true },
      { PROMPTSLISTCHANGED: true },
      { resourceslistchanged: true },
    ])
      assert.equal(listen(notifications), null, JSON.stringify(notifications)?.slice(0, 60));
  });

  test('an id of a cancelled request is a string or an integer, or absent', () => {
    for (const requestId of ['x', '', 0, -3, undefined])
      assert.deepEqual(targetsOf('notifications/cancelled', { requestId }), []);
    for (const requestId of [null, 1.5, true, {}, ['x']]) assert.equal(targetsOf('notifications/cancelled', { requestId }), null);
  });
});
