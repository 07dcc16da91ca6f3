import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { AnswerInvalid, readEvents, type ServerEvent } from '../../../src/front-door/events.ts';
import {
  type Answer,
  errorText,
  eventText,
  notificationText,
  readAnswer,
  requestText,
  resultText,
} from '../../../src/front-door/messages.ts';

const LIMITS = { id: '1', maxBytes: 1000 };

function json(text: string, status = 200): Response {
  return new Response(text, { status, headers: { 'content-type': 'application/json; charset=utf-8' } });
}

function sse(...chunks: (string | Uint8Array)[]): Response {
  return new Response(streamOf(chunks), { headers: { 'content-type': 'text/event-stream' } });
}

function streamOf(chunks: readonly (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(chunks.map((chunk) => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk)));
}

function shown({ text, span }: Answer): string {
  return text.slice(...span);
}

suite('the answer to one request', () => {
  test('comes as JSON or as an event, and stays as it was written', async () => {
    const result = '{"n": 12345678901234567890, "d":1.10,\n"s":"\\u00fc\\"}"}';
    const text = ` {"jsonrpc":"2.0","id":1 , "result" : ${result} } `;
    const plain = await readAnswer(json(text), LIMITS);
    assert.deepEqual([plain.kind, shown(plain)], ['result', result]);
    const event = `: hello\nid: 7\nevent: message\ndata: ${text.replace('\n', '\ndata: ')}\n\n`;
    for (const size of [1, 2, 7, 1000]) {
      const bytes = Buffer.from(event);
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      );
      assert.equal(shown(await readAnswer(sse(...chunks), LIMITS)), result);
    }
  });

  test('is found among what else comes, and nothing is read after it', async () => {
    let pulled = 0;
    const events = [
      eventText(notificationText('notifications/message', '{"level":"info","data":1}')),
      eventText(requestText('1', 'ping', '{}')),
      eventText(resultText('2', '{"other":true}')),
      eventText(resultText('1', '{"mine":true}')),
    ];
    const body = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          pulled++;
          // The fifth never comes: the stream stays open.
          if (pulled <= events.length) controller.enqueue(Buffer.from(events[pulled - 1] ?? ''));
        },
      },
      { highWaterMark: 0 },
    );
    const response = new Response(body, { headers: { 'content-type': 'text/event-stream' } });
    assert.equal(shown(await readAnswer(response, LIMITS)), '{"mine":true}');
    assert.equal(pulled, 4);
  });

  test('is told by the id as it was sent, type included', async () => {
    const big = { ...LIMITS, id: '12345678901234567890' };
    assert.equal((await readAnswer(json(resultText('12345678901234567890', '{}')), big)).kind, 'result');
    // The same number to a double.
    await assert.rejects(readAnswer(json(resultText('12345678901234567000', '{}')), big), AnswerInvalid);
    const word = { ...LIMITS, id: '"\\u0061b"' };
    assert.equal((await readAnswer(json(resultText('"ab"', '{}')), word)).kind, 'result');
    for (const id of ['"1"', '2', 'null', 'true']) {
      await assert.rejects(readAnswer(json(resultText(id, '{}')), LIMITS), AnswerInvalid, id);
    }
  });

  test('may be an error, whatever the status', async () => {
    for (const [id, status] of [
      ['1', 200],
      ['1', 404],
      ['null', 400],
      [null, 500],
    ] as const) {
      const answer = await readAnswer(json(errorText(id, -32601, 'no "such" thing', { a: 1 }), status), LIMITS);
      assert.ok(answer.kind === 'error');
      assert.deepEqual([answer.code, answer.message], [-32601, 'no "such" thing']);
      assert.equal(shown(answer), '{"code":-32601,"message":"no \\"such\\" thing","data":{"a":1}}');
    }
  });

  const nonsense: Record<string, () => Response> = {
    'a page': () => new Response('<p>', { headers: { 'content-type': 'text/html' } }),
    'nothing at all': () => new Response(null, { status: 202 }),
    'a result under a status that is no success': () => json(resultText('1', '{}'), 500),
    'events under such a status': () =>
      new Response(eventText(resultText('1', '{}')), { status: 502, headers: { 'content-type': 'text/event-stream' } }),
    'no JSON': () => json('{"jsonrpc":"2.0","id":1,"result":{}'),
    'no UTF-8': () => new Response(Buffer.from([0x22, 0xff, 0x22]), { headers: { 'content-type': 'application/json' } }),
    'another JSON-RPC': () => json('{"jsonrpc":"1.0","id":1,"result":{}}'),
    'a batch': () => json(`[${resultText('1', '{}')}]`),
    'a result that is no object': () => json(resultText('1', '[]')),
    'result and error at once': () => json('{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}'),
    'nested beyond measure': () => json(resultText('1', `{"a":${'['.repeat(200)}${']'.repeat(200)}}`)),
    'a key twice, deep inside': () => json(resultText('1', '{"a":{"b":1,"b":2}}')),
    'result twice': () => json('{"jsonrpc":"2.0","id":1,"result":{"a":1},"result":{}}'),
    'neither of them': () => json('{"jsonrpc":"2.0","id":1}'),
    'an error without a code': () => json('{"jsonrpc":"2.0","id":1,"error":{"message":"x"}}'),
    'more than is read': () => json(resultText('1', `{"a":"${'a'.repeat(1000)}"}`)),
    'events beyond the limit': () => sse(...Array(20).fill(eventText(notificationText('n', `{"a":"${'a'.repeat(60)}"}`)))),
    'an event that has no end': () => sse('data: {', 'a'.repeat(600), 'a'.repeat(600)),
    'events without the answer': () => sse(eventText(notificationText('n')), ': bye\n\n'),
    'an event cut in half': () => sse(eventText(resultText('1', '{}')).slice(0, -1)),
    'an event that is no UTF-8': () => sse('data: ', Buffer.from([0xff]), '\n\n'),
  };
  for (const [name, response] of Object.entries(nonsense)) {
    test(`is never ${name}`, () => assert.rejects(readAnswer(response(), LIMITS), AnswerInvalid));
  }

  test('that breaks off is the error of the stream', async () => {
    const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new TypeError('terminated')) });
    await assert.rejects(readAnswer(new Response(body, { headers: { 'content-type': 'text/event-stream' } }), LIMITS), TypeError);
  });
});

