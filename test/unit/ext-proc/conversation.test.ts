import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { beginConversation, type Conversation } from '../../../src/ext-proc/conversation.ts';
import type { Exchange } from '../../../src/ext-proc/exchange.ts';
import { ProtocolError, type Shown } from '../../../src/ext-proc/messages.ts';
import { fakeExchange } from './exchange.ts';

const bytes = (text: string) => Buffer.from(text);
const headers = new Map([['a', ['b']]]);
const requestHeaders: Shown = { kind: 'request_headers', headers, isLast: false };
const requestBody: Shown = { kind: 'request_body', body: bytes('q') };
const responseHeaders: Shown = { kind: 'response_headers', status: 200, headers, isLast: false };
const piece = (text: string, isLast = false): Shown => ({ kind: 'response_body', body: bytes(text), isLast });
const responseTrailers: Shown = { kind: 'response_trailers' };
const ALL: readonly Shown[] = [
  requestHeaders,
  requestBody,
  responseHeaders,
  piece('p'),
  { kind: 'request_trailers' },
  responseTrailers,
];

const step = { kind: 'continue', set: [], remove: [] } as const;
const wanting = (wantsBody: boolean, wantsResponse: boolean): Partial<Exchange> => ({
  requestHeaders: () => ({ ...step, wantsBody, wantsResponse }),
});
const instead = { kind: 'respond', response: { status: 403, headers: [], body: 'no' } } as const;

/** Which kinds are answered after these; each is tried on a conversation of its own. */
async function answered(steps: Partial<Exchange>, said: readonly Shown[]): Promise<string[]> {
  const kinds: string[] = [];
  for (const next of ALL) {
    const { answer: converse } = beginConversation(fakeExchange(steps));
    for (const shown of said) await converse(shown);
    try {
      await converse(next);
      kinds.push(next.kind);
    } catch (cause) {
      assert.ok(cause instanceof ProtocolError, String(cause));
    }
  }
  return kinds;
}

async function sayAll(converse: Conversation['answer'], said: readonly Shown[]) {
  const replies = [];
  for (const one of said) replies.push(await converse(one));
  return replies;
}

suite('what may come', () => {
  const holds = (name: string, steps: Partial<Exchange>, said: readonly Shown[], expected: string[]) =>
    test(name, async () => assert.deepEqual(await answered(steps, said), expected));

  holds('at first', {}, [], ['request_headers']);
  holds('with body and response wanted', {}, [requestHeaders], ['request_body', 'response_headers']);
  holds('with the body wanted', wanting(true, false), [requestHeaders], ['request_body']);
  holds('with the response wanted', wanting(false, true), [requestHeaders], ['response_headers']);
  holds('with nothing wanted', wanting(false, false), [requestHeaders], []);
  holds('with no body to come', {}, [{ ...requestHeaders, isLast: true }], ['response_headers']);
  holds('after the body', {}, [requestHeaders, requestBody], ['response_headers']);
  holds('after the body, no response wanted', wanting(true, false), [requestHeaders, requestBody], []);
  holds('after the answer headers', {}, [requestHeaders, responseHeaders], ['response_body', 'response_trailers']);
  holds('after the answer headers without a body', {}, [requestHeaders, { ...responseHeaders, isLast: true }], []);
  const noBody = { responseHeaders: () => ({ ...step, wantsBody: false }) };
  holds('after the answer headers, no body wanted', noBody, [requestHeaders, responseHeaders], []);
  const streaming = [requestHeaders, requestBody, responseHeaders, piece('1')];
  holds('after a piece', {}, streaming, ['response_body', 'response_trailers']);
  holds('after the last piece', {}, [...streaming, piece('2', true)], []);
  holds('after trailers', { responseBody: async () => bytes('') }, [...streaming, responseTrailers], []);
  holds('after an answer of ours', { requestHeaders: () => instead }, [requestHeaders], []);
  const replaced = { responseHeaders: () => instead };
  holds('after an answer of ours in place of theirs', replaced, [requestHeaders, responseHeaders], []);
  holds('after an answer of ours to the body', { requestBody: () => instead }, [requestHeaders, requestBody], []);
});

suite('an exchange', () => {
  test('is shown each part in turn, and its words go back', async () => {
    const exchange = fakeExchange({
      requestBody: () => bytes('Q'),
      responseBody: async (shown, isLast) => bytes(isLast ? shown.toString().toUpperCase() : ''),
    });
    const { answer: converse } = beginConversation(exchange);
    const replies = await sayAll(converse, [requestHeaders, requestBody, responseHeaders, piece('p'), piece('r', true)]);
    assert.deepEqual(exchange.shown, [
      ['requestHeaders', [...headers]],
      ['requestBody', 'q'],
      ['responseHeaders', 200, [...headers]],
      ['responseBody', 'p', false],
      ['responseBody', 'r', true],
    ]);
    assert.deepEqual(replies[1], { request_body: { response: { body_mutation: { body: bytes('Q') } } } });
    assert.deepEqual(replies[3], { response_body: { response: { body_mutation: { clear_body: true } } } });
    assert.deepEqual(replies[4], { response_body: { response: { body_mutation: { body: bytes('R') } } } });
  });

  test('answers in place of the backend', async () => {
    const { answer: atOnce } = beginConversation(fakeExchange({ requestHeaders: () => instead }));
    assert.equal((await atOnce(requestHeaders)).immediate_response?.status?.code, 403);
    const { answer: later } = beginConversation(fakeExchange({ requestBody: () => instead }));
    await later(requestHeaders);
    assert.deepEqual((await later(requestBody)).immediate_response?.body, bytes('no'));
  });

  test('hears of trailers as of the end', async () => {
    const exchange = fakeExchange({ responseBody: async () => bytes('') });
    const { answer: converse } = beginConversation(exchange);
    await sayAll(converse, [requestHeaders, responseHeaders, piece('p')]);
    assert.deepEqual(await converse(responseTrailers), { response_trailers: {} });
    assert.deepEqual(exchange.shown.at(-1), ['responseBody', '', true]);
  });

  test('that holds something back when trailers come is given up', async () => {
    const { answer: converse } = beginConversation(fakeExchange({ responseBody: async () => bytes('rest') }));
    await sayAll(converse, [requestHeaders, responseHeaders]);
    await assert.rejects(converse(responseTrailers), ProtocolError);
  });

  test('that throws is given up with what it threw', async () => {
    const boom = () => {
      throw new RangeError('boom');
    };
    await assert.rejects(beginConversation(fakeExchange({ requestHeaders: boom })).answer(requestHeaders), RangeError);
  });
});

suite('given up', () => {
  const rounds: [what: string, said: readonly Shown[], times: number][] = [
    ['before the answer', [requestHeaders], 1],
    ['within it', [requestHeaders, responseHeaders, piece('p')], 1],
    ['after it', [requestHeaders, responseHeaders, piece('p', true)], 0],
    ['after its trailers', [requestHeaders, responseHeaders, responseTrailers], 0],
  ];
  for (const [what, said, times] of rounds) {
    test(`${what}: told ${times} times`, async () => {
      let told = 0;
      const { answer, end } = beginConversation({
        ...fakeExchange({ responseBody: async () => bytes('') }),
        abandoned: () => {
          told++;
        },
      });
      for (const shown of said) await answer(shown);
      end();
      end();
      assert.equal(told, times);
    });
  }
  test('an answer that was not wanted: nothing to tell', async () => {
    const { answer, end } = beginConversation({ ...fakeExchange(wanting(false, false)), abandoned: () => assert.fail() });
    await answer(requestHeaders);
    end();
  });
});
