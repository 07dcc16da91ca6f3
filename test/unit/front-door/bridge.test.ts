import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { BRIDGED_METHODS, createBridgeHandler } from '../../../src/front-door/bridge.ts';
import { BackendRefused, type BackendRequest } from '../../../src/front-door/visit.ts';
import {
  type FrontDoor,
  type Heard,
  hear,
  MODERN,
  memberAt,
  messageOf,
  scriptedStream,
  startFrontDoor,
  viewOf,
} from '../../support/front-door.ts';

const LEDGER = memberAt('ledger');
const LEGACY = { legacy: true, modern: false };
const CLIENT_INFO = { name: 'agent', version: '1' };
const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': { elicitation: {}, sampling: {}, roots: {}, experimental: { x: {} } },
  'io.modelcontextprotocol/clientInfo': CLIENT_INFO,
};

type Answer = (request: BackendRequest, message: any) => Response | Promise<Response>;

interface World {
  readonly door: FrontDoor;
  /** Method, or HTTP method, of each request that the backend got. */
  readonly steps: () => string[];
  readonly sent: (step: string) => {
    readonly headers: Readonly<Record<string, string>>;
    readonly body: any;
    readonly text: string;
  };
  readonly call: (spec?: CallSpec) => Promise<Heard>;
}

interface CallSpec {
  readonly era?: 'legacy' | 'modern';
  readonly id?: string;
  readonly method?: string;
  /** JSON text of the members of params, `_meta` left out. */
  readonly params?: string;
  readonly meta?: object;
  readonly session?: string;
  readonly headers?: Record<string, string>;
}

function handshake(message: any): Response {
  return Response.json(
    {
      jsonrpc: '2.0',
      id: message.id,
      result: { protocolVersion: message.params.protocolVersion, capabilities: {}, serverInfo: {} },
    },
    { headers: { 'mcp-session-id': 'S1' } },
  );
}

/** A backend that keeps sessions, and answers what it is called for by `answer`. */
function stateful(answer: Answer): Answer {
  return (request, message) => {
    if (request.method === 'DELETE') return new Response(null, { status: 200 });
    if (message?.method === 'initialize') return handshake(message);
    if (message !== null && (message.id === undefined || message.method === undefined))
      return new Response(null, { status: 202 });
    return answer(request, message);
  };
}

async function start(t: TestContext, answer: Answer, eras: { legacy: boolean; modern: boolean } | null): Promise<World> {
  const handler = createBridgeHandler(({ http }) => ({
    member: LEDGER,
    body: Buffer.from(http.body).toString().replace('"ledger_read"', '"read"'),
  }));
  const door = await startFrontDoor({
    members: [LEDGER],
    views: { ledger: eras === null ? null : viewOf({ eras }) },
    handlers: new Map([...BRIDGED_METHODS, 'tasks/get'].map((method) => [method, handler])),
    ask: async (_member, request) => answer(request, request.body === undefined ? null : JSON.parse(request.body)),
  });
  t.after(door.stop);
  const stepOf = ({ method, body }: BackendRequest): string => {
    if (body === undefined) return method;
    const message = JSON.parse(body);
    return message.method ?? 'response';
  };
  return {
    door,
    steps: () => door.asked.map(({ request }) => stepOf(request)),
    sent: (step) => {
      const request = door.asked.find((one) => stepOf(one.request) === step)?.request;
      assert.ok(request, `no ${step}`);
      return { headers: request.headers, body: JSON.parse(request.body ?? 'null'), text: request.body ?? '' };
    },
    call: ({ era = 'modern', id = '1', method = 'tools/call', params = '"name":"ledger_read"', meta, session, headers } = {}) => {
      const isModern = era === 'modern';
      const sent = { ...(isModern ? META : {}), ...meta };
      const envelope = Object.keys(sent).length === 0 ? '' : `,"_meta":${JSON.stringify(sent)}`;
      const named = /"(?:name|uri)":"([^"]*)"/.exec(params)?.[1];
      return hear(door.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'mcp-protocol-version': isModern ? '2026-07-28' : '2025-11-25',
          ...(isModern ? { 'mcp-method': method } : {}),
          ...(isModern && named !== undefined && method !== 'completion/complete' ? { 'mcp-name': named } : {}),
          ...(session === undefined ? {} : { 'mcp-session-id': session }),
          ...headers,
        },
        body: `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{${params}${envelope}}}`,
      });
    },
  };
}

async function jsonOf(call: Promise<Heard>): Promise<any> {
  return (await call).response.json();
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn();
}

const result = (id: string, text: string): Response =>
  new Response(`{"jsonrpc":"2.0","id":${id},"result":${text}}`, { headers: { 'content-type': 'application/json' } });

