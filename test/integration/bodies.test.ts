/**
 * Bodies that are larger than may be, in pieces, cut short or slow, through listeners with and without body_size_limit: the
 * backend sees the whole of what was judged, or nothing. Envoy 1.40 does hand over the head of some of them and would
 * forward the whole.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../../examples/reference/free-port.ts';
import { settledLines } from '../support/ask.ts';
import { PATHS } from '../support/cases.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { addListener } from '../support/listeners.ts';
import { type HeaderLine, openWire, readAnswer, toBytes, type Wire, type WireAnswer } from '../support/wire.ts';

const LIMIT = 1024;

/** Each listener with the limit of 1024 bytes in ext_authz. */
const LISTENERS = {
  'body_size_limit before ext_authz': [],
  'no body_size_limit': ['body_size_limit'],
  'no body_size_limit and allow_partial_message': ['body_size_limit', 'partial'],
} as const;

type ListenerName = keyof typeof LISTENERS;

let deployment: TestDeployment;
let slow: Wire;
const wires = new Map<ListenerName, Wire>();
let headers: readonly HeaderLine[];

before(async () => {
  const names = Object.keys(LISTENERS) as ListenerName[];
  const ports = await Promise.all([...names, 'slow'].map(() => freePort()));
  deployment = await startTestDeployment({
    delegation: 'mint',
    adjustSidecar: withoutCatalog,
    adjustEnvoy: (config) => {
      for (const [index, name] of names.entries()) {
        addListener(config, `listener_${index}`, ports[index] as number, ({ filters, extAuthz }) => {
          const changes: readonly string[] = LISTENERS[name];
          extAuthz.with_request_body.max_request_bytes = LIMIT;
          extAuthz.with_request_body.allow_partial_message = changes.includes('partial');
          const limit = filters.findIndex((filter) => filter.name === 'envoy.filters.http.body_size_limit');
          if (changes.includes('body_size_limit')) filters.splice(limit, 1);
          else filters[limit]!.typed_config.max_request_bytes = LIMIT;
        });
      }
      addListener(config, 'slow', ports.at(-1) as number, ({ manager }) => {
        manager.request_timeout = '0.5s';
      });
    },
  });
  for (const [index, name] of names.entries()) wires.set(name, openWire(ports[index] as number, deployment.certificates.caPem));
  slow = openWire(ports.at(-1) as number, deployment.certificates.caPem);
  headers = [
    ['content-type', 'application/json'],
    ['accept', 'application/json, text/event-stream'],
    ['authorization', `Bearer ${await deployment.tokenOf('alice', deployment.directoryUrl)}`],
  ];
});
after(async () => {
  for (const wire of [...wires.values(), slow]) wire.close();
  await deployment.stop();
});

/** A message of exactly that many bytes that would be allowed, and whose head alone is no message. */
function messageOf(size: number): Buffer {
  const head = '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"x":"';
  return Buffer.from(`${head}${'a'.repeat(size - head.length - 3)}"}}`);
}

/** A message that is whole within the limit, followed by what makes another message of it for a reader of all of it. */
function headIsAMessage(size: number): Buffer {
  const head = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
  return Buffer.from(`${head}${' '.repeat(LIMIT - head.length)}${'x'.repeat(size - LIMIT)}`);
}

type Send = (wire: Wire, body: Buffer) => Promise<WireAnswer>;

const request = (body: Buffer, extra: readonly HeaderLine[] = []) => ({
  method: 'POST',
  path: PATHS.directory,
  authority: 'localhost',
  headers: [...headers, ...extra],
  body,
});

function chunked(body: Buffer, size: number): Buffer {
  const chunks: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) {
    const chunk = body.subarray(at, at + size);
    chunks.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
  }
  return Buffer.concat([...chunks, Buffer.from('0\r\n\r\n')]);
}

const CHUNKED: HeaderLine = ['transfer-encoding', 'chunked'];

