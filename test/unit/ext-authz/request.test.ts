import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import fc from 'fast-check';
import { toHttpFacts } from '../../../src/ext-authz/request.ts';
import type { _envoy_service_auth_v3_AttributeContext_HttpRequestInput as HttpInput } from '../../../src/gen/envoy/service/auth/v3/AttributeContext.ts';
import type { CheckRequestInput } from '../../../src/gen/envoy/service/auth/v3/CheckRequest.ts';
import type { HttpFacts } from '../../../src/http.ts';
import { NOW_MS } from '../support/facts.ts';
import { serializeRequest } from '../support/wire.ts';

type Attributes = NonNullable<CheckRequestInput['attributes']>;

function facts(http: HttpInput | null, attributes: Partial<Attributes> = {}, metadata = new Metadata()): HttpFacts | null {
  const request = { attributes: { request: { http }, ...attributes } };
  return toHttpFacts(serializeRequest(request), metadata, NOW_MS);
}

function some(http: HttpInput = {}, attributes: Partial<Attributes> = {}, metadata?: Metadata): HttpFacts {
  const found = facts({ method: 'POST', path: '/mcp', ...http }, attributes, metadata);
  assert.ok(found !== null);
  return found;
}

const raw = (lines: readonly (readonly [string, string | Buffer])[]): HttpInput => ({
  header_map: { headers: lines.map(([key, value]) => ({ key, raw_value: Buffer.from(value as string) })) },
});

