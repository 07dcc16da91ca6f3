import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { createListenHandler } from '../../../src/front-door/listen.ts';
import { STREAM_TIMES } from '../../../src/front-door/stream-life.ts';
import type { BackendRequest } from '../../../src/front-door/visit.ts';
import {
  type FrontDoor,
  type FrontDoorSpec,
  type Heard,
  hear,
  MODERN,
  markedTasks,
  memberAt,
  messageOf,
  type Script,
  scriptedStream,
  startFrontDoor,
  viewOf,
} from '../../support/front-door.ts';

const LEDGER = memberAt('ledger');
const DIRECTORY = memberAt('directory');
const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'agent', version: '1' },
};
const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

interface Opening {
  readonly request: BackendRequest;
  readonly asked: any;
  readonly script: Script;
  /** Says what it does, and after that `text`. */
  readonly acknowledge: (notifications: object) => void;
  readonly tell: (method: string, params?: object) => void;
}

interface World {
  readonly door: FrontDoor;
  readonly opened: (member: string) => Promise<Opening>;
  readonly listen: (notifications: object, id?: string) => Promise<Heard>;
}

async function start(t: TestContext, spec: Partial<FrontDoorSpec> = {}): Promise<World> {
  const ready = new Map<string, Opening[]>();
  const wanted = new Map<string, (opening: Opening) => void>();
  const door = await startFrontDoor({
    members: [LEDGER, DIRECTORY],
    views: {
      ledger: viewOf({ eras: MODERN, resourceUris: new Set(['ledger://a']), resourceTemplates: ['ledger://accounts/{id}'] }),
      directory: viewOf({ eras: MODERN, capabilities: { tools: {} }, resourceUris: new Set(['dir://people']) }),
    },
    handlers: new Map([['subscriptions/listen', createListenHandler(markedTasks)]]),
    ask: async ({ resource: { name } }, request) => {
      const script = scriptedStream(request.signal);
      const tell = (method: string, params = {}): void => {
        const stamped = { ...params, _meta: { [SUBSCRIPTION]: 'whatever' } };
        script.send(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', method, params: stamped })}\n\n`);
      };
      const acknowledge = (notifications: object) => tell('notifications/subscriptions/acknowledged', { notifications });
      const opening = { request, asked: JSON.parse(request.body as string), script, acknowledge, tell };
      const want = wanted.get(name);
      wanted.delete(name);
      if (want === undefined) ready.set(name, [...(ready.get(name) ?? []), opening]);
      else want(opening);
      return script.response;
    },
    ...spec,
  });
  t.after(door.stop);
  return {
    door,
    opened: (member) =>
      new Promise((resolve) => {
        const opening = ready.get(member)?.shift();
        if (opening === undefined) wanted.set(member, resolve);
        else resolve(opening);
      }),
    listen: (notifications, id = '"listen:0"') =>
      hear(door.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2026-07-28',
          'mcp-method': 'subscriptions/listen',
        },
        body: `{"jsonrpc":"2.0","id":${id},"method":"subscriptions/listen","params":${JSON.stringify({ _meta: META, notifications })}}`,
      }),
  };
}