suite('a modern client before a backend that keeps sessions', () => {
  test('gets a session for one request, which promises nothing that could not come back', async (t) => {
    const { steps, sent, call } = await start(
      t,
      stateful(() => result('1', '{"content":[],"n":12345678901234567890}')),
      LEGACY,
    );
    const { response } = await call({ params: '"name":"ledger_read","arguments":{"amount":1.10}', meta: { progressToken: 7 } });
    assert.equal(response.status, 200);
    assert.equal(
      await response.text(),
      '{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[],"n":12345678901234567890}}',
    );
    await until(() => steps().includes('DELETE'));
    assert.deepEqual(steps(), ['initialize', 'notifications/initialized', 'tools/call', 'DELETE']);
    assert.deepEqual(sent('initialize').body.params, {
      protocolVersion: '2025-11-25',
      capabilities: { experimental: { x: {} } },
      clientInfo: CLIENT_INFO,
    });
    assert.equal(
      sent('tools/call').text,
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{"amount":1.10},"_meta":{"progressToken":7}}}',
    );
    for (const step of ['notifications/initialized', 'tools/call', 'DELETE']) {
      const { headers } = sent(step);
      assert.deepEqual([headers['mcp-session-id'], headers['mcp-protocol-version']], ['S1', '2025-11-25'], step);
      assert.ok(!('mcp-method' in headers || 'mcp-name' in headers));
    }
  });

  test('hears of progress, and of the log what it asked for; nothing else', async (t) => {
    const answer = stateful((request) => {
      const { response, send, end } = scriptedStream(request.signal);
      const notify = (method: string, params: object, id: string) =>
        send(`id: ${id}\ndata: ${JSON.stringify({ jsonrpc: '2.0', method, params })}\n\n`);
      notify('notifications/progress', { progressToken: 7, progress: 1 }, 'e1');
      notify('notifications/message', { level: 'info', data: 'loud' }, 'e2');
      notify('notifications/message', { level: 'error', data: 'louder' }, 'e3');
      notify('notifications/tools/list_changed', {}, 'e4');
      send('data: {"jsonrpc":"2.0","id":"x","result":{"content":[]}}\n\n');
      end();
      return response;
    });
    const { call } = await start(t, answer, LEGACY);
    const quiet = await call({ id: '"x"' });
    assert.equal(messageOf(await quiet.next()).method, 'notifications/progress');
    assert.deepEqual(messageOf(await quiet.next()), { jsonrpc: '2.0', id: 'x', result: { resultType: 'complete', content: [] } });
    assert.equal(await quiet.next(), null);
    const curious = await call({ id: '"x"', meta: { 'io.modelcontextprotocol/logLevel': 'warning' } });
    const heard = [await curious.next(), await curious.next(), await curious.next()].map(messageOf);
    assert.deepEqual(
      heard.map(({ method, params }) => params?.data ?? method),
      ['notifications/progress', 'louder', undefined],
    );
  });

  test('a backend that asks all the same is answered; a ping, kindly', async (t) => {
    const answered = Promise.withResolvers<void>();
    const answer: Answer = async (request, message) => {
      if (message?.error !== undefined) answered.resolve();
      return stateful((_request) => {
        const { response, send, end } = scriptedStream(request.signal);
        send('data: {"jsonrpc":"2.0","id":0,"method":"ping"}\n\n');
        send('data: {"jsonrpc":"2.0","id":1.0e1,"method":"elicitation/create","params":{}}\n\n');
        void answered.promise.then(() => {
          send('data: {"jsonrpc":"2.0","id":1,"result":{"content":[]}}\n\n');
          end();
        });
        return response;
      })(request, message);
    };
    const { door, call } = await start(t, answer, LEGACY);
    assert.equal(messageOf(await (await call()).next()).result.resultType, 'complete');
    const replies = door.asked.map(({ request }) => request.body ?? '').filter((body) => !body.includes('"method"'));
    assert.equal(replies[0], '{"jsonrpc":"2.0","id":0,"result":{}}');
    assert.match(replies[1] ?? '', /^\{"jsonrpc":"2.0","id":1.0e1,"error":\{"code":-32601,/);
  });

  test('when it leaves, the call is taken back at the backend and the session ended', async (t) => {
    const begun = Promise.withResolvers<void>();
    const { steps, sent, call, door } = await start(
      t,
      stateful((request) => {
        const { response, send } = scriptedStream(request.signal);
        send('data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":1}}\n\n');
        begun.resolve();
        return response;
      }),
      LEGACY,
    );
    const heard = await call({ id: '"call-1"' });
    await heard.next();
    heard.leave();
    await until(() => steps().includes('DELETE'));
    assert.deepEqual(steps().slice(2), ['tools/call', 'notifications/cancelled', 'DELETE']);
    assert.equal(sent('notifications/cancelled').body.params.requestId, 'call-1');
    assert.deepEqual([door.unreachable, door.failures], [[], []]);
  });

  test('an answer that the backend interrupts is taken up where it was left', async (t) => {
    const { steps, sent, call } = await start(
      t,
      stateful((request) => {
        const { response, send, end } = scriptedStream(request.signal);
        if (request.method === 'POST') send('id: e1\nretry: 1\ndata: \n\n');
        else send('id: e2\ndata: {"jsonrpc":"2.0","id":1,"result":{"content":[]}}\n\n');
        end();
        return response;
      }),
      LEGACY,
    );
    assert.equal(messageOf(await (await call()).next()).id, 1);
    await until(() => steps().includes('DELETE'));
    assert.deepEqual(steps().slice(2), ['tools/call', 'GET', 'DELETE']);
    assert.equal(sent('GET').headers['last-event-id'], 'e1');
  });

  test('a stream that ends without the answer is told of in its place', async (t) => {
    const { call, door, steps } = await start(
      t,
      stateful((request) => {
        const { response, end } = scriptedStream(request.signal);
        end();
        return response;
      }),
      LEGACY,
    );
    const heard = await call({ id: '9007199254740993' });
    assert.match((await heard.next()) ?? '', /"id":9007199254740993,"error":.*"reason":"backend_unavailable"/);
    assert.equal(await heard.next(), null);
    assert.equal(door.unreachable.length, 1);
    assert.ok(steps().includes('DELETE'));
  });

  test('what is read may be cached by nobody; an error comes in the words of its era', async (t) => {
    const answers = [
      result('1', '{"contents":[]}'),
      Response.json({ jsonrpc: '2.0', id: 1, error: { code: -32002, message: 'gone', data: { uri: 'x://1' } } }),
      Response.json({ jsonrpc: '2.0', id: 1, error: { code: -32601, message: 'unknown' } }),
    ];
    const { call } = await start(
      t,
      stateful(() => answers.shift() as Response),
      LEGACY,
    );
    const read = { method: 'resources/read', params: '"uri":"x://1"' };
    assert.deepEqual((await jsonOf(call(read))).result, {
      resultType: 'complete',
      ttlMs: 0,
      cacheScope: 'private',
      contents: [],
    });
    assert.deepEqual((await jsonOf(call(read))).error, { code: -32602, message: 'gone', data: { uri: 'x://1' } });
    const { response } = await call({
      method: 'completion/complete',
      params: '"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""}',
    });
    assert.equal(response.status, 404);
  });
});

