import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { principalKey } from '../../../src/check/session.ts';
import { createHandlers } from '../../../src/front-door/handlers.ts';
import { BackendRefused } from '../../../src/front-door/visit.ts';
import { alice } from '../support/facts.ts';
import { type Ask, backend, json, legacyVisit, messageOf, modernVisit, openDoor, run } from './world.ts';

const handlers = createHandlers(200);
const initialize = handlers.get('initialize');
const MODERN_VIEW = { eras: { legacy: false, modern: true }, capabilities: { tools: { listChanged: true } }, instructions: null };

const PARAMS =
  '{"protocolVersion":"2025-06-18","capabilities":{"sampling":{"n":12345678901234567890}},"clientInfo":{"name":"c","version":"1"}}';

function begin(params: object | null = null, id = '"i"') {
  const text = params === null ? PARAMS.replace('12345678901234567890', '1.5') : JSON.stringify(params);
  return legacyVisit(`{"jsonrpc":"2.0","id":${id},"method":"initialize","params": ${text} }`);
}

suite('initialize', () => {
  test('begins a session at every legacy backend with what the client said, and binds them into one', async () => {
    const world = openDoor({
      a: {
        ask: backend(
          {},
          { sessionId: 'sa', revision: '2025-06-18', capabilities: { tools: { listChanged: true }, logging: {} } },
        ),
      },
      b: { ask: backend({}, { revision: '2025-03-26', capabilities: { resources: { subscribe: true }, completions: {} } }) },
    });
    const { headers, message } = await run(initialize, begin(), world);
    assert.equal(headers['mcp-session-id'], 'sealed-1');
    assert.deepEqual(world.sessions, [
      {
        principal: principalKey(alice),
        resource: 'door',
        backends: { a: { id: 'sa', revision: '2025-06-18' }, b: { id: null, revision: '2025-03-26' } },
      },
    ]);
    const { serverInfo, ...result } = message.result;
    assert.equal(message.id, 'i');
    assert.deepEqual(result, {
      protocolVersion: '2025-06-18',
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, completions: {}, logging: {} },
    });
    assert.equal(serverInfo.name, 'mcp-ext-authz');
    for (const name of ['a', 'b']) {
      assert.equal(world.asked[name]?.length, 1);
      assert.ok(
        world.asked[name]?.[0]?.body?.includes(PARAMS.replace('12345678901234567890', '1.5')),
        'as the client wrote them',
      );
      assert.equal(world.asked[name]?.[0]?.headers['mcp-protocol-version'], undefined);
    }
  });

  test('with a revision that is not known is answered with the latest of its era', async () => {
    for (const protocolVersion of ['2099-01-01', '2026-07-28']) {
      const world = openDoor({ a: { ask: backend({}) } });
      const { message } = await run(initialize, begin({ protocolVersion, capabilities: {}, clientInfo: {} }), world);
      assert.equal(message.result.protocolVersion, '2025-11-25');
    }
  });

  test('tells of backends that are away or of the other era what is known of them', async () => {
    const world = openDoor({
      a: {
        ask: () => Promise.reject(new TypeError('down')),
        view: { capabilities: { prompts: {}, logging: {} }, instructions: ' Ask politely. ' },
      },
      b: { ask: backend({}), view: { ...MODERN_VIEW, instructions: 'x'.repeat(5000) } },
      c: { ask: backend({ initialize: { error: { code: -32022, message: 'no' } } }), view: null },
      d: { ask: () => Promise.reject(new BackendRefused('policy_denied')) },
    });
    const { message } = await run(initialize, begin(), world);
    assert.deepEqual(message.result.capabilities, { tools: { listChanged: true }, prompts: {} });
    const [first, second] = message.result.instructions.split('\n\n');
    assert.equal(first, 'Of what begins with a_:\nAsk politely.');
    assert.equal(second, `Of what begins with b_:\n${'x'.repeat(4096)}`);
    assert.deepEqual(world.sessions[0]?.backends, {});
    assert.deepEqual(world.unreachable, ['a: down'], 'to refuse or to know no handshake is no failure');
    assert.equal(world.asked.b?.length, 0);
  });

  const nonsense: Record<string, Ask> = {
    'a revision that nobody knows': backend({}, { revision: '1999-01-01' }),
    'a revision without sessions': backend({}, { revision: '2026-07-28' }),
    'no capabilities': backend({ initialize: { protocolVersion: '2025-11-25' } }),
    'an error': backend({ initialize: { error: { code: -32603, message: 'x' } } }),
    'a session id that no header may have': backend({}, { sessionId: 'a b' }),
    'nothing in time': () => new Promise(() => {}),
    'a challenge': () => json('{"error":"invalid_token"}', { status: 401 }),
  };
  for (const [name, ask] of Object.entries(nonsense)) {
    test(`goes on without a backend that answers ${name}`, async () => {
      const world = openDoor({ a: { ask, view: null }, b: { ask: backend({}, { sessionId: 'sb' }) } });
      const { message } = await run(initialize, begin(), world);
      assert.deepEqual(message.result.capabilities, { tools: {} });
      assert.deepEqual(Object.keys(world.sessions[0]?.backends ?? {}), ['b']);
      assert.equal(world.unreachable.length, 1);
    });
  }

  test('of a client that left before the answer leaves no sessions behind', async () => {
    const gone = new AbortController();
    const handshake = backend({}, { sessionId: 'sa' });
    const world = openDoor({
      a: { ask: handshake },
      b: {
        ask: () => {
          // After the answer of the other has been read.
          setImmediate(() => setImmediate(() => setImmediate(() => gone.abort(new Error('left')))));
          return new Promise(() => {});
        },
      },
    });
    assert.equal((await run(initialize, begin(), world, gone.signal)).status, 0);
    const last = world.asked.a?.at(-1);
    assert.deepEqual([last?.method, last?.headers['mcp-session-id']], ['DELETE', 'sa']);
    assert.deepEqual(world.unreachable, []);
  });
});