suite('a subscription at the front door', () => {
  test('is one at each backend that has a part in it, and acknowledged as a whole', async (t) => {
    const { opened, listen } = await start(t);
    const asked = {
      toolsListChanged: true,
      resourceSubscriptions: ['ledger://a', 'ledger://accounts/7', 'dir://people', 'nobody://x'],
      taskIds: ['directory~t1'],
    };
    const pending = listen(asked);
    const [one, two] = [await opened('ledger'), await opened('directory')];
    assert.deepEqual(one.asked, {
      jsonrpc: '2.0',
      id: 'listen:0',
      method: 'subscriptions/listen',
      params: {
        _meta: META,
        notifications: { toolsListChanged: true, resourceSubscriptions: ['ledger://a', 'ledger://accounts/7'] },
      },
    });
    assert.deepEqual(one.request.headers, {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'subscriptions/listen',
    });
    assert.deepEqual(two.asked.params.notifications, { resourceSubscriptions: ['dir://people'], taskIds: ['t1'] });
    one.acknowledge({ toolsListChanged: true, resourceSubscriptions: ['ledger://accounts/7'] });
    two.acknowledge({ resourceSubscriptions: ['dir://people'], taskIds: ['t1'] });
    const heard = await pending;
    assert.deepEqual(messageOf(await heard.next()), {
      jsonrpc: '2.0',
      method: 'notifications/subscriptions/acknowledged',
      params: {
        notifications: {
          toolsListChanged: true,
          resourceSubscriptions: ['ledger://accounts/7', 'dir://people'],
          taskIds: ['directory~t1'],
        },
        _meta: { [SUBSCRIPTION]: 'listen:0' },
      },
    });
    one.tell('notifications/resources/updated', { uri: 'ledger://accounts/7' });
    assert.deepEqual(messageOf(await heard.next()).params, {
      uri: 'ledger://accounts/7',
      _meta: { [SUBSCRIPTION]: 'listen:0' },
    });
    two.tell('notifications/tasks', { taskId: 't1', status: 'working' });
    assert.equal(messageOf(await heard.next()).params.taskId, 'directory~t1');
    heard.leave();
    await Promise.all([one.script.cancelled, two.script.cancelled]);
  });

  for (const [taskId, reason] of [
    ['directory~foreign', 'task_forbidden'],
    ['forged', 'task_unknown'],
    ['payroll~t2', 'task_unknown'],
  ] as const) {
    test(`to ${taskId} is refused: ${reason}, and nobody is asked`, async (t) => {
      const { door } = await start(t);
      const params = { _meta: META, notifications: { toolsListChanged: true, taskIds: ['directory~t1', taskId] } };
      const answered = await fetch(door.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'mcp-protocol-version': '2026-07-28',
          'mcp-method': 'subscriptions/listen',
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 4, method: 'subscriptions/listen', params }),
      });
      const { id, error } = (await answered.json()) as any;
      assert.deepEqual([id, error.data.reason, door.asked], [4, reason, []]);
    });
  }

  test('carries the id that the client gave it, as it was written', async (t) => {
    const { opened, listen } = await start(t);
    const pending = listen({ resourceSubscriptions: ['ledger://a'] }, '12345678901234567890');
    const one = await opened('ledger');
    assert.match(one.request.body ?? '', /"id":12345678901234567890,/);
    one.acknowledge({ resourceSubscriptions: ['ledger://a'] });
    const heard = await pending;
    assert.match((await heard.next()) ?? '', /"io.modelcontextprotocol\/subscriptionId":12345678901234567890\}/);
  });

  test('brings nothing that the client did not ask for', async (t) => {
    const { opened, listen } = await start(t);
    const pending = listen({ resourceSubscriptions: ['ledger://a'] });
    const one = await opened('ledger');
    one.acknowledge({ toolsListChanged: true, resourceSubscriptions: ['ledger://a', 'ledger://b'], taskIds: 9 });
    const heard = await pending;
    assert.deepEqual(messageOf(await heard.next()).params.notifications, { resourceSubscriptions: ['ledger://a'] });
    one.tell('notifications/tools/list_changed');
    for (const uri of ['ledger://b', 'ledger://ab', 7]) one.tell('notifications/resources/updated', { uri });
    one.tell('notifications/tasks', { taskId: 't9' });
    one.tell('notifications/message', { level: 'info', data: 'x' });
    one.script.send('data: {"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{}}\n\n');
    for (const uri of ['ledger://a', 'ledger://a/part']) {
      one.tell('notifications/resources/updated', { uri });
      const { method, params } = messageOf(await heard.next());
      assert.deepEqual([method, params.uri], ['notifications/resources/updated', uri]);
    }
  });

  test('lists are told of once: by the backend that agreed to, else by the catalog', async (t) => {
    const { door, opened, listen } = await start(t);
    const pending = listen({ toolsListChanged: true });
    const one = await opened('ledger');
    one.acknowledge({ toolsListChanged: true });
    const heard = await pending;
    await heard.next();
    assert.deepEqual(
      door.asked.map(({ member }) => member),
      ['ledger'],
    );
    door.changeList('ledger', 'tools');
    door.changeList('directory', 'prompts');
    one.tell('notifications/tools/list_changed', { n: 1 });
    assert.equal(messageOf(await heard.next()).params.n, 1);
    door.changeList('directory', 'tools');
    assert.deepEqual(messageOf(await heard.next()).params, { _meta: { [SUBSCRIPTION]: 'listen:0' } });
    one.script.end();
    await opened('ledger');
    door.changeList('ledger', 'tools');
    assert.equal(messageOf(await heard.next()).method, 'notifications/tools/list_changed');
  });

  test('a backend that comes back is listened to again, and what it might have told is told', async (t) => {
    const { door, opened, listen } = await start(t);
    const pending = listen({ resourceSubscriptions: ['ledger://a', 'dir://people'] });
    const [one, two] = [await opened('ledger'), await opened('directory')];
    one.acknowledge({ resourceSubscriptions: ['ledger://a'] });
    two.acknowledge({ resourceSubscriptions: ['dir://people'] });
    const heard = await pending;
    await heard.next();
    one.script.fail(new Error('reset'));
    two.tell('notifications/resources/updated', { uri: 'dir://people' });
    assert.equal(messageOf(await heard.next()).params.uri, 'dir://people');
    (await opened('ledger')).acknowledge({ resourceSubscriptions: ['ledger://a'] });
    assert.equal(messageOf(await heard.next()).params.uri, 'ledger://a');
    assert.deepEqual(
      door.unreachable.map(({ member }) => member),
      ['ledger'],
    );
  });

  test('a backend that is down, or does not agree, is left out of what is promised', async (t) => {
    const { door, listen } = await start(t, {
      ask: async ({ resource }) => {
        if (resource.name === 'ledger') throw new TypeError('fetch failed');
        return Response.json({ jsonrpc: '2.0', id: 'listen:0', error: { code: -32603, message: 'full' } });
      },
    });
    const heard = await listen({ toolsListChanged: true, resourceSubscriptions: ['ledger://a', 'dir://people'] });
    assert.deepEqual(messageOf(await heard.next()).params.notifications, { toolsListChanged: true });
    assert.deepEqual(
      door.unreachable.map(({ member }) => member),
      ['ledger'],
    );
  });

  test('with nothing to tell it is over at once', async (t) => {
    const { door, listen } = await start(t, { views: { ledger: viewOf(), directory: null } });
    const heard = await listen({ resourceSubscriptions: ['ledger://a'] });
    assert.deepEqual(messageOf(await heard.next()).params.notifications, {});
    assert.equal(messageOf(await heard.next()).id, 'listen:0');
    assert.equal(await heard.next(), null);
    assert.deepEqual([door.asked, door.listeners()], [[], 0]);
  });

  test('ends with the token: its result, and then a clean end', async (t) => {
    const opening = Date.now();
    const expiresAt = Math.floor(opening / 1000) + 60;
    const times = { ...STREAM_TIMES, now: () => expiresAt * 1000 - 150 };
    const { opened, listen } = await start(t, {
      expiresAt: () => expiresAt,
      handlers: new Map([['subscriptions/listen', createListenHandler(markedTasks, times)]]),
    });
    const pending = listen({ toolsListChanged: true });
    const one = await opened('ledger');
    one.acknowledge({ toolsListChanged: true });
    const heard = await pending;
    await heard.next();
    const last = messageOf(await heard.next());
    assert.deepEqual([last.id, last.result.resultType, last.result._meta[SUBSCRIPTION]], ['listen:0', 'complete', 'listen:0']);
    assert.equal(await heard.next(), null);
    await one.script.cancelled;
  });
});
