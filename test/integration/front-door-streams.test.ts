/**
 * Streams and bridges of the front door between real clients and real servers of both SDK generations: SDK v1, SDK v2 in both
 * eras; a v1 server that keeps sessions, a v2 server that speaks 2026-07-28 alone. Without Envoy: the front door's listener is
 * asked at once, and replies to a backend's requests are sent on by this test.
 */
import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import * as v2 from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { BRIDGED_METHODS, createBridgeHandler, type Resolve } from '../../src/front-door/bridge.ts';
import type { Handler } from '../../src/front-door/handler.ts';
import { createHandlers } from '../../src/front-door/handlers.ts';
import { createListenHandler } from '../../src/front-door/listen.ts';
import { STREAM_TIMES } from '../../src/front-door/stream-life.ts';
import { createStreamHandler } from '../../src/front-door/streams.ts';
import type { Member } from '../../src/front-door/visit.ts';
import { readMarkedId } from '../../src/mcp/marks.ts';
import {
  type FrontDoor,
  type Heard,
  hear,
  MODERN,
  markedTasks,
  memberAt,
  messageOf,
  startFrontDoor,
  viewOf,
} from '../support/front-door.ts';
import { type LegacyBackend, type ModernBackend, startLegacyBackend, startModernBackend } from '../support/mcp-servers.ts';

interface World {
  readonly door: FrontDoor;
  readonly ledger: LegacyBackend;
  readonly directory: ModernBackend;
}

interface Spec {
  /** Epoch milliseconds, as the streams see it. */
  readonly now?: () => number;
  readonly expiresAt?: () => number;
  /** Whom the front door knows of. */
  readonly only?: 'ledger' | 'directory';
}

async function start(t: TestContext, { now = Date.now, expiresAt, only }: Spec = {}): Promise<World> {
  const [ledger, directory] = await Promise.all([startLegacyBackend(), startModernBackend()]);
  const members = [memberAt('ledger', ledger.url), memberAt('directory', directory.url)].filter(
    ({ resource }) => only === undefined || resource.name === only,
  );
  const bridge = createBridgeHandler(resolveIn(members));
  const times = { ...STREAM_TIMES, now };
  const door = await startFrontDoor({
    members,
    views: {
      ledger: viewOf({ capabilities: { tools: { listChanged: true }, logging: {} }, resourceUris: new Set(['legacy://rules']) }),
      directory: viewOf({
        eras: MODERN,
        capabilities: { tools: { listChanged: true }, resources: { listChanged: true, subscribe: true } },
        resourceUris: new Set(['modern://people']),
      }),
    },
    handlers: new Map<string, Handler>([
      ...createHandlers(),
      ['GET', createStreamHandler(markedTasks, times)],
      ['subscriptions/listen', createListenHandler(markedTasks, times)],
      ['response', sendReply],
      ...BRIDGED_METHODS.map((method) => [method, bridge] as const),
    ]),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  });
  t.after(async () => {
    await door.stop();
    await Promise.all([ledger.stop(), directory.stop()]);
  });
  return { door, ledger, directory };
}

/** By prefix, and by who has the resource: what the Check does. */
function resolveIn(members: readonly Member[]): Resolve {
  return ({ http }) => {
    const body = Buffer.from(http.body).toString();
    const [, prefix] = /"name":"(ledger|directory)_/.exec(body) ?? [];
    const name = prefix ?? (body.includes('modern://') ? 'directory' : 'ledger');
    const member = members.find(({ resource }) => resource.name === name);
    assert.ok(member);
    return { member, body: body.replace(`"name":"${prefix}_`, '"name":"') };
  };
}

/** Envoy's part: the reply to a marked request goes to its backend, under the backend's own id. */
const sendReply: Handler = async (visit, ports, reply) => {
  const { id, ...message } = JSON.parse(Buffer.from(visit.http.body).toString());
  const marked = readMarkedId(id);
  const member = ports.members.find(({ resource }) => resource.name === marked?.mark);
  const session = visit.session?.backends[marked?.mark ?? ''];
  assert.ok(marked !== null && member !== undefined && session !== undefined && session.id !== null);
  const headers = {
    accept: 'application/json, text/event-stream',
    'mcp-session-id': session.id,
    'mcp-protocol-version': session.revision,
  };
  const body = JSON.stringify({ ...message, id: JSON.parse(marked.rest) });
  reply.status((await ports.ask(visit, member, { method: 'POST', headers, body })).status);
};

const NAME = { name: 'test', version: '1.0.0' };

async function connectV1(t: TestContext, { url }: FrontDoor, client = new Client(NAME)) {
  const transport = new StreamableHTTPClientTransport(url);
  await client.connect(transport as Transport);
  t.after(() => client.close());
  return { client, transport };
}

async function connectModern(t: TestContext, { url }: FrontDoor, options: v2.ClientOptions = {}): Promise<v2.Client> {
  const client = new v2.Client(NAME, { versionNegotiation: { mode: 'auto' }, ...options });
  await client.connect(new v2.StreamableHTTPClientTransport(url));
  assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');
  t.after(() => client.close());
  return client;
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn();
}

