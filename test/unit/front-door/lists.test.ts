import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readCursor, writeCursor } from '../../../src/front-door/cursor.ts';
import { VisitRefused } from '../../../src/front-door/handler.ts';
import { createHandlers } from '../../../src/front-door/handlers.ts';
import { BackendRefused } from '../../../src/front-door/visit.ts';
import { deny } from '../../../src/result.ts';
import {
  type Ask,
  backend,
  json,
  legacyVisit,
  type MemberSpec,
  messageOf,
  modernVisit,
  openDoor,
  run,
  runRefused,
} from './world.ts';

const handlers = createHandlers(200);
const listTools = handlers.get('tools/list');
const MODERN_VIEW = { eras: { legacy: false, modern: true } };
const HELD = { a: { id: 'sa', revision: '2025-11-25' }, b: { id: null, revision: '2025-06-18' } } as const;

function listVisit(
  params: object = {},
  session: Parameters<typeof legacyVisit>[1] = HELD,
  method = 'tools/list',
  id: unknown = 7,
) {
  return legacyVisit({ jsonrpc: '2.0', id, method, params }, session);
}

function tools(...names: string[]): Record<string, object> {
  return { 'tools/list': { tools: names.map((name) => ({ name, inputSchema: { type: 'object' } })) } };
}

function namesOf({ message }: { message: any }): string[] {
  return message.result.tools.map(({ name }: { name: string }) => name);
}