suite('a legacy client', () => {
  test('before a modern backend: an envelope that promises nothing, headers that mirror the body, a plain result', async (t) => {
    const { steps, sent, call } = await start(t, () => result('"a"', '{"resultType":"complete","content":[],"n":1.10}'), MODERN);
    const { response } = await call({
      era: 'legacy',
      id: '"a"',
      params: '"name":"ledger_read","arguments":{"n":1.10}',
      meta: { progressToken: 'p' },
    });
    assert.equal(await response.text(), '{"jsonrpc":"2.0","id":"a","result":{"content":[],"n":1.10}}');
    assert.deepEqual(steps(), ['tools/call']);
    const { headers, text, body } = sent('tools/call');
    assert.deepEqual(
      [headers['mcp-protocol-version'], headers['mcp-method'], headers['mcp-name']],
      ['2026-07-28', 'tools/call', 'read'],
    );
    assert.match(text, /"arguments":\{"n":1\.10\}/);
    assert.equal(body.params._meta.progressToken, 'p');
    assert.deepEqual(body.params._meta['io.modelcontextprotocol/clientCapabilities'], {});
    assert.equal(body.params._meta['io.modelcontextprotocol/clientInfo'].name, 'mcp-ext-authz');
  });

  test('a name that no header can hold is sent as the specification says', async (t) => {
    const { sent, call } = await start(t, () => result('1', '{"resultType":"complete","contents":[]}'), MODERN);
    await call({ era: 'legacy', method: 'resources/read', params: '"uri":"x://ü"' });
    assert.equal(sent('resources/read').headers['mcp-name'], `=?base64?${Buffer.from('x://ü').toString('base64')}?=`);
  });

  test('a backend that wants more input, or makes a task of it, is a clear error', async (t) => {
    for (const type of ['input_required', 'task']) {
      const { call } = await start(t, () => result('1', `{"resultType":"${type}","inputRequests":{}}`), MODERN);
      const { error, id } = await jsonOf(call({ era: 'legacy' }));
      assert.deepEqual([id, error.data.reason], [1, 'bridge_limited']);
      assert.match(error.message, /more input/);
    }
  });

  test('whose session began without the backend gets one for the request, in its own revision', async (t) => {
    const { door, sent, call, steps } = await start(
      t,
      stateful(() => result('1', '{"content":[]}')),
      LEGACY,
    );
    const session = door.sessionId({ other: { id: 'O', revision: '2025-06-18' } });
    const { response } = await call({ era: 'legacy', session, headers: { 'mcp-protocol-version': '2025-06-18' } });
    assert.equal(await response.text(), '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}');
    assert.equal(sent('initialize').body.params.protocolVersion, '2025-06-18');
    assert.deepEqual(sent('initialize').body.params.capabilities, {});
    await until(() => steps().includes('DELETE'));
  });

  test('that holds one has it used, and left alone', async (t) => {
    const { door, sent, call, steps } = await start(
      t,
      stateful(() => result('1', '{"content":[]}')),
      LEGACY,
    );
    const session = door.sessionId({ ledger: { id: 'L9', revision: '2025-11-25' } });
    assert.equal((await call({ era: 'legacy', session })).response.status, 200);
    assert.deepEqual(steps(), ['tools/call']);
    assert.equal(sent('tools/call').headers['mcp-session-id'], 'L9');
  });

  test('cannot leave a task in a session that ends', async (t) => {
    const { call, steps } = await start(
      t,
      stateful(() => result('1', '{}')),
      LEGACY,
    );
    const { response } = await call({ era: 'legacy', params: '"name":"ledger_read","task":{}' });
    assert.equal(JSON.parse(await response.text()).error.data.reason, 'bridge_limited');
    assert.deepEqual(steps(), []);
  });
});