const textOf = (result: unknown) => (result as { content: { text: string }[] }).content[0]?.text;

suite('the stream of a session, SDK v1 client and v1 server', () => {
  test('an elicitation comes with a mark, and its reply finds the way back', async (t) => {
    const { door } = await start(t);
    const client = new Client(NAME, { capabilities: { elicitation: {} } });
    const ids: unknown[] = [];
    client.setRequestHandler(ElicitRequestSchema, (_request, { requestId }) => {
      ids.push(requestId);
      return { action: 'accept', content: { name: 'Ada' } };
    });
    await connectV1(t, door, client);
    assert.equal(textOf(await client.callTool({ name: 'ledger_greet' })), 'accept Ada');
    assert.equal(textOf(await client.callTool({ name: 'ledger_greet' })), 'accept Ada');
    assert.deepEqual(ids, ['ledger~0', 'ledger~1']);
  });

  test('that a list changed is heard once, from the backend and not from the catalog too', async (t) => {
    const { door, ledger } = await start(t);
    const client = new Client(NAME);
    const heard = Promise.withResolvers<void>();
    let count = 0;
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => void count++);
    client.setNotificationHandler(LoggingMessageNotificationSchema, () => heard.resolve());
    await connectV1(t, door, client);
    await until(() => door.listeners() === 1 && ledger.requests.includes('GET'));
    const [server] = ledger.sessions.values();
    server?.registerTool('late', {}, () => ({ content: [] }));
    door.changeList('ledger', 'tools');
    await server?.sendLoggingMessage({ level: 'info', data: 'after' });
    await heard.promise;
    assert.equal(count, 1);
    door.changeList('directory', 'tools');
    await until(() => count === 2);
  });

  test('what was missed comes when a client comes back with its last event', async (t) => {
    const { door, ledger } = await start(t);
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2025-11-25',
    };
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: NAME };
    const initialize = { jsonrpc: '2.0', id: 0, method: 'initialize', params };
    const begun = await fetch(door.url, { method: 'POST', headers, body: JSON.stringify(initialize) });
    const inSession = { ...headers, 'mcp-session-id': begun.headers.get('mcp-session-id') ?? '' };
    const [server] = ledger.sessions.values();
    const first = await hear(door.url, { headers: inSession });
    await server?.sendLoggingMessage({ level: 'info', data: 'one' });
    const said = async (from: Heard): Promise<[data: string, id: string]> => {
      for (;;) {
        const event = await from.next();
        const data = messageOf(event)?.params.data;
        if (data !== undefined) return [data, /^id: (.*)$/m.exec(event ?? '')?.[1] ?? ''];
      }
    };
    const [one, last] = await said(first);
    assert.equal(one, 'one');
    assert.match(last, /^ledger~/);
    first.leave();
    await server?.sendLoggingMessage({ level: 'info', data: 'two' });
    const second = await hear(door.url, { headers: { ...inSession, 'last-event-id': last } });
    assert.equal((await said(second))[0], 'two');
    second.leave();
  });

  test('a stream that the server closes is taken up again, and nothing is lost', async (t) => {
    const { door, ledger } = await start(t);
    const client = new Client(NAME);
    const data: unknown[] = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void data.push(params.data));
    await connectV1(t, door, client);
    const [[id, server] = []] = ledger.sessions;
    assert.ok(id !== undefined && server !== undefined);
    await until(() => ledger.requests.includes('GET'));
    await server.sendLoggingMessage({ level: 'info', data: 'before' });
    await until(() => data.length === 1);
    ledger.cut(id);
    await server.sendLoggingMessage({ level: 'info', data: 'meanwhile' });
    await until(() => data.length === 2);
    assert.deepEqual(data, ['before', 'meanwhile']);
  });

  test('it ends with the token, cleanly', async (t) => {
    const expiresAt = Math.floor(Date.now() / 1000) + 60;
    let left = 60_000;
    const { door, ledger } = await start(t, { now: () => expiresAt * 1000 - left, expiresAt: () => expiresAt });
    const { transport } = await connectV1(t, door);
    await until(() => ledger.requests.includes('GET'));
    left = 100;
    const session = transport.sessionId as string;
    const headers = { accept: 'text/event-stream', 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' };
    const heard = await hear(door.url, { headers });
    assert.equal(heard.response.status, 200);
    assert.equal(await heard.next(), null);
  });
});