suite('a merged list', () => {
  test('has what the caller may use of every backend, under its prefix and as it was written', async () => {
    const item = '{"inputSchema":{"maximum":12345678901234567890, "x":1.10},"n\\u0061me" : "read","title":"\\"name\\":\\"x\\""}';
    const text = `{"jsonrpc":"2.0","id":7,"result":{"tools":[ ${item} ,{"name":"secretTool"}]}}`;
    const world = openDoor({ a: { ask: () => json(text), prefix: 'led"ger' }, b: { ask: backend(tools('list', 'get')) } });
    const { text: answer } = await run(listTools, listVisit(), world);
    const renamed = item.replace('"read"', '"led\\"ger_read"');
    const rest = '{"name":"b_list","inputSchema":{"type":"object"}},{"name":"b_get","inputSchema":{"type":"object"}}';
    assert.equal(answer, `{"jsonrpc":"2.0","id":7,"result":{"tools":[${renamed},${rest}]}}`);
    assert.deepEqual(world.unreachable, []);
  });

  test('is asked for in the session that the visitor holds, with its id and each revision', async () => {
    const world = openDoor({ a: { ask: backend(tools('x')) }, b: { ask: backend(tools('y')) } });
    await run(listTools, listVisit({}, HELD, 'tools/list', 'my "id"'), world);
    const [a, b] = [world.asked.a?.[0], world.asked.b?.[0]];
    assert.equal(world.asked.a?.length, 1);
    assert.deepEqual([a?.headers['mcp-session-id'], a?.headers['mcp-protocol-version']], ['sa', '2025-11-25']);
    assert.deepEqual([b?.headers['mcp-session-id'], b?.headers['mcp-protocol-version']], [undefined, '2025-06-18']);
    assert.deepEqual(messageOf(a as never), { jsonrpc: '2.0', id: 'my "id"', method: 'tools/list', params: {} });
  });

  test('of a modern client has a legacy backend, in a session that begins and ends for it', async () => {
    const world = openDoor({
      a: { ask: backend(tools('x'), { sessionId: 's1' }) },
      b: { ask: backend(tools('y')), view: MODERN_VIEW },
    });
    const { message } = await run(listTools, modernVisit('tools/list', {}, 'r1'), world);
    const { tools: listed, ...rest } = message.result;
    assert.deepEqual(
      listed.map(({ name }: { name: string }) => name),
      ['a_x', 'b_y'],
    );
    assert.deepEqual(rest, { resultType: 'complete', ttlMs: 0, cacheScope: 'private' });
    const sent = world.asked.a?.map(({ method, body, headers }) => [
      method === 'POST' ? JSON.parse(body ?? '').method : method,
      headers['mcp-session-id'],
    ]);
    assert.deepEqual(sent, [
      ['initialize', undefined],
      ['notifications/initialized', 's1'],
      ['tools/list', 's1'],
      ['DELETE', 's1'],
    ]);
    assert.deepEqual(messageOf(world.asked.a?.[0] as never).params, {
      protocolVersion: '2025-11-25',
      // Its replies to what the backend asked could not come back into this session.
      capabilities: {},
      clientInfo: { name: 'test', version: '1' },
    });
    assert.ok(world.asked.a?.every(({ headers }) => !('mcp-method' in headers)));
  });

  test('of a legacy client has a modern backend, with an envelope that promises nothing', async () => {
    const world = openDoor({ a: { ask: backend(tools('x')), view: MODERN_VIEW } });
    assert.deepEqual(namesOf(await run(listTools, listVisit({}, {}), world)), ['a_x']);
    const [sent] = world.asked.a ?? [];
    assert.equal(world.asked.a?.length, 1);
    assert.equal(sent?.headers['mcp-protocol-version'], '2026-07-28');
    assert.equal(sent?.headers['mcp-method'], 'tools/list');
    const meta = messageOf(sent as never).params._meta;
    assert.equal(meta['io.modelcontextprotocol/protocolVersion'], '2026-07-28');
    assert.deepEqual(meta['io.modelcontextprotocol/clientCapabilities'], {});
    assert.equal(meta['io.modelcontextprotocol/clientInfo'].name, 'mcp-ext-authz');
  });

  test('may be kept for as long as its shortest-lived part, and not where a part is missing', async () => {
    const part = (ttlMs: unknown): MemberSpec => ({
      ask: backend({ 'tools/list': { tools: [], ttlMs, cacheScope: 'public', resultType: 'complete' } }),
      view: MODERN_VIEW,
    });
    const ttl = async (specs: Record<string, MemberSpec>) =>
      (await run(listTools, modernVisit('tools/list'), openDoor(specs))).message.result.ttlMs;
    assert.equal(await ttl({ a: part(5000), b: part(3000) }), 3000);
    assert.equal(await ttl({ a: part(5000), b: part('x') }), 0);
    assert.equal(await ttl({ a: part(5000), b: { ask: () => Promise.reject(new Error('down')), view: MODERN_VIEW } }), 0);
  });

  test('leaves addresses as they are; the first backend that has one keeps it', async () => {
    const resources = (...uris: string[]) =>
      backend({ 'resources/list': { resources: uris.map((uri) => ({ uri, name: uri })) } });
    const world = openDoor({
      a: { ask: resources('x://1', 'x://2'), view: { resourceUris: new Set(['x://9']) } },
      b: { ask: resources('x://2', 'x://3', 'x://9') },
    });
    const { message } = await run(handlers.get('resources/list'), listVisit({}, HELD, 'resources/list'), world);
    assert.deepEqual(
      message.result.resources.map(({ uri }: { uri: string }) => uri),
      ['x://1', 'x://2', 'x://3'],
    );
    assert.deepEqual(world.clashes, ['b < a: x://2', 'b < a: x://9']);
  });

  test('has a name once, also where prefixes run into each other', async () => {
    const world = openDoor({ a: { ask: backend(tools('b_c')) }, b: { ask: backend(tools('c')), prefix: 'a_b' } });
    assert.deepEqual(namesOf(await run(listTools, listVisit(), world)), ['a_b_c']);
    assert.deepEqual(world.clashes, ['b < a: a_b_c']);
  });

  test('is made of prompts and templates likewise', async () => {
    const prompts = openDoor({ a: { ask: backend({ 'prompts/list': { prompts: [{ name: 'p' }] } }) } });
    const listed = await run(handlers.get('prompts/list'), listVisit({}, HELD, 'prompts/list'), prompts);
    assert.deepEqual(listed.message.result, { prompts: [{ name: 'a_p' }] });
    const template = { uriTemplate: 'x://{id}', name: 't' };
    const templates = openDoor({ a: { ask: backend({ 'resources/templates/list': { resourceTemplates: [template] } }) } });
    const found = await run(handlers.get('resources/templates/list'), listVisit({}, HELD, 'resources/templates/list'), templates);
    assert.deepEqual(found.message.result, { resourceTemplates: [template] });
  });

  test('does not ask who has no such list', async () => {
    const world = openDoor({
      a: { ask: backend({}), view: { capabilities: { tools: {} } } },
      b: { ask: backend({}), view: null },
    });
    const { message } = await run(handlers.get('prompts/list'), listVisit({}, HELD, 'prompts/list'), world);
    assert.deepEqual(message.result, { prompts: [] });
    assert.deepEqual([world.asked.a?.length, world.asked.b?.length], [0, 1]);
    assert.deepEqual(world.unreachable, [], 'not to know the method is no failure');
  });
});

