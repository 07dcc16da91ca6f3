import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  ProtocolError,
  type Reply,
  readMessage,
  replyInstead,
  replyToBody,
  replyToRequestHeaders,
  replyToResponseHeaders,
  replyToTrailers,
} from '../../../src/ext-proc/messages.ts';
import { loadExternalProcessor } from '../../../src/ext-proc/server.ts';
import type { ProcessingRequest, ProcessingRequestInput } from '../../../src/gen/envoy/service/ext_proc/v3/ProcessingRequest.ts';
import type { ProcessingResponse } from '../../../src/gen/envoy/service/ext_proc/v3/ProcessingResponse.ts';

const { Process } = loadExternalProcessor().service;

/** As it comes off the wire. */
function arrived(message: ProcessingRequestInput): ProcessingRequest {
  return Process.requestDeserialize(Process.requestSerialize(message)) as ProcessingRequest;
}

/** As Envoy would read it. */
function received(reply: Reply): ProcessingResponse {
  return Process.responseDeserialize(Process.responseSerialize(reply));
}

const raw = (key: string, value: string | Buffer) => ({ key, raw_value: Buffer.from(value as string) });
const headersOf = (...headers: object[]) => ({ headers: { headers } });
const CONTINUE = { kind: 'continue', set: [], remove: [], wantsBody: false } as const;
const STEP = { ...CONTINUE, wantsResponse: false } as const;

suite('what Envoy shows', () => {
  test('headers: raw or not, twice, in lower case, without those of HTTP/2', () => {
    const headers = headersOf(
      raw(':path', '/mcp'),
      raw('Accept', 'a'),
      raw('accept', 'b'),
      { key: 'plain', value: 'c' },
      raw('none', ''),
    );
    assert.deepEqual(readMessage(arrived({ request_headers: headers })), {
      kind: 'request_headers',
      headers: new Map([
        ['accept', ['a', 'b']],
        ['plain', ['c']],
        ['none', ['']],
      ]),
      isLast: false,
    });
  });

  test('header bytes that are no UTF-8: one character for each', () => {
    const shown = readMessage(arrived({ request_headers: headersOf(raw('x', Buffer.from([0xff, 0x41]))) }));
    assert.ok(shown.kind === 'request_headers');
    assert.deepEqual(shown.headers.get('x'), ['\xffA']);
  });

  test('a response with its status', () => {
    const response_headers = { ...headersOf(raw(':status', '404'), raw('a', 'b')), end_of_stream: true };
    assert.deepEqual(readMessage(arrived({ response_headers })), {
      kind: 'response_headers',
      status: 404,
      headers: new Map([['a', ['b']]]),
      isLast: true,
    });
  });

  for (const status of [[], [raw(':status', 'ok')], [raw(':status', '20')], [raw(':status', '')]]) {
    test(`no response without a status: ${JSON.stringify(status)}`, () => {
      assert.throws(() => readMessage(arrived({ response_headers: headersOf(...status) })), ProtocolError);
    });
  }

  test('bodies, empty ones too', () => {
    const body = Buffer.from([0, 255]);
    assert.deepEqual(readMessage(arrived({ request_body: { body, end_of_stream: true } })), { kind: 'request_body', body });
    assert.deepEqual(readMessage(arrived({ request_body: {} })), { kind: 'request_body', body: Buffer.alloc(0) });
    assert.deepEqual(readMessage(arrived({ response_body: { body } })), { kind: 'response_body', body, isLast: false });
    assert.deepEqual(readMessage(arrived({ response_body: { end_of_stream: true } })), {
      kind: 'response_body',
      body: Buffer.alloc(0),
      isLast: true,
    });
  });

  test('trailers', () => {
    assert.deepEqual(readMessage(arrived({ request_trailers: {} })), { kind: 'request_trailers' });
    assert.deepEqual(readMessage(arrived({ response_trailers: {} })), { kind: 'response_trailers' });
  });

  const odd: Record<string, ProcessingRequestInput> = {
    'nothing at all': {},
    'two things at once': { request_body: {}, response_body: {} },
    'something it does not wait for': { request_body: {}, observability_mode: true },
  };
  for (const [name, message] of Object.entries(odd)) {
    test(`not ${name}`, () => assert.throws(() => readMessage(arrived(message)), ProtocolError));
  }

  test('skips what newer messages have', () => {
    // Field 9, attributes, and field 15, which there is not.
    const bytes = Buffer.concat([Process.requestSerialize({ request_body: {} }), Buffer.from([0x4a, 0x00, 0x7a, 0x01, 0x41])]);
    assert.equal(readMessage(Process.requestDeserialize(bytes) as ProcessingRequest).kind, 'request_body');
  });
});