const WAYS: Record<string, Send> = {
  'HTTP/1.1 with Content-Length': (wire, body) => wire.http1(request(body)),
  'HTTP/1.1 in one chunk': (wire, body) => wire.raw(toBytes(request(chunked(body, body.length), [CHUNKED]))),
  'HTTP/1.1 in chunks of 100 bytes': (wire, body) => wire.raw(toBytes(request(chunked(body, 100), [CHUNKED]))),
  'HTTP/2 in one DATA frame': (wire, body) => wire.http2(request(body)),
  'HTTP/2 with a Content-Length': (wire, body) => wire.http2(request(body, [['content-length', String(body.length)]])),
};

for (const name of Object.keys(LISTENERS) as ListenerName[]) {
  describe(name, () => {
    for (const [way, send] of Object.entries(WAYS)) {
      test(`${way}: up to the limit the backend sees every byte`, async () => {
        for (const size of [100, LIMIT - 1, LIMIT]) {
          const body = messageOf(size);
          const seen = deployment.requests.length;
          const { status } = await send(wires.get(name) as Wire, body);
          assert.equal(status, 200, `${size} bytes`);
          assert.deepEqual(
            deployment.requests.slice(seen).map((one) => one.body),
            [body.toString()],
          );
        }
      });

      test(`${way}: beyond it the backend sees none`, async () => {
        for (const make of [messageOf, headIsAMessage]) {
          for (const size of [LIMIT + 1, 3000, 16_000, 40_000, 300_000]) {
            const seen = deployment.requests.length;
            const lines = await settledLines(deployment);
            const { status } = await send(wires.get(name) as Wire, make(size)).catch(() => ({ status: null }));
            assert.ok(status === 413 || status === null, `${size} bytes: ${status}`);
            assert.equal(deployment.requests.length, seen, `${size} bytes: the backend saw something`);
            const reasons = (await deployment.decisions.all()).slice(lines).map(({ reason }) => reason);
            assert.deepEqual(
              reasons.filter((reason) => reason !== 'body_incomplete'),
              [],
              `${size} bytes`,
            );
          }
        }
      });
    }
  });
}

test('without body_size_limit Envoy does ask about a part, and is told so', async () => {
  const lines = await deployment.decisions.all();
  const incomplete = lines.filter(({ reason }) => reason === 'body_incomplete');
  assert.ok(incomplete.length > 0, 'Envoy never handed over a part: the defence is not tried any more');
  assert.ok(incomplete.every(({ decision, status, subject }) => decision === 'deny' && status === 413 && subject === undefined));
});

test('a body that is announced and does not come is not judged', async () => {
  const lines = await settledLines(deployment);
  const seen = deployment.requests.length;
  const socket = await deployment.wire.connect();
  const whole = toBytes(request(messageOf(1000)));
  socket.write(whole.subarray(0, whole.length - 1));
  socket.end();
  await once(socket, 'close');
  assert.equal(await settledLines(deployment), lines + 1);
  assert.equal(deployment.requests.length, seen);
});

test('a body that comes too slowly ends with 408, and nobody was asked', async () => {
  const lines = await settledLines(deployment);
  const socket = await slow.connect();
  try {
    const answer = readAnswer(socket);
    const whole = toBytes(request(messageOf(1000)));
    socket.write(whole.subarray(0, whole.length - 1));
    assert.equal((await answer).status, 408);
  } finally {
    socket.destroy();
  }
  assert.equal(await settledLines(deployment), lines + 1);
});

test('a body in single bytes is one body', async () => {
  const body = messageOf(200);
  const seen = deployment.requests.length;
  const socket = await deployment.wire.connect();
  try {
    const answer = readAnswer(socket);
    const whole = toBytes(request(body));
    for (const byte of whole) socket.write(Buffer.of(byte));
    assert.equal((await answer).status, 200);
  } finally {
    socket.destroy();
  }
  assert.deepEqual(
    deployment.requests.slice(seen).map((one) => one.body),
    [body.toString()],
  );
});