suite('a subscription, SDK v2 client and v2 server', () => {
  test('brings what was asked for, from the backend and from the catalog', async (t) => {
    const { door, directory } = await start(t);
    const client = await connectModern(t, door);
    const heard: string[] = [];
    client.setNotificationHandler('notifications/tools/list_changed', ({ method }) => void heard.push(method));
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => void heard.push(params.uri));
    const subscription = await client.listen({
      toolsListChanged: true,
      resourceSubscriptions: ['modern://people', 'legacy://rules'],
    });
    assert.deepEqual(subscription.honoredFilter, { toolsListChanged: true, resourceSubscriptions: ['modern://people'] });
    directory.notify.resourceUpdated('modern://people');
    await until(() => heard.length === 1);
    directory.notify.toolsChanged();
    door.changeList('directory', 'tools');
    await until(() => heard.length === 2);
    door.changeList('ledger', 'tools');
    await until(() => heard.length === 3);
    assert.deepEqual(heard, ['modern://people', 'notifications/tools/list_changed', 'notifications/tools/list_changed']);
    await subscription.close();
    await until(() => door.listeners() === 0);
    assert.deepEqual([door.unreachable, door.failures], [[], []]);
  });

  test('ends with the token, which the client takes for a graceful end', async (t) => {
    const expiresAt = Math.floor(Date.now() / 1000) + 60;
    const { door } = await start(t, { now: () => expiresAt * 1000 - 300, expiresAt: () => expiresAt });
    const client = await connectModern(t, door);
    const subscription = await client.listen({ toolsListChanged: true });
    assert.equal(await subscription.closed, 'graceful');
  });
});

suite('the bridge', () => {
  test('SDK v2, modern, before a server that keeps sessions: result, progress, log, resource; no session stays', async (t) => {
    const { door, ledger } = await start(t);
    const client = await connectModern(t, door);
    const progress: number[] = [];
    const report = await client.callTool({ name: 'ledger_report' }, { onprogress: (step) => progress.push(step.progress) });
    assert.equal(textOf(report), 'reported');
    assert.deepEqual(progress, [1, 2]);
    const { contents } = await client.readResource({ uri: 'legacy://rules' });
    assert.equal((contents[0] as { text: string }).text, 'none');
    await until(() => ledger.sessions.size === 0);
    assert.deepEqual(ledger.requests.slice(0, 4), ['initialize', 'notifications/initialized', 'tools/call', 'DELETE']);
  });

  test('SDK v2, modern: what the server asks is refused, and what it interrupts is taken up', async (t) => {
    const { door, ledger } = await start(t);
    const client = await connectModern(t, door, { capabilities: { elicitation: {} } });
    assert.equal(textOf(await client.callTool({ name: 'ledger_insist' })), 'refused -32601');
    const greeted = await client.callTool({ name: 'ledger_greet' });
    assert.equal(greeted.isError, true);
    assert.match(textOf(greeted) ?? '', /does not support/);
    assert.equal(textOf(await client.callTool({ name: 'ledger_interrupt' })), 'resumed');
    await until(() => ledger.sessions.size === 0);
  });

  test('SDK v2, modern: a call that is given up is taken back at the server', async (t) => {
    const { door, ledger } = await start(t);
    const client = await connectModern(t, door);
    const giveUp = new AbortController();
    const call = client.callTool({ name: 'ledger_wait' }, { signal: giveUp.signal, onprogress: () => giveUp.abort() });
    await assert.rejects(call);
    await until(() => ledger.takenBack() === 1 && ledger.sessions.size === 0);
    assert.ok(ledger.requests.includes('notifications/cancelled'));
  });

  test('SDK v1 before a server of 2026-07-28: result, progress, resource; wanting input is a clear error', async (t) => {
    const { door } = await start(t);
    const { client } = await connectV1(t, door);
    const progress: number[] = [];
    const hello = await client.callTool({ name: 'directory_hello' }, undefined, {
      onprogress: (step) => progress.push(step.progress),
    });
    assert.deepEqual([textOf(hello), progress], ['hello', [1]]);
    const { contents } = await client.readResource({ uri: 'modern://people' });
    assert.equal((contents[0] as { text: string }).text, 'all');
    // The server knows that the client cannot be asked; one that tries it all the same comes no further.
    await assert.rejects(client.callTool({ name: 'directory_ask' }), { code: -32021 });
    await assert.rejects(
      client.callTool({ name: 'directory_stall' }),
      (error: { readonly data?: { readonly reason?: string } }) => {
        assert.equal(error.data?.reason, 'bridge_limited');
        return true;
      },
    );
  });

  test('a client of 2025-06-18 whose session began while the server was down: one for each request', async (t) => {
    const { door, ledger } = await start(t);
    const session = door.sessionId({});
    const response = await fetch(door.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': session,
        'mcp-protocol-version': '2025-06-18',
      },
      body: '{"jsonrpc":"2.0","id":"r","method":"tools/call","params":{"name":"ledger_report","_meta":{"progressToken":"p"}}}',
    });
    const events = (await response.text()).split('\n\n').filter((event) => event !== '');
    assert.deepEqual(
      events.map((event) => messageOf(event).method ?? messageOf(event).id),
      ['notifications/progress', 'notifications/progress', 'notifications/message', 'r'],
    );
    await until(() => ledger.sessions.size === 0);
  });

  test('a server that is down is a clear error for its calls, and the others work on', async (t) => {
    const { door, ledger } = await start(t);
    const client = await connectModern(t, door);
    await ledger.stop();
    await assert.rejects(client.callTool({ name: 'ledger_report' }), /backend_unavailable|does not answer/);
    assert.equal(textOf(await client.callTool({ name: 'directory_hello' })), 'hello');
    assert.deepEqual(
      door.unreachable.map(({ member }) => member),
      ['ledger'],
    );
  });
});