suite('replies', () => {
  const OVERWRITE = 2;

  test('to request headers: changes, and nothing more wanted', () => {
    const reply = received(replyToRequestHeaders({ ...STEP, set: [['a', 'é']], remove: ['b'] }, false));
    const mutation = reply.request_headers?.response?.header_mutation;
    assert.deepEqual(mutation?.set_headers, [{ header: { key: 'a', raw_value: Buffer.from('é') }, append_action: OVERWRITE }]);
    assert.deepEqual(mutation?.remove_headers, ['b']);
    assert.deepEqual(reply.mode_override, { request_body_mode: 0, response_header_mode: 2 });
  });

  test('to request headers: the body and the response wanted', () => {
    const reply = received(replyToRequestHeaders({ ...STEP, wantsBody: true, wantsResponse: true, remove: ['b'] }, false));
    assert.deepEqual(reply.request_headers?.response?.header_mutation?.remove_headers, ['b', 'content-length']);
    assert.deepEqual(reply.mode_override, { request_body_mode: 2, response_header_mode: 1 });
  });

  test('to request headers: no body to be had', () => {
    const reply = received(replyToRequestHeaders({ ...STEP, wantsBody: true }, true));
    assert.equal(reply.request_headers?.response?.header_mutation?.remove_headers, undefined);
    assert.equal(reply.mode_override?.request_body_mode, 0);
  });

  test('to response headers', () => {
    const wanted = received(replyToResponseHeaders({ ...CONTINUE, wantsBody: true }, false));
    assert.deepEqual(wanted.response_headers?.response?.header_mutation?.remove_headers, ['content-length']);
    assert.deepEqual(wanted.mode_override, { response_body_mode: 1, response_trailer_mode: 1 });
    for (const [wantsBody, isLast] of [
      [false, false],
      [true, true],
    ] as const) {
      const reply = received(replyToResponseHeaders({ ...CONTINUE, wantsBody }, isLast));
      assert.equal(reply.response_headers?.response?.header_mutation?.remove_headers, undefined);
      assert.deepEqual(reply.mode_override, { response_body_mode: 0 });
    }
  });

  test('to bodies: one replaced, one cleared, never left as it was', () => {
    const body = Buffer.from([0, 255]);
    assert.deepEqual(received(replyToBody('request_body', body)).request_body?.response?.body_mutation, { body });
    const cleared = received(replyToBody('response_body', Buffer.alloc(0)));
    assert.deepEqual(cleared.response_body?.response?.body_mutation, { clear_body: true });
  });

  test('to trailers: as they are', () => {
    assert.deepEqual(received(replyToTrailers('request_trailers')), { request_trailers: {} });
    assert.deepEqual(received(replyToTrailers('response_trailers')), { response_trailers: {} });
  });

  test("in place of the backend's", () => {
    const headers = [
      ['content-type', 'application/json'],
      ['x', '1'],
      ['x', '2'],
      ['vary', 'Origin'],
    ] as const;
    const { immediate_response: reply } = received(replyInstead({ status: 403, headers, body: '{"é":1}' }));
    assert.equal(reply?.status?.code, 403);
    assert.equal(reply?.body?.toString(), '{"é":1}');
    assert.deepEqual(
      reply?.headers?.set_headers?.map(({ header, append, append_action }) => [header?.key, append?.value, append_action]),
      [
        ['content-type', undefined, OVERWRITE],
        ['x', undefined, OVERWRITE],
        ['x', true, undefined],
        ['vary', true, undefined],
      ],
    );
  });
});
