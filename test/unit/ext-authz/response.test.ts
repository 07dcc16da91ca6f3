import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { Answer } from '../../../src/check/authorize.ts';
import type { DecisionRecord } from '../../../src/check/record.ts';
import { toCheckResponse } from '../../../src/ext-authz/response.ts';
import { encodeCheckResponse } from '../../../src/ext-authz/wire.ts';
import type { HeaderValueOption } from '../../../src/gen/envoy/config/core/v3/HeaderValueOption.ts';
import type { CheckResponse } from '../../../src/gen/envoy/service/auth/v3/CheckResponse.ts';
import { deserializeResponse } from '../support/wire.ts';

const record = { decision_id: 'd', decision: 'deny', reason: 'tool_forbidden' } as DecisionRecord;

/** Through the bytes and back. */
function told(answer: Answer, metadata: object = record): CheckResponse {
  return deserializeResponse(encodeCheckResponse(toCheckResponse({ answer }, metadata as DecisionRecord)));
}

function lines(options: readonly HeaderValueOption[] | undefined): [unknown, unknown][] {
  return (options ?? []).map(({ header }) => [header?.key, header?.value ?? '']);
}

function responded(status: number, body = '{}'): Answer {
  return { kind: 'respond', response: { status, headers: [['content-type', 'application/json']], body } };
}

const forwarded: Extract<Answer, { kind: 'forward' }> = {
  kind: 'forward',
  set: [['authorization', 'Bearer t']],
  remove: ['cookie', 'x-user'],
  responseHeaders: [
    ['access-control-allow-origin', 'https://app.example'],
    ['vary', 'Origin'],
  ],
};

suite('an allow', () => {
  test('sets, removes and adds what the answer says', () => {
    const { status, ok_response: ok, denied_response: denied } = told(forwarded);
    assert.equal(status?.code ?? 0, 0);
    assert.equal(denied, undefined);
    assert.deepEqual(lines(ok?.headers), [['authorization', 'Bearer t']]);
    assert.deepEqual(ok?.headers_to_remove, ['cookie', 'x-user']);
    assert.deepEqual(lines(ok?.response_headers_to_add), forwarded.responseHeaders);
  });

  test('replaces what is there, and adds to the list of what a response varies by', () => {
    const { ok_response: ok } = told(forwarded);
    const actions = [...(ok?.headers ?? []), ...(ok?.response_headers_to_add ?? [])].map((option) => [
      option.header?.key,
      option.append_action ?? 0,
    ]);
    assert.deepEqual(actions, [
      ['authorization', 2],
      ['access-control-allow-origin', 2],
      ['vary', 0],
    ]);
  });

  test('that changes nothing still says that it is one', () => {
    const { ok_response: ok } = told({ kind: 'forward', set: [], remove: [], responseHeaders: [] });
    assert.notEqual(ok, undefined);
  });
});

suite('a refusal', () => {
  test('has its own status, headers and body', () => {
    const { status, ok_response: ok, denied_response: denied } = told(responded(413, '{"a":"ä"}'));
    assert.equal(status?.code, 7);
    assert.equal(ok, undefined);
    assert.equal(Number(denied?.status?.code), 413);
    assert.deepEqual(lines(denied?.headers), [['content-type', 'application/json']]);
    assert.equal(denied?.body, '{"a":"ä"}');
  });

  test('is unauthenticated with 401, else permission denied, also with 200', () => {
    assert.equal(told(responded(401)).status?.code, 16);
    for (const status of [200, 204, 400, 403, 404, 500, 503])
      assert.equal(told(responded(status)).status?.code, 7, String(status));
  });

  test('cannot be made of an answer that is neither', () => {
    for (const answer of [{}, { kind: 'allow' }, { kind: 'respond' }, { kind: 'forward' }, null]) {
      assert.throws(() => told(answer as Answer), JSON.stringify(answer));
    }
  });
});

const text = fc.string({ unit: 'binary', maxLength: 40 });
const headerLines = fc.array(fc.tuple(text, text), { maxLength: 5 });
const answers: fc.Arbitrary<Answer> = fc.oneof(
  fc.record({ kind: fc.constant('forward' as const), set: headerLines, remove: fc.array(text), responseHeaders: headerLines }),
  fc.record({
    kind: fc.constant('respond' as const),
    response: fc.record({
      status: fc.integer({ min: 200, max: 511 }),
      headers: headerLines,
      body: fc.string({ unit: 'binary', maxLength: 400 }),
    }),
  }),
);
const metadata = fc.dictionary(
  fc.stringMatching(/^[a-z_]{1,12}$/),
  fc.oneof(text, fc.double({ noNaN: true }), fc.array(text, { maxLength: 4 }), fc.constant(undefined)),
);
/** A lone half of a surrogate pair has no UTF-8; what stands for it does not matter here. */
const wellFormed = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (_key, one) => (typeof one === 'string' ? one.toWellFormed() : one));

suite('whatever the verdict', () => {
  test('it is never an empty response, and never an allow unless it was one', () => {
    fc.assert(
      fc.property(answers, metadata, (answer, more) => {
        const bytes = encodeCheckResponse(toCheckResponse({ answer }, more as unknown as DecisionRecord));
        assert.ok(bytes.byteLength > 0);
        const { status, ok_response: ok, denied_response: denied } = deserializeResponse(bytes);
        assert.notEqual(status, undefined);
        assert.equal((status?.code ?? 0) === 0, answer.kind === 'forward');
        assert.equal(ok !== undefined, answer.kind === 'forward');
        assert.equal(denied !== undefined, answer.kind === 'respond');
      }),
    );
  });

  test('its bytes say what it says, as proto-loader reads them', () => {
    fc.assert(
      fc.property(answers, metadata, (answer, more) => {
        const read = told(answer, more);
        const { ok_response: ok, denied_response: denied } = read;
        const shown =
          answer.kind === 'forward'
            ? {
                set: lines(ok?.headers),
                remove: ok?.headers_to_remove ?? [],
                responseHeaders: lines(ok?.response_headers_to_add),
              }
            : { status: Number(denied?.status?.code), headers: lines(denied?.headers), body: denied?.body ?? '' };
        const { kind, ...said } = answer;
        assert.deepEqual(wellFormed(shown), wellFormed('response' in said ? said.response : said));
        assert.deepEqual(wellFormed(plain(read.dynamic_metadata)), wellFormed(more));
      }),
    );
  });

  test('its text is well-formed UTF-8 on the wire: anything else would be a gRPC error to Envoy', () => {
    const half = '\ud834';
    const bytes = encodeCheckResponse(
      toCheckResponse({ answer: responded(403, half) }, { ...record, tool: half } as DecisionRecord),
    );
    const { denied_response: denied, dynamic_metadata: shown } = deserializeResponse(bytes);
    assert.equal(denied?.body, '\ufffd');
    assert.equal(shown?.fields?.tool?.stringValue, '\ufffd');
  });
});

/** A google.protobuf.Struct of strings, numbers and lists of strings as an object. */
function plain(struct: CheckResponse['dynamic_metadata']): object {
  return Object.fromEntries(
    Object.entries(struct?.fields ?? {}).map(([name, value]) => [
      name,
      value.stringValue ?? value.numberValue ?? (value.listValue?.values ?? []).map(({ stringValue }) => stringValue),
    ]),
  );
}