suite('a CheckRequest', () => {
  test('becomes plain data', () => {
    const http: HttpInput = {
      ...{ id: '17', method: 'POST', path: '/mcp?a=b', host: 'gateway.example', size: 2, raw_body: Buffer.from('{}') },
      ...raw([
        [':path', '/mcp'],
        ['x-request-id', 'r-1'],
        ['accept', 'a'],
        ['accept', 'b'],
      ]),
    };
    const metadata = new Metadata();
    metadata.set('traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
    const attributes: Partial<Attributes> = {
      source: { address: { socket_address: { address: '192.0.2.1' } }, principal: 'spiffe://mesh/agent' },
      context_extensions: { tenant: 'acme' },
      request: { time: { seconds: NOW_MS / 1000, nanos: 5_000_000 }, http },
    };
    assert.deepEqual(some(http, attributes, metadata), {
      requestId: 'r-1',
      method: 'POST',
      path: '/mcp',
      query: 'a=b',
      host: 'gateway.example',
      headers: new Map([
        ['x-request-id', ['r-1']],
        ['accept', ['a', 'b']],
      ]),
      body: Buffer.from('{}'),
      statedSize: 2,
      partialBody: false,
      sourceIp: '192.0.2.1',
      sourcePrincipal: 'spiffe://mesh/agent',
      timeMs: NOW_MS + 5,
      context: { tenant: 'acme' },
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    });
  });

  test('that says little becomes little', () => {
    const { requestId, host, headers, body, statedSize, partialBody, sourceIp, sourcePrincipal, timeMs, traceId } = some();
    assert.deepEqual([requestId, host, sourceIp], ['', '', '']);
    assert.deepEqual([statedSize, sourcePrincipal, traceId], [null, null, null]);
    assert.equal(headers.size, 0);
    assert.equal(body.byteLength, 0);
    assert.equal(partialBody, false);
    assert.equal(timeMs, NOW_MS);
  });

  test('without HTTP, a method or a path is none', () => {
    assert.equal(toHttpFacts(serializeRequest({}), new Metadata(), NOW_MS), null);
    assert.equal(toHttpFacts(serializeRequest({ attributes: {} }), new Metadata(), NOW_MS), null);
    for (const http of [null, {}, { method: 'POST' }, { path: '/mcp' }]) assert.equal(facts(http), null);
  });

  test('with its body as text is none: what was not UTF-8 is gone from it', () => {
    assert.equal(facts({ method: 'POST', path: '/mcp', body: '{}' }), null);
    assert.equal(facts({ method: 'POST', path: '/mcp', body: '{}', raw_body: Buffer.from('{}') }), null);
  });

  test('keeps every byte of the body', () => {
    const body = Buffer.from([0, 255, 0xc3, 0x28, 10, 13]);
    assert.deepEqual(some({ raw_body: body }).body, body);
  });

  test('states a size only where it has one', () => {
    for (const size of [-1, 0]) assert.equal(some({ size }).statedSize, null);
    assert.equal(some({ size: 5_000_000_000 }).statedSize, 5_000_000_000);
  });

  test('splits its target at the first question mark', () => {
    for (const [target, path, query] of [
      ['/mcp', '/mcp', ''],
      ['/mcp?', '/mcp', ''],
      ['/mcp?a?b', '/mcp', 'a?b'],
      ['?a', '', 'a'],
      ['/mcp#x?y', '/mcp#x', 'y'],
      ['/%6dcp;a=b', '/%6dcp;a=b', ''],
    ] as const) {
      assert.deepEqual([some({ path: target }).path, some({ path: target }).query], [path, query]);
    }
  });
});

suite('headers', () => {
  test('come one by one, by lower-case name, without pseudo-headers', () => {
    const { headers } = some(
      raw([
        [':authority', 'x'],
        ['X-A', '1'],
        ['x-a', ''],
        ['x-b', 'caf\u00e9'],
      ]),
    );
    assert.deepEqual(
      [...headers],
      [
        ['x-a', ['1', '']],
        ['x-b', ['caf\u00c3\u00a9']],
      ],
    );
  });

  test('keep bytes that are no text', () => {
    const { headers } = some(raw([['x-a', Buffer.from([0x61, 0xff, 0x62])]]));
    assert.deepEqual(headers.get('x-a'), ['a\u00ffb']);
  });

  test('come as text where they were not sent raw', () => {
    assert.deepEqual(some({ headers: { ':path': '/x', 'X-A': '1,2' } }).headers, new Map([['x-a', ['1,2']]]));
    assert.deepEqual(some({ header_map: { headers: [{ key: 'x-a', value: '1' }] } }).headers.get('x-a'), ['1']);
  });

  test('with names that mean something to JavaScript are headers like others', () => {
    const { headers } = some(
      raw([
        ['__proto__', 'a'],
        ['constructor', 'b'],
      ]),
    );
    assert.deepEqual([headers.get('__proto__'), headers.get('constructor'), headers.get('toString')], [['a'], ['b'], undefined]);
    const { headers: joined, context } = some({ headers: { constructor: 'b' } }, { context_extensions: { constructor: 'c' } });
    assert.deepEqual(joined.get('constructor'), ['b']);
    assert.equal(context.constructor as unknown, 'c');
  });
});

suite('a partial body', () => {
  const partial = (...values: string[]) => some(raw(values.map((value) => ['x-envoy-auth-partial-body', value]))).partialBody;

  test('is one unless Envoy says that it is not', () => {
    assert.equal(partial(), false);
    assert.equal(partial('false'), false);
    for (const value of ['true', 'TRUE', '', 'False', 'false ', '0']) assert.equal(partial(value), true, value);
  });

  test('is one if any of several headers says so', () => {
    assert.equal(partial('false', 'true'), true);
    assert.equal(partial('false,true'), true);
  });
});

suite('time', () => {
  const at = (time: { seconds?: number | string; nanos?: number }) =>
    some({}, { request: { time, http: { method: 'POST', path: '/mcp' } } }).timeMs;

  test('is that of Envoy, to the millisecond', () => {
    assert.equal(at({ seconds: 1, nanos: 999_999_999 }), 1999);
    assert.equal(at({ seconds: 0 }), 0);
  });

  test('that no Date can hold is our own', () => {
    for (const seconds of ['9223372036854775807', '-9223372036854775808', 8_640_000_000_001]) {
      assert.equal(at({ seconds }), NOW_MS);
      assert.doesNotThrow(() => new Date(at({ seconds })).toISOString());
    }
  });
});

test('a trace id is taken from a well-formed traceparent only', () => {
  const traceOf = (value: string) => {
    const metadata = new Metadata();
    metadata.set('traceparent', value);
    return some({}, {}, metadata).traceId;
  };
  const id = '4bf92f3577b34da6a3ce929d0e0e4736';
  assert.equal(traceOf(`00-${id}-00f067aa0ba902b7-01`), id);
  for (const value of [
    '',
    id,
    `00-${id.toUpperCase()}-00f067aa0ba902b7-01`,
    `00-${id}-00f067aa0ba902b7-01-x`,
    `00-${id}x-00f067aa0ba902b7-01`,
  ]) {
    assert.equal(traceOf(value), null, value);
  }
});

suite('bytes', () => {
  const whole = serializeRequest({
    attributes: {
      source: { address: { socket_address: { address: '192.0.2.1', port_value: 1 } }, principal: 'p' },
      destination: { principal: 'q' },
      request: {
        time: { seconds: 5, nanos: 1 },
        http: { method: 'POST', path: '/mcp', host: 'h\u00e9', raw_body: Buffer.from('{}'), ...raw([['x-a', '1']]) },
      },
      context_extensions: { a: 'b' },
    },
  });
  const read = (bytes: Uint8Array) => toHttpFacts(Buffer.from(bytes), new Metadata(), NOW_MS);

  test('are read as proto-loader wrote them', () => {
    const found = read(whole);
    assert.deepEqual([found?.host, found?.sourceIp, found?.timeMs], ['h\u00e9', '192.0.2.1', 5000]);
  });

  test('cut short anywhere are no request, or one without what came after', () => {
    for (let length = 0; length < whole.length; length++) assert.equal(read(whole.subarray(0, length)), null, `${length} bytes`);
  });

  test('of a later version have fields that are passed over', () => {
    // Field 99 as varint, as 64 bits, as bytes, as 32 bits.
    const unknown = [
      [0x98, 6, 255, 1],
      [0x99, 6, 1, 2, 3, 4, 5, 6, 7, 8],
      [0x9a, 6, 2, 7, 7],
      [0x9d, 6, 1, 2, 3, 4],
    ];
    for (const field of unknown) assert.deepEqual(read(Buffer.concat([Buffer.from(field), whole])), read(whole));
  });

  test('of the wrong type, in a group or with a number without end are no request', () => {
    const endless = Array.from({ length: 11 }, () => 0xff);
    for (const field of [
      [8, 1],
      [0x0b, 0x0c],
      [0, 0],
      [0x98, 6, ...endless, 1],
      [0x9a, 6, 0x7f, 1],
      [0x0a, ...endless, 1],
    ])
      assert.equal(read(Buffer.concat([whole, Buffer.from(field)])), null, String(field));
  });

  test('of any kind do not make it throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void read(bytes)));
    const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const changed = Buffer.from(whole);
        for (const [at, byte] of changes) changed[at] = byte;
        const found = read(changed);
        if (found !== null) new Date(found.timeMs).toISOString();
      }),
    );
  });
});

test('nothing that Envoy could send makes it throw', () => {
  const text = fc.string({ unit: 'binary', maxLength: 20 });
  const http = fc.record(
    {
      method: text,
      path: text,
      host: text,
      id: text,
      body: text,
      raw_body: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
      size: fc.integer(),
      headers: fc.dictionary(text, text, { maxKeys: 4 }),
      header_map: fc.record({ headers: fc.array(fc.record({ key: text, value: text }), { maxLength: 4 }) }),
    },
    { requiredKeys: [] },
  );
  const time = fc.record({ seconds: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String), nanos: fc.integer() });
  fc.assert(
    fc.property(http, time, (input, when) => {
      const found = facts(null, { request: { http: input as HttpInput, time: when } });
      if (found !== null) new Date(found.timeMs).toISOString();
    }),
  );
});