suite('server-sent events', () => {
  async function events(...chunks: string[]): Promise<ServerEvent[]> {
    const all: ServerEvent[] = [];
    for await (const event of readEvents(streamOf(chunks), 1000)) all.push(event);
    return all;
  }

  test('end their lines in three ways, wherever the text is cut', async () => {
    const expected = [
      { data: 'x\ny', id: null, retry: null },
      { data: 'z', id: null, retry: null },
    ];
    for (const end of ['\n', '\r', '\r\n']) {
      const text = ['event: message', 'data: x', 'data:y', '', 'data: z', '', ''].join(end);
      assert.deepEqual(await events(text), expected);
      assert.deepEqual(await events(...text), expected);
    }
  });

  test('have an id, a time to come again, and may have nothing else', async () => {
    assert.deepEqual(await events('\ufeffid: 1\nretry: 500\ndata\n\n', ': only a comment\n\nretry: x\nid: a\0b\nid: 2\n\n'), [
      { data: '', id: '1', retry: 500 },
      { data: '', id: '2', retry: null },
    ]);
  });

  test('of another type carry no message, but an id', async () => {
    assert.deepEqual(await events('event: ping\ndata: keep-alive\nid: 3\n\nevent: ping\ndata: {}\n\nevent:\ndata: {}\n\n'), [
      { data: '', id: '3', retry: null },
      { data: '', id: null, retry: null },
      { data: '{}', id: null, retry: null },
    ]);
    const answer = await readAnswer(sse('event: ping\ndata: keep-alive\n\n', eventText(resultText('1', '{}'))), LIMITS);
    assert.equal(shown(answer), '{}');
  });

  test('of ours are read back as they were written', async () => {
    const message = '{"a":"line\\nbreak", "b":\r\n1}';
    const [event] = await events(eventText(message, 'e1'));
    assert.deepEqual(event, { data: '{"a":"line\\nbreak", "b": 1}', id: 'e1', retry: null });
  });
});