suite('what goes wrong at the backend', () => {
  const down: [name: string, answer: Answer][] = [
    ['it is down', () => Promise.reject(new TypeError('fetch failed'))],
    ['it is broken', () => new Response('oops', { status: 500 })],
    ['it answers something else', stateful(() => new Response('<html>', { headers: { 'content-type': 'text/html' } }))],
    ['it answers another request', stateful(() => result('2', '{}'))],
    [
      'it answers half',
      stateful(() => new Response('{"jsonrpc":"2.0","id":1,"re', { headers: { 'content-type': 'application/json' } })),
    ],
    ['it answers too much', stateful(() => result('1', JSON.stringify({ content: 'x'.repeat(70_000) })))],
    ['it forgets the session at once', stateful(() => new Response('gone', { status: 404 }))],
    [
      'it chooses a revision that is none',
      (_request, { id }) => Response.json({ jsonrpc: '2.0', id, result: { protocolVersion: '1' } }),
    ],
  ];
  for (const [name, answer] of down) {
    test(`${name}: 503 with the reason, and it is told of`, async (t) => {
      const { door, call, steps } = await start(t, answer, LEGACY);
      const { response } = await call({ id: '"mine"' });
      const text = await response.text();
      assert.equal(response.status, 503);
      assert.match(text, /^\{"jsonrpc":"2.0","id":"mine","error":/);
      assert.equal(JSON.parse(text).error.data.reason, 'backend_unavailable');
      assert.equal(door.unreachable.length, 1);
      assert.ok(!steps().includes('notifications/initialized') || steps().includes('DELETE'));
    });
  }

  test('policy says no: its reason, and nothing is said of the backend', async (t) => {
    const { door, call } = await start(t, () => Promise.reject(new BackendRefused('tool_forbidden')), MODERN);
    const { response } = await call({ era: 'legacy' });
    assert.equal(JSON.parse(await response.text()).error.data.reason, 'tool_forbidden');
    assert.deepEqual(door.unreachable, []);
  });

  test("of a backend never seen, the client's own era is tried", async (t) => {
    const { sent, call } = await start(t, () => result('1', '{"resultType":"input_required","requestState":"s"}'), null);
    const { response } = await call();
    assert.equal(await response.text(), '{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","requestState":"s"}}');
    assert.deepEqual(sent('tools/call').body.params._meta, META);
  });

  test("a method that one answer does not end is none of the bridge's", async (t) => {
    const { call, steps } = await start(t, () => result('1', '{}'), LEGACY);
    const { response } = await call({ method: 'tasks/get', params: '"taskId":"t"', headers: { 'mcp-name': 't' } });
    assert.equal(response.status, 404);
    assert.deepEqual(steps(), []);
  });
});
