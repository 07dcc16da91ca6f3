import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as immediately } from 'node:timers/promises';
import { type Handler, VisitRefused } from '../../../src/front-door/handler.ts';
import { eventText, resultText } from '../../../src/front-door/messages.ts';
import { type FrontDoorOptions, plain, serveFrontDoor } from '../../../src/front-door/server.ts';
import { BackendRefused, type Visit } from '../../../src/front-door/visit.ts';
import { bareVisit, legacyVisit, modernVisit, openDoor } from './world.ts';

interface Door {
  readonly url: string;
  readonly failures: unknown[];
  readonly post: (visit: Visit, init?: RequestInit) => Promise<Response>;
  readonly close: () => Promise<void>;
}

const ORIGIN = 'https://app.example';

/** The visit is looked up by a header, as the sealed one would be opened. */
async function open(t: TestContext, handlers: Record<string, Handler>, changes: Partial<FrontDoorOptions> = {}): Promise<Door> {
  const visits = new Map<string, Visit>();
  const failures: unknown[] = [];
  const { ports } = openDoor({});
  const listener = await serveFrontDoor({
    listen: '127.0.0.1:0',
    maxBodyBytes: 1000,
    closeWithinMs: 2000,
    openVisit: (headers) => visits.get(headers.get('x-visit')?.join() ?? '') ?? plain(403, 'no visit'),
    ports: () => ports,
    allowedOrigins: () => new Set([ORIGIN]),
    handlers: new Map(Object.entries(handlers)),
    onRefused: () => {},
    onFailure: (_visit, cause) => failures.push((cause as Error).message),
    ...changes,
  });
  t.after(listener.close);
  const post = (visit: Visit, init: RequestInit = {}): Promise<Response> => {
    const name = String(visits.size);
    visits.set(name, visit);
    return fetch(listener.url, { method: visit.http.method, headers: { 'x-visit': name }, ...init });
  };
  return { url: listener.url, failures, post, close: listener.close };
}

const ID = '12345678901234567890';
const visit = legacyVisit(`{"jsonrpc":"2.0","id":${ID},"method":"ping"}`);