suite('the pages of a merged list', () => {
  const paged: Ask = backend({
    'tools/list': ({ cursor }: any) =>
      cursor === 'bad'
        ? { error: { code: -32602, message: 'no' } }
        : { tools: [{ name: cursor ?? 'first' }], ...(cursor === '3' ? {} : { nextCursor: cursor === undefined ? '2' : '3' }) },
  });

  test('go on where a backend has more', async () => {
    const world = openDoor({ a: { ask: paged }, b: { ask: backend(tools('only')) } });
    const seen: string[][] = [];
    let cursor: string | undefined;
    do {
      const page = await run(listTools, listVisit(cursor === undefined ? {} : { cursor }), world);
      seen.push(namesOf(page));
      cursor = page.message.result.nextCursor;
    } while (cursor !== undefined);
    assert.deepEqual(seen, [['a_first', 'b_only'], ['a_2'], ['a_3']]);
    assert.deepEqual([world.asked.a?.length, world.asked.b?.length], [3, 1]);
  });

  test('are refused for a cursor that is none of ours, or none of the backend', async () => {
    const world = openDoor({ a: { ask: paged } });
    const wrong = ['', 'x', 'e30', writeCursor(new Map([['c', '1']])), `${writeCursor(new Map([['a', '1']]))}=`];
    wrong.push(Buffer.from('{"a":1}').toString('base64url'), Buffer.from('["a"]').toString('base64url'));
    for (const cursor of wrong) {
      const { status, message } = await runRefused(listTools, listVisit({ cursor }), world);
      const { code, data } = message.error;
      assert.deepEqual([status, message.id, code, data.reason], [400, 7, -32602, 'params_invalid'], cursor);
    }
    assert.equal(world.asked.a?.length, 0);
    const { message } = await runRefused(listTools, listVisit({ cursor: writeCursor(new Map([['a', 'bad']])) }), world);
    assert.equal(message.error.code, -32602);
  });

  test('have cursors that are read as they were written', () => {
    const cursors = new Map([
      ['a', 'ü"'],
      ['b', ''],
    ]);
    assert.deepEqual(readCursor(writeCursor(cursors), new Set(['a', 'b', 'c'])), cursors);
  });
});

suite('a backend that fails', () => {
  const failing: Record<string, Ask> = {
    'is down': () => Promise.reject(new TypeError('fetch failed')),
    'never answers': () => new Promise(() => {}),
    'never ends its answer': () =>
      new Response(new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('{')) }), {
        headers: { 'content-type': 'application/json' },
      }),
    'answers 500': () => json('{}', { status: 500 }),
    'answers with an error': backend({ 'tools/list': { error: { code: -32603, message: 'x' } } }),
    'gives no list': backend({ 'tools/list': { tools: {} } }),
    'gives another list': backend({ 'tools/list': { prompts: [] } }),
    'gives the list twice': () => json('{"jsonrpc":"2.0","id":7,"result":{"tools":[],"tools":[{"name":"x"}]}}'),
    'gives an item that is none': backend({ 'tools/list': { tools: [null] } }),
    'gives an item without a name': backend({ 'tools/list': { tools: [{ title: 'x' }] } }),
    'gives a name that is empty': backend({ 'tools/list': { tools: [{ name: '' }] } }),
    'gives a name twice': backend(tools('x', 'y', 'x')),
    'gives one item two names': () => json('{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"read","name":"secret"}]}}'),
    'gives an item two names to some parsers': backend({ 'tools/list': { tools: [{ name: 'read', Name: 'secret' }] } }),
    'wants input first': backend({ 'tools/list': { tools: [], resultType: 'input_required' } }),
    'gives a cursor that is none': backend({ 'tools/list': { tools: [], nextCursor: 1 } }),
    'gives more items than are read': backend(tools(...Array.from({ length: 101 }, (_, at) => `t${at}`))),
    'gives more than is read': backend({ 'tools/list': { tools: [{ name: 'x', description: 'x'.repeat(10_000) }] } }),
  };
  for (const [name, ask] of Object.entries(failing)) {
    test(`for it ${name}: its items are missing, the others are there`, async () => {
      const world = openDoor({ a: { ask }, b: { ask: backend(tools('y')) } });
      assert.deepEqual(namesOf(await run(listTools, listVisit(), world)), ['b_y']);
      assert.equal(world.unreachable.length, 1);
      assert.match(world.unreachable[0] ?? '', /^a: /);
    });
  }

  test('together with all others leaves an empty list', async () => {
    const down: Ask = () => Promise.reject(new TypeError('fetch failed'));
    const world = openDoor({ a: { ask: down }, b: { ask: down } });
    assert.deepEqual((await run(listTools, listVisit(), world)).message.result, { tools: [] });
    assert.deepEqual(world.unreachable, ['a: fetch failed', 'b: fetch failed']);
  });

  test('by policy is left out without a word', async () => {
    const world = openDoor({
      a: { ask: () => Promise.reject(new BackendRefused('policy_denied')) },
      b: { ask: backend(tools('y')) },
    });
    assert.deepEqual(namesOf(await run(listTools, listVisit(), world)), ['b_y']);
    assert.deepEqual(world.unreachable, []);
  });

  test('in its handshake is missing; a session that was begun is ended', async () => {
    const ask = backend({ 'tools/list': { error: { code: -32603, message: 'x' } } }, { sessionId: 's1' });
    const world = openDoor({ a: { ask }, b: { ask: backend({ initialize: { error: { code: -32600, message: 'x' } } }) } });
    assert.deepEqual((await run(listTools, modernVisit('tools/list'), world)).message.result.tools, []);
    assert.equal(world.asked.a?.at(-1)?.method, 'DELETE');
    assert.deepEqual(world.unreachable.sort(), [
      'a: the list was answered with error -32603',
      'b: the handshake was answered with error -32600',
    ]);
  });

  test('to remember the session: the visitor is told where all did, else it is asked in a session of our own', async () => {
    const lost = (names: string): Ask => {
      const fresh = backend(tools(names), { sessionId: 'fresh' });
      return (sent) => (sent.headers['mcp-session-id'] === 'old' ? json('{"error":"gone"}', { status: 404 }) : fresh(sent));
    };
    const held = { id: 'old', revision: '2025-11-25' } as const;
    const one = openDoor({ a: { ask: lost('x') }, b: { ask: backend(tools('y')) } });
    const partly = await run(listTools, listVisit({}, { a: held, b: { ...held, id: 'alive' } }), one);
    assert.deepEqual(namesOf(partly), ['a_x', 'b_y']);
    assert.equal(one.asked.a?.at(-1)?.headers['mcp-session-id'], 'fresh');

    const stateless = openDoor({ a: { ask: lost('x') }, b: { ask: backend(tools('y')) } });
    const { status, message } = await runRefused(listTools, listVisit({}, { a: held, b: { ...held, id: null } }), stateless);
    assert.deepEqual([status, message.id, message.error.data.reason], [404, 7, 'session_unknown']);
    assert.equal(stateless.asked.a?.length, 1);
  });
});