test('server/discover tells what is known of all, and is for one caller', async () => {
  const view = {
    eras: { legacy: true, modern: true },
    capabilities: { tools: {}, extensions: { 'io.modelcontextprotocol/tasks': { a: 1 } } },
  };
  const world = openDoor({
    a: { ask: backend({}), view: { ...view, instructions: 'Hello.' } },
    b: {
      ask: backend({}),
      view: { capabilities: { resources: { subscribe: true, listChanged: true }, logging: {}, tasks: {} } },
    },
    c: { ask: backend({}), view: null },
  });
  const { message } = await run(handlers.get('server/discover'), modernVisit('server/discover', {}, 'd'), world);
  const { _meta, ...result } = message.result;
  assert.equal(message.id, 'd');
  assert.deepEqual(result, {
    resultType: 'complete',
    supportedVersions: ['2026-07-28'],
    capabilities: { tools: {}, resources: { listChanged: true }, extensions: { 'io.modelcontextprotocol/tasks': {} } },
    instructions: 'Of what begins with a_:\nHello.',
    ttlMs: 0,
    cacheScope: 'private',
  });
  assert.equal(_meta['io.modelcontextprotocol/serverInfo'].name, 'mcp-ext-authz');
  assert.deepEqual(Object.values(world.asked).flat(), []);
});

test('tasks of 2025-11-25 are there where a backend of the session has them', async () => {
  const tasks = { list: {}, requests: { tools: { call: {} } } };
  const world = openDoor({
    a: { ask: backend({}, { capabilities: { tasks } }) },
    b: { ask: backend({}, { capabilities: { tasks: { cancel: {} } } }) },
  });
  const { message } = await run(initialize, begin(), world);
  assert.deepEqual(message.result.capabilities, { tasks: { ...tasks, cancel: {} } });
});

test('ping is answered here', async () => {
  const visit = legacyVisit('{"jsonrpc":"2.0","id":12345678901234567890,"method":"ping"}');
  const { text } = await run(handlers.get('ping'), visit, openDoor({}));
  assert.equal(text, '{"jsonrpc":"2.0","id":12345678901234567890,"result":{}}');
});

test('what a backend is asked in the handshake is one request with the id of the client', async () => {
  const world = openDoor({ a: { ask: backend({}) } });
  await run(initialize, begin(null, '9007199254740993'), world);
  assert.match(world.asked.a?.[0]?.body ?? '', /"id":9007199254740993,/);
  assert.equal(messageOf(world.asked.a?.[0] as never).method, 'initialize');
});