suite('the front door', () => {
  test('serves a visit by its method, and nobody else', async (t) => {
    const seen: Visit[] = [];
    const { url, post } = await open(t, {
      ping: async (one, _ports, reply) => {
        seen.push(one);
        reply.json(resultText(ID, '{}'), { headers: { 'x-extra': 'yes' } });
      },
      GET: async (_one, _ports, reply) => reply.status(405, { allow: 'POST' }),
    });
    const response = await post(visit);
    assert.deepEqual([response.status, response.headers.get('content-type')], [200, 'application/json']);
    assert.deepEqual([response.headers.get('x-extra'), response.headers.get('cache-control')], ['yes', 'no-store']);
    assert.equal(await response.text(), `{"jsonrpc":"2.0","id":${ID},"result":{}}`);
    assert.deepEqual(seen, [visit]);
    assert.equal((await post(bareVisit('GET', null))).headers.get('allow'), 'POST');

    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS', 'PUT'])
      assert.equal((await fetch(url, { method })).status, 403, method);
    assert.equal((await post(bareVisit('GET', null), { method: 'DELETE' })).status, 403, 'a visit of another method');
    assert.equal(seen.length, 1);
  });

  test('reads a body up to its limit', async (t) => {
    const { url, post } = await open(t, { ping: async (_visit, _ports, reply) => reply.json('{}') });
    assert.equal((await post(visit, { body: 'x'.repeat(1000) })).status, 200);
    assert.equal((await post(visit, { body: 'x'.repeat(1001) })).status, 413);
    const chunked = ReadableStream.from([Buffer.alloc(600), Buffer.alloc(600)]);
    const response = await fetch(url, { method: 'POST', body: chunked, duplex: 'half' } as RequestInit).catch(() => null);
    assert.ok(response === null || response.status === 413);
    assert.equal((await post(visit)).status, 200);
  });

  test('lets browsers of accepted origins read the answer', async (t) => {
    const { post } = await open(t, { ping: async (_visit, _ports, reply) => reply.json('{}') });
    const headers = new Map([...visit.http.headers, ['origin', [ORIGIN]]]);
    const response = await post({ ...visit, http: { ...visit.http, headers } });
    assert.equal(response.headers.get('access-control-allow-origin'), ORIGIN);
    assert.match(response.headers.get('access-control-expose-headers') ?? '', /Mcp-Session-Id/);
    assert.equal((await post(visit)).headers.get('access-control-allow-origin'), null);
  });

  const failures: Record<string, { handler: Handler; status: number; reason: string; told: string[] }> = {
    'a bug': {
      handler: async () => {
        throw new Error('secret cause');
      },
      status: 500,
      reason: 'internal_error',
      told: ['secret cause'],
    },
    'no answer at all': { handler: async () => {}, status: 500, reason: 'internal_error', told: ['nothing was answered'] },
    'a header that cannot be sent': {
      handler: async (_visit, _ports, reply) => reply.json('{}', { headers: { 'x-a': 'b\r\nc' } }),
      status: 500,
      reason: 'internal_error',
      told: ['Invalid character in header content ["x-a"]'],
    },
    'a refusal': {
      handler: async () => {
        throw new VisitRefused({ reason: 'policy_failed' });
      },
      status: 503,
      reason: 'policy_failed',
      told: [],
    },
    'a refusal of one backend': {
      handler: async () => {
        throw new BackendRefused('tool_forbidden');
      },
      status: 200,
      reason: 'tool_forbidden',
      told: [],
    },
  };
  for (const [name, { handler, status, reason, told }] of Object.entries(failures)) {
    test(`answers ${name} with the id as it was sent, and goes on`, async (t) => {
      const door = await open(t, { ping: handler });
      for (let again = 0; again < 2; again++) {
        const response = await door.post(visit);
        const body = await response.text();
        assert.equal(response.status, status);
        assert.ok(body.startsWith(`{"jsonrpc":"2.0","id":${ID},"error":{`), body);
        const { data } = JSON.parse(body).error;
        assert.deepEqual(data, { reason, decision_id: 'decision-1' });
        assert.doesNotMatch(body, /secret|at .*\.ts/);
      }
      assert.deepEqual(door.failures, [...told, ...told]);
    });
  }

  test('knows no other methods, and says so as each era does', async (t) => {
    const { post } = await open(t, {});
    const legacy = await post(visit);
    assert.deepEqual([legacy.status, ((await legacy.json()) as any).error.code], [200, -32601]);
    const modern = await post(modernVisit('server/discover'));
    assert.deepEqual([modern.status, ((await modern.json()) as any).error.code], [404, -32601]);
  });

  test('streams, and ends a stream that breaks with the error', async (t) => {
    const { post, failures } = await open(t, {
      ping: async (_visit, _ports, reply) => {
        const stream = reply.stream({ headers: { 'x-extra': 'yes' } });
        await stream.write(eventText('{"a":1}'));
        throw new Error('broken');
      },
    });
    const response = await post(visit);
    assert.deepEqual([response.headers.get('content-type'), response.headers.get('x-extra')], ['text/event-stream', 'yes']);
    const [first, second, rest] = (await response.text()).split('\n\n');
    assert.equal(first, 'event: message\ndata: {"a":1}');
    assert.ok(second?.startsWith(`event: message\ndata: {"jsonrpc":"2.0","id":${ID},"error":{`));
    assert.equal(rest, '');
    assert.deepEqual(failures, ['broken']);
  });

  test('sends the head of a stream at once, and waits while nobody reads', async (t) => {
    const full = Promise.withResolvers<void>();
    const drained = Promise.withResolvers<void>();
    const { url } = await open(
      t,
      {
        ping: async (_visit, _ports, reply) => {
          const stream = reply.stream();
          for (let isFull = false; !isFull; ) {
            const room = stream.write(`: ${'x'.repeat(65_536)}\n\n`);
            isFull = await Promise.race([room.then(() => false), immediately(true)]);
            if (!isFull) continue;
            full.resolve();
            await room;
          }
          drained.resolve();
          stream.end();
        },
      },
      { openVisit: () => visit },
    );
    const request = httpRequest(url, { method: 'POST' }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    await full.promise;
    response.resume();
    await drained.promise;
    await once(response, 'end');
  });

  test('tells the handler that the client has left', async (t) => {
    const left = Promise.withResolvers<Error>();
    const { post, failures } = await open(t, {
      ping: async (_visit, _ports, reply) => {
        const stream = reply.stream();
        reply.signal.addEventListener('abort', () => {
          stream.write('x').catch(left.resolve);
        });
        await new Promise((_resolve, reject) => reply.signal.addEventListener('abort', () => reject(reply.signal.reason)));
      },
    });
    const response = await post(visit);
    await response.body?.cancel();
    assert.equal((await left.promise).message, 'the client has left');
    assert.deepEqual(failures, []);
  });

  test('ends streams when it closes, and lets answers under way finish', async (t) => {
    const begun = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const { post, close, url } = await open(t, {
      GET: async (_visit, _ports, reply) => {
        reply.stream();
        reply.signal.addEventListener('abort', () => ended.resolve());
        await ended.promise;
      },
      ping: async (_visit, _ports, reply) => {
        begun.resolve();
        await finish.promise;
        reply.json('{"late":true}');
      },
    });
    const stream = await post(bareVisit('GET', null));
    const answer = post(visit);
    await begun.promise;
    const closed = close();
    assert.equal(await stream.text(), '', 'a clean end');
    await ended.promise;
    finish.resolve();
    assert.equal(await (await answer).text(), '{"late":true}');
    await closed;
    await assert.rejects(fetch(url));
  });

  test('listens on a Unix socket', async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'door-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    const listen = `unix://${dir}/door.sock`;
    const options = { listen, openVisit: () => visit };
    const { url } = await open(t, { ping: async (_visit, _ports, reply) => reply.json('{"socket":true}') }, options);
    assert.equal(url, listen);
    const request = httpRequest({ socketPath: `${dir}/door.sock`, method: 'POST', path: '/mcp' }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    assert.equal(await text(response), '{"socket":true}');
  });
});