test('where policy cannot be asked there is no list', async () => {
  const world = openDoor({ a: { ask: backend(tools('x')) } }, { keep: async () => deny({ reason: 'policy_failed' }) });
  await assert.rejects(run(listTools, listVisit(), world), (cause) => {
    return cause instanceof VisitRefused && cause.denial.reason === 'policy_failed';
  });
});

test('a list that is invalid is told as such, once; a backend that is down or refuses is not', async () => {
  const world = openDoor({
    a: { ask: backend({ 'tools/list': { tools: [{}] } }) },
    b: { ask: () => Promise.reject(new TypeError('down')) },
    c: { ask: backend({ 'tools/list': { error: { code: -32603, message: 'x' } } }) },
    d: { ask: () => json('{"jsonrpc":"2.0","id":7,"result":{"tools":[],"tools":[]}}') },
    e: { ask: backend({ initialize: { protocolVersion: 'x' } }) },
  });
  await run(listTools, listVisit({}, { ...HELD, c: HELD.b, d: HELD.b }), world);
  assert.deepEqual(world.invalid.sort(), ['a: an item without a name', 'd: the answer cannot be read: json_duplicate_key']);
  assert.equal(world.unreachable.length, 5);
});

test('a list that is too long is not judged; one at the limit is', async () => {
  const judged: number[] = [];
  const names = Array.from({ length: 3 }, (_, at) => `t${at}`);
  const world = openDoor(
    { a: { ask: backend(tools(...names)) }, b: { ask: backend(tools(...names.slice(1))) } },
    {
      maxListItems: 2,
      keep: async (_visit, _member, _method, items) => {
        judged.push(items.length);
        return { ok: true, value: items.map(() => true) };
      },
    },
  );
  assert.deepEqual(namesOf(await run(listTools, listVisit(), world)), ['b_t1', 'b_t2']);
  assert.deepEqual([judged, world.unreachable], [[2], ['a: more than 2 tools']]);
});

test('a keep that answers too little keeps nothing', async () => {
  const world = openDoor({ a: { ask: backend(tools('x', 'y')) } }, { keep: async () => ({ ok: true, value: [true] }) });
  assert.deepEqual(namesOf(await run(listTools, listVisit(), world)), ['a_x']);
});
