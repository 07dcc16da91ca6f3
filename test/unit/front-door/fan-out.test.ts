import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createHandlers } from '../../../src/front-door/handlers.ts';
import { BackendRefused } from '../../../src/front-door/visit.ts';
import { type Ask, backend, bareVisit, json, legacyVisit, openDoor, run, runRefused } from './world.ts';

const handlers = createHandlers(200);
const HELD = {
  a: { id: 'sa', revision: '2025-11-25' },
  b: { id: null, revision: '2025-06-18' },
} as const;
const status =
  (code: number): Ask =>
  () =>
    new Response(null, { status: code });
const down: Ask = () => Promise.reject(new TypeError('down'));

suite('a notification', () => {
  for (const [method, params] of [
    ['notifications/initialized', ''],
    ['notifications/cancelled', ',"params":{"requestId":12345,"reason":"\\u00fc"}'],
    ['notifications/roots/list_changed', ''],
  ]) {
    test(`${method} goes to every backend of the session as it was written`, async () => {
      const body = ` {"method":"${method}", "jsonrpc":"2.0"${params}}`;
      const world = openDoor({ a: { ask: status(202) }, b: { ask: status(202) }, c: { ask: status(202) } });
      const replied = await run(handlers.get(method ?? ''), legacyVisit(body, HELD), world);
      assert.deepEqual([replied.status, replied.text], [202, '']);
      assert.deepEqual([world.asked.a?.[0]?.body, world.asked.b?.[0]?.body, world.asked.c?.length], [body, body, 0]);
      assert.deepEqual(world.asked.a?.[0]?.headers, {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2025-11-25',
        'mcp-session-id': 'sa',
      });
    });
  }

  test('of progress goes only to those that keep a session: no other has asked for anything', async () => {
    const body = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":0.10}}';
    const world = openDoor({ a: { ask: status(202) }, b: { ask: status(202) } });
    assert.equal((await run(handlers.get('notifications/progress'), legacyVisit(body, HELD), world)).status, 202);
    assert.deepEqual([world.asked.a?.map((sent) => sent.body), world.asked.b], [[body], []]);
  });

  test('is taken whatever comes of it; what failed is told', async () => {
    const visit = legacyVisit({ jsonrpc: '2.0', method: 'notifications/initialized' }, { ...HELD, c: HELD.a, d: HELD.a });
    const world = openDoor({
      a: { ask: status(500) },
      b: { ask: down },
      c: { ask: () => Promise.reject(new BackendRefused('policy_denied')) },
      d: { ask: () => new Promise(() => {}) },
    });
    assert.equal((await run(handlers.get('notifications/initialized'), visit, world)).status, 202);
    assert.deepEqual(
      world.unreachable.sort().map((line) => line.slice(0, 15)),
      ['a: answered 500', 'b: down', 'd: The operatio'],
    );
  });
});

suite('the log level', () => {
  const setLevel = (specs: Record<string, Ask>, by: typeof run | typeof runRefused = run) => {
    const visit = legacyVisit({ jsonrpc: '2.0', id: 3, method: 'logging/setLevel', params: { level: 'debug' } }, HELD);
    return by(
      handlers.get('logging/setLevel'),
      visit,
      openDoor(Object.fromEntries(Object.entries(specs).map(([n, ask]) => [n, { ask }]))),
    );
  };
  const takes = backend({ 'logging/setLevel': {} });
  const refuses = backend({ 'logging/setLevel': { error: { code: -32602, message: 'no such level' } } });

  test('is set where one backend takes it', async () => {
    assert.deepEqual((await setLevel({ a: takes, b: backend({}) })).message, { jsonrpc: '2.0', id: 3, result: {} });
    assert.deepEqual((await setLevel({ a: down, b: takes })).message.result, {});
  });

  test('is not set where none does, and the client hears why', async () => {
    assert.equal((await setLevel({ a: refuses, b: backend({}) })).message.error.message, 'no such level');
    const { status, message } = await setLevel({ a: backend({}), b: down }, runRefused);
    // A legacy client would take 404 for the end of its session.
    assert.deepEqual([status, message.error.code, message.error.data.reason], [200, -32601, 'method_unknown']);
  });
});

suite('the end of a session', () => {
  test('is told to every backend that keeps one', async () => {
    const world = openDoor({ a: { ask: status(200) }, b: { ask: status(200) } });
    assert.equal((await run(handlers.get('DELETE'), bareVisit('DELETE', HELD), world)).status, 204);
    assert.equal(world.asked.b?.length, 0);
    const [sent] = world.asked.a ?? [];
    assert.deepEqual([sent?.method, sent?.body, sent?.headers['mcp-session-id']], ['DELETE', undefined, 'sa']);
    assert.ok(!('content-type' in (sent?.headers ?? {})));
  });

  test('is no failure where a backend has none, or does not let go of it', async () => {
    const both = { a: HELD.a, b: { ...HELD.a, id: 'sb' } };
    for (const [codes, expected, failures] of [
      [[404, 200], 204, 0],
      [[405, 404], 204, 0],
      [[404, 404], 404, 0],
      [[500, 404], 204, 1],
    ] as const) {
      const world = openDoor({ a: { ask: status(codes[0]) }, b: { ask: status(codes[1]) } });
      const replied = await (expected === 404 ? runRefused : run)(handlers.get('DELETE'), bareVisit('DELETE', both), world);
      assert.deepEqual([replied.status, world.unreachable.length], [expected, failures], String(codes));
    }
  });

  test('needs one', async () => {
    const world = openDoor({ a: { ask: () => json('{}') } });
    const { status, message } = await runRefused(handlers.get('DELETE'), bareVisit('DELETE', null), world);
    assert.deepEqual([status, message.error.data.reason], [400, 'header_invalid']);
  });
});
