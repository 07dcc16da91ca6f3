import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { STREAM_TIMES } from '../../../src/front-door/stream-life.ts';
import { createStreamHandler } from '../../../src/front-door/streams.ts';
import type { BackendRequest } from '../../../src/front-door/visit.ts';
import {
  type FrontDoor,
  type FrontDoorSpec,
  type Heard,
  hear,
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
const NO_STREAM = () => new Response(null, { status: 405 });

interface Opening {
  readonly request: BackendRequest;
  readonly script: Script;
}

/** Backends whose streams are scripts, handed over as they are opened. */
function scripts(): { readonly open: (request: BackendRequest) => Promise<Response>; readonly next: () => Promise<Opening> } {
  const ready: Opening[] = [];
  const wanted: ((opening: Opening) => void)[] = [];
  return {
    open: async (request) => {
      const opening = { request, script: scriptedStream(request.signal) };
      const want = wanted.shift();
      if (want === undefined) ready.push(opening);
      else want(opening);
      return opening.script.response;
    },
    next: () =>
      new Promise((resolve) => {
        const opening = ready.shift();
        if (opening === undefined) wanted.push(resolve);
        else resolve(opening);
      }),
  };
}

interface World {
  readonly door: FrontDoor;
  readonly ledger: ReturnType<typeof scripts>;
  readonly directory: ReturnType<typeof scripts>;
  readonly listen: (headers?: Record<string, string>) => Promise<Heard>;
}

async function start(t: TestContext, spec: Partial<FrontDoorSpec> = {}): Promise<World> {
  const [ledger, directory] = [scripts(), scripts()];
  const door = await startFrontDoor({
    members: [LEDGER, DIRECTORY],
    views: { ledger: viewOf(), directory: viewOf() },
    handlers: new Map([['GET', createStreamHandler(markedTasks)]]),
    ask: (member, request) => (member === LEDGER ? ledger : directory).open(request),
    ...spec,
  });
  t.after(door.stop);
  const session = door.sessionId({
    ledger: { id: 'L1', revision: '2025-11-25' },
    directory: { id: 'D1', revision: '2025-06-18' },
  });
  const listen = (headers = {}) =>
    hear(door.url, { headers: { accept: 'text/event-stream', 'mcp-session-id': session, ...headers } });
  return { door, ledger, directory, listen };
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn();
}

const event = (message: object, id?: string): string =>
  `${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`;
const note = (text: string) => ({ method: 'notifications/message', params: { level: 'info', data: text } });

suite('the streams of a session as one', () => {
  test('every backend is asked with its own session and revision, and heard with its mark', async (t) => {
    const { ledger, directory, listen } = await start(t);
    const heard = await listen();
    assert.equal(heard.response.status, 200);
    assert.match(heard.response.headers.get('content-type') ?? '', /^text\/event-stream/);
    const [one, two] = [await ledger.next(), await directory.next()];
    assert.deepEqual(
      [one, two].map(({ request }) => [request.method, request.headers]),
      [
        ['GET', { accept: 'text/event-stream', 'mcp-session-id': 'L1', 'mcp-protocol-version': '2025-11-25' }],
        ['GET', { accept: 'text/event-stream', 'mcp-session-id': 'D1', 'mcp-protocol-version': '2025-06-18' }],
      ],
    );
    one.script.send(event({ id: 0, method: 'elicitation/create', params: { n: 1 } }, '7'));
    assert.equal(
      await heard.next(),
      'event: message\nid: ledger~7\ndata: {"jsonrpc":"2.0","id":"ledger~0","method":"elicitation/create","params":{"n":1}}',
    );
    two.script.send('data: {"jsonrpc":"2.0","id":"a b","method":"ping"}\n\n');
    assert.equal(messageOf(await heard.next()).id, 'directory~"a b"');
    heard.leave();
    await Promise.all([one.script.cancelled, two.script.cancelled]);
  });

  test('numbers stay as they are written, in pieces however small', async (t) => {
    const { ledger, listen } = await start(t);
    const heard = await listen();
    const { script } = await ledger.next();
    const data = '{"jsonrpc":"2.0","method":"notifications/message","params":{"data":12345678901234567890.10}}';
    for (const piece of `id: x\r\ndata: ${data}\r\n\r\n`) script.send(piece);
    assert.equal(await heard.next(), `event: message\nid: ledger~x\ndata: ${data}`);
  });

  test('an event with an id and nothing to say goes on, with the time to come again', async (t) => {
    const { ledger, listen } = await start(t);
    const heard = await listen();
    const { script } = await ledger.next();
    script.send('id: 1\nretry: 500\ndata: \n\n');
    assert.equal(await heard.next(), 'event: message\nid: ledger~1\nretry: 500\ndata: ');
  });

  test('the last event resumes its backend, the others begin afresh', async (t) => {
    const { ledger, directory, listen } = await start(t);
    await listen({ 'last-event-id': 'directory~x~7' });
    assert.equal((await directory.next()).request.headers['last-event-id'], 'x~7');
    assert.equal((await ledger.next()).request.headers['last-event-id'], undefined);
  });

  test('an event of nobody is refused, and no backend asked', async (t) => {
    const { door, listen } = await start(t);
    for (const id of ['7', 'payroll~7', '~7']) {
      const heard = await listen({ 'last-event-id': id });
      assert.equal(heard.response.status, 400, id);
    }
    assert.deepEqual(door.asked, []);
  });

  test('without a session there is no stream; what has no stream is left out', async (t) => {
    const { door, directory, listen } = await start(t, {
      ask: async (member, request) => (member === LEDGER ? NO_STREAM() : directory.open(request)),
    });
    const none = await fetch(door.url, { headers: { accept: 'text/event-stream' } });
    assert.deepEqual([none.status, ((await none.json()) as any).error.data.reason], [405, 'method_not_allowed']);
    const heard = await listen();
    const { script } = await directory.next();
    script.send(event(note('here')));
    assert.equal(messageOf(await heard.next()).params.data, 'here');
    assert.deepEqual(door.unreachable, []);
  });

  test('a backend by the name of what every object has is in no session by that', async (t) => {
    const { door } = await start(t, {
      members: [memberAt('constructor'), LEDGER],
      ask: async () => new Response(null, { status: 404 }),
    });
    const session = door.sessionId({ ledger: { id: 'L1', revision: '2025-11-25' } });
    const gone = await fetch(door.url, { headers: { accept: 'text/event-stream', 'mcp-session-id': session } });
    await gone.body?.cancel();
    assert.deepEqual([gone.status, door.asked.map(({ member }) => member)], [404, ['ledger']]);
  });

  test('a session that no backend knows any more is 404', async (t) => {
    const { door } = await start(t, { ask: async () => new Response('gone', { status: 404 }) });
    const session = door.sessionId({ ledger: { id: 'L1', revision: '2025-11-25' } });
    const gone = await fetch(door.url, { headers: { accept: 'text/event-stream', 'mcp-session-id': session } });
    assert.deepEqual([gone.status, ((await gone.json()) as any).error.data.reason], [404, 'session_unknown']);
  });

  test('one ends and is taken up after its last event; the other goes on meanwhile', async (t) => {
    const { ledger, directory, listen } = await start(t);
    const heard = await listen();
    const [one, two] = [await ledger.next(), await directory.next()];
    one.script.send(`retry: 60\n${event(note('a'), '41')}`);
    assert.equal(messageOf(await heard.next()).params.data, 'a');
    one.script.end();
    two.script.send(event(note('b')));
    assert.equal(messageOf(await heard.next()).params.data, 'b');
    const again = await ledger.next();
    assert.equal(again.request.headers['last-event-id'], '41');
    again.script.send(event(note('c')));
    assert.equal(messageOf(await heard.next()).params.data, 'c');
  });

  test('one breaks, or talks nonsense: it is told of, and the other goes on', async (t) => {
    const { door, ledger, directory, listen } = await start(t);
    const heard = await listen();
    const [one, two] = [await ledger.next(), await directory.next()];
    one.script.send('retry: 60\n\nid: 1\nretry: 60\n\n');
    assert.match((await heard.next()) ?? '', /^retry: 60$/m);
    one.script.send('data: {"jsonrpc":"2.0","method":"a","method":"b"}\n\n');
    await until(() => door.unreachable.length > 0);
    two.script.send(event(note('b')));
    assert.equal(messageOf(await heard.next()).params.data, 'b');
    assert.deepEqual(
      door.unreachable.map(({ member }) => member),
      ['ledger'],
    );
    (await ledger.next()).script.fail(new Error('reset'));
    await ledger.next();
    assert.match(String(door.unreachable[1]?.cause), /reset/);
  });

  test('an event that never ends is not kept', async (t) => {
    const { door, ledger, listen } = await start(t, { maxAnswerBytes: 1000 });
    await listen();
    const { script } = await ledger.next();
    script.send(`data: ${'x'.repeat(1200)}`);
    await until(() => door.unreachable.length > 0);
    assert.match(String(door.unreachable[0]?.cause), /too large/);
  });

  test('when all have ended it ends, cleanly', async (t) => {
    const { ledger, directory, listen } = await start(t);
    const heard = await listen();
    const [one, two] = [await ledger.next(), await directory.next()];
    one.script.end();
    two.script.end();
    assert.equal(await heard.next(), null);
  });

  test('a request whose stream was resumed ends it with its answer', async (t) => {
    const { ledger, directory, listen } = await start(t);
    const heard = await listen({ 'last-event-id': 'ledger~3' });
    const [one] = [await ledger.next(), await directory.next()];
    one.script.send(event({ id: 5, result: {} }, '4'));
    assert.equal(messageOf(await heard.next()).id, 5);
    one.script.end();
    assert.equal(await heard.next(), null);
  });

  test('it ends with the token, cleanly, and so do the requests behind it', async (t) => {
    const opened = Date.now();
    let now = opened;
    const { ledger, directory, listen } = await start(t, {
      expiresAt: () => Math.floor(opened / 1000) + 60,
      handlers: new Map([['GET', createStreamHandler(markedTasks, { ...STREAM_TIMES, now: () => now })]]),
    });
    now = (Math.floor(opened / 1000) + 60) * 1000 - 100;
    const heard = await listen();
    const [one, two] = [await ledger.next(), await directory.next()];
    assert.equal(await heard.next(), null);
    await Promise.all([one.script.cancelled, two.script.cancelled]);
  });

  test('a backend is read no faster than the client reads', async (t) => {
    const large = Buffer.from(event(note('x'.repeat(100_000))));
    const total = 640;
    let taken = 0;
    const body = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          if (taken++ < total) controller.enqueue(large);
          else controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const { listen } = await start(t, {
      ask: async (member) =>
        member === LEDGER ? new Response(body, { headers: { 'content-type': 'text/event-stream' } }) : NO_STREAM(),
      maxAnswerBytes: 1_000_000,
    });
    const heard = await listen();
    // What the two sockets between here and there hold is taken; then nothing more is.
    for (let before = -1; before !== taken; await delay(100)) before = taken;
    assert.ok(taken < total / 2, `${taken} of ${total} were taken`);
    for (let read = 0; read < total; read++) assert.equal(messageOf(await heard.next()).params.data.length, 100_000);
    assert.equal(await heard.next(), null);
  });
});

suite('that a list changed', () => {
  const changed = (list: string) => ({ method: `notifications/${list}/list_changed` });

  test('is told by the backend that says it tells, and not again by the catalog', async (t) => {
    const { door, ledger, directory, listen } = await start(t);
    const heard = await listen();
    const [one] = [await ledger.next(), await directory.next()];
    one.script.send(event(changed('tools')));
    door.changeList('ledger', 'tools');
    assert.equal(messageOf(await heard.next()).method, 'notifications/tools/list_changed');
    one.script.send(event(note('next')));
    assert.equal(messageOf(await heard.next()).params.data, 'next');
  });

  test('is told by the catalog of lists that the backend does not promise to tell of', async (t) => {
    const { door, ledger, directory, listen } = await start(t);
    const heard = await listen();
    const [one] = [await ledger.next(), await directory.next()];
    one.script.send(event(changed('prompts'), '1'));
    // Its id goes on: the client can resume from there.
    assert.equal(await heard.next(), 'event: message\nid: ledger~1\ndata: ');
    door.changeList('ledger', 'prompts');
    assert.equal(messageOf(await heard.next()).method, 'notifications/prompts/list_changed');
  });

  test('is told by the catalog for backends without a stream, until the client leaves', async (t) => {
    const { door, listen } = await start(t, { ask: async () => NO_STREAM() });
    const heard = await listen();
    door.changeList('directory', 'tools');
    assert.equal(messageOf(await heard.next()).method, 'notifications/tools/list_changed');
    assert.equal(door.listeners(), 1);
    heard.leave();
    await until(() => door.listeners() === 0);
  });
});
