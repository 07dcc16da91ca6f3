import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { suite, type TestContext, test } from 'node:test';
import { type ClientDuplexStream, credentials, status as grpcStatus, type ServiceError } from '@grpc/grpc-js';
import { denied, newFacts } from '../../../src/check/authorize.ts';
import { type CheckServer, type ServerOptions, startServer } from '../../../src/ext-authz/server.ts';
import type { Exchange } from '../../../src/ext-proc/exchange.ts';
import { EXT_PROC_NAME, type ExtProcOptions, extProcService, loadExternalProcessor } from '../../../src/ext-proc/server.ts';
import type { ProcessingRequestInput } from '../../../src/gen/envoy/service/ext_proc/v3/ProcessingRequest.ts';
import type { ProcessingResponse } from '../../../src/gen/envoy/service/ext_proc/v3/ProcessingResponse.ts';
import { noFacts } from '../../../src/http.ts';
import { connectEnvoy } from '../support/envoy.ts';
import { fakeExchange } from './exchange.ts';

const ExternalProcessor = loadExternalProcessor();

interface Running extends CheckServer {
  readonly begin: () => Talk;
  readonly failures: Error[];
  readonly inFlight: number[];
  /** Resolves when nothing is under way. */
  readonly idle: () => Promise<void>;
}

interface Talk {
  readonly say: (message: ProcessingRequestInput) => Promise<ProcessingResponse>;
  readonly tell: (message: ProcessingRequestInput) => void;
  readonly end: () => void;
  readonly cancel: () => void;
  /** How the stream ended. */
  readonly ended: Promise<number>;
}

async function run(
  t: TestContext,
  steps: Partial<Exchange> = {},
  options: Partial<ExtProcOptions & ServerOptions> = {},
): Promise<Running> {
  const failures: Error[] = [];
  const inFlight: number[] = [];
  const changes = new EventEmitter();
  const { open = () => fakeExchange(steps), maxInFlight = 10, maxMessageBytes = 65_536 } = options;
  const server = await startServer({
    ...{ listen: '127.0.0.1:0', tls: null, maxMessageBytes, maxConcurrentStreams: 100, maxInFlight: 100, deadlineReserveMs: 0 },
    check: () => Promise.reject(new Error('not asked')),
    refuse: (http, denial) => denied(denial, newFacts(http ?? noFacts(), 'd'), { allowedOrigins: new Set() }),
    observe: () => {},
    services: [
      extProcService({
        open,
        maxInFlight,
        onFailure: (cause) => failures.push(cause as Error),
        onInFlight: (count) => {
          inFlight.push(count);
          changes.emit('change');
        },
      }),
    ],
  });
  const client = new ExternalProcessor(server.target, credentials.createInsecure(), { 'grpc.enable_retries': 0 });
  t.after(() => {
    client.close();
    return server.drain(0, 0);
  });
  const idle = async () => {
    while (inFlight.at(-1) !== 0) await once(changes, 'change');
  };
  return { ...server, failures, inFlight, idle, begin: () => talk(client.Process()) };
}

function talk(call: ClientDuplexStream<ProcessingRequestInput, ProcessingResponse>): Talk {
  const ended = new Promise<number>((resolve) => {
    call.on('status', ({ code }) => resolve(code));
    call.on('error', ({ code }: ServiceError) => resolve(code));
  });
  const replies: ProcessingResponse[] = [];
  const changes = new EventEmitter();
  call.on('data', (reply: ProcessingResponse) => {
    replies.push(reply);
    changes.emit('change');
  });
  call.on('close', () => changes.emit('change'));
  return {
    say: async (message) => {
      call.write(message);
      if (replies.length === 0) await once(changes, 'change');
      const reply = replies.shift();
      assert.ok(reply, 'ended without a reply');
      return reply;
    },
    tell: (message) => call.write(message),
    end: () => call.end(),
    cancel: () => call.cancel(),
    ended,
  };
}

const requestHeaders = { request_headers: { headers: { headers: [{ key: 'a', raw_value: Buffer.from('b') }] } } };
const requestBody = { request_body: { body: Buffer.from('question'), end_of_stream: true } };
const responseHeaders = { response_headers: { headers: { headers: [{ key: ':status', raw_value: Buffer.from('200') }] } } };

suite('a stream', { timeout: 300_000 }, () => {
  test('answers each message, and ends when Envoy has ended its side', async (t) => {
    const { begin, idle, failures, inFlight } = await run(t, { requestBody: () => Buffer.from('Q') });
    const { say, end, ended } = begin();
    assert.equal((await say(requestHeaders)).mode_override?.request_body_mode, 2);
    assert.equal((await say(requestBody)).request_body?.response?.body_mutation?.body?.toString(), 'Q');
    assert.ok((await say(responseHeaders)).response_headers);
    for (let count = 0; count < 50; count += 1) {
      const reply = await say({ response_body: { body: Buffer.from(`${count}`), end_of_stream: count === 49 } });
      assert.equal(reply.response_body?.response?.body_mutation?.body?.toString(), `${count}`);
    }
    end();
    assert.equal(await ended, grpcStatus.OK);
    await idle();
    assert.deepEqual(failures, []);
    assert.deepEqual(inFlight, [1, 0]);
  });

  test('is one exchange each, however many there are', async (t) => {
    let opened = 0;
    const { begin, idle } = await run(t, {}, { open: () => fakeExchange({ requestBody: name(`${opened++}`) }) });
    const talks = [begin(), begin(), begin()];
    for (const { say } of talks) await say(requestHeaders);
    const bodies: (string | undefined)[] = [];
    for (const { say } of talks) {
      bodies.push((await say(requestBody)).request_body?.response?.body_mutation?.body?.toString());
    }
    assert.deepEqual(bodies, ['0', '1', '2']);
    for (const { end } of talks) end();
    await idle();
  });

  test('that Envoy gives up is freed, and no failure; the exchange is told', async (t) => {
    const exchange = fakeExchange();
    const { begin, idle, failures } = await run(t, {}, { open: () => exchange });
    const { say, cancel, ended } = begin();
    await say(requestHeaders);
    cancel();
    assert.equal(await ended, grpcStatus.CANCELLED);
    await idle();
    assert.deepEqual(failures, []);
    assert.deepEqual(
      exchange.shown.map(([what]) => what),
      ['requestHeaders', 'abandoned'],
    );
  });

  test('that ends in the middle of the answer is told the same way; what goes wrong then is a failure', async (t) => {
    const abandoned = () => {
      throw new Error('boom');
    };
    const { begin, idle, failures } = await run(t, { abandoned });
    const { say, end, ended } = begin();
    await say(requestHeaders);
    await say(responseHeaders);
    end();
    assert.equal(await ended, grpcStatus.OK);
    await idle();
    assert.deepEqual(
      failures.map(({ message }) => message),
      ['boom'],
    );
  });
});

function name(text: string): Exchange['requestBody'] {
  return () => Buffer.from(text);
}

suite('what goes wrong ends the stream with an error, told once', { timeout: 300_000 }, () => {
  const boom = () => {
    throw new Error('boom');
  };
  const wrong: Record<string, [Partial<Exchange>, ProcessingRequestInput[], string]> = {
    'an exchange that throws': [{ requestHeaders: boom }, [requestHeaders, requestBody], 'boom'],
    'one that throws later': [{ responseHeaders: boom }, [requestHeaders, requestBody, responseHeaders], 'boom'],
    'a message out of order': [{}, [requestBody], 'request_body came unasked'],
    'a message twice': [{}, [requestHeaders, requestHeaders], 'request_headers came unasked'],
    'an unknown message': [{}, [{}], 'a message of an unknown kind'],
  };
  for (const [what, [steps, messages, cause]] of Object.entries(wrong)) {
    test(what, async (t) => {
      const { begin, idle, failures } = await run(t, steps);
      const { tell, ended } = begin();
      for (const message of messages) tell(message);
      assert.equal(await ended, grpcStatus.INTERNAL);
      await idle();
      assert.deepEqual(
        failures.map(({ message }) => message),
        [cause],
      );
    });
  }

  test('an exchange that cannot even be opened', async (t) => {
    const { begin, failures } = await run(t, {}, { open: boom });
    const { tell, ended } = begin();
    tell(requestHeaders);
    assert.equal(await ended, grpcStatus.INTERNAL);
    assert.equal(failures.length, 1);
  });

  test('a reply that cannot be written', async (t) => {
    const { begin, failures } = await run(t, { requestBody: () => Object.assign(Buffer.from('x'), { length: -1 }) });
    const { tell, say, ended } = begin();
    await say(requestHeaders);
    tell(requestBody);
    assert.equal(await ended, grpcStatus.INTERNAL);
    assert.equal(failures.length, 1);
  });

  test('bytes that are no message', async (t) => {
    const { target, failures, idle } = await run(t);
    const client = new ExternalProcessor(target, credentials.createInsecure());
    t.after(() => client.close());
    const asIs = (bytes: Buffer): Buffer => bytes;
    const { ended, tell } = talk(
      client.makeBidiStreamRequest(`/${EXT_PROC_NAME}/Process`, asIs as never, asIs as never) as never,
    );
    tell(Buffer.from([0xff, 0xff, 0xff]) as never);
    assert.equal(await ended, grpcStatus.INTERNAL);
    await idle();
    assert.equal(failures.length, 1);
  });

  test('a message that is too large', async (t) => {
    const { begin, idle } = await run(t, {}, { maxMessageBytes: 1024 });
    const { say, tell, ended } = begin();
    await say(requestHeaders);
    tell({ request_body: { body: Buffer.alloc(2000), end_of_stream: true } });
    assert.equal(await ended, grpcStatus.RESOURCE_EXHAUSTED);
    await idle();
  });

  test('more streams than there is room for; those under way go on', async (t) => {
    const { begin, idle, failures } = await run(t, {}, { maxInFlight: 2 });
    const talks = [begin(), begin()];
    for (const { say } of talks) await say(requestHeaders);
    const surplus = begin();
    surplus.tell(requestHeaders);
    assert.equal(await surplus.ended, grpcStatus.RESOURCE_EXHAUSTED);
    assert.equal(failures.length, 1);
    for (const { say, end } of talks) {
      await say(requestBody);
      end();
    }
    await idle();
    const next = begin();
    await next.say(requestHeaders);
    next.end();
    assert.equal(await next.ended, grpcStatus.OK);
  });
});

suite('the server it runs on', { timeout: 300_000 }, () => {
  test('tells its health', async (t) => {
    const { target, drain, begin } = await run(t);
    const envoy = connectEnvoy(target);
    t.after(envoy.close);
    assert.equal(await envoy.health(EXT_PROC_NAME), 'SERVING');
    const { say } = begin();
    await say(requestHeaders);
    const drained = drain(100, 50);
    assert.equal(await envoy.health(EXT_PROC_NAME), 'NOT_SERVING');
    await drained;
  });

  test('draining: what is under way goes on until its time is over, and then ends with an error', async (t) => {
    const { begin, drain, idle } = await run(t);
    const [short, long] = [begin(), begin()];
    await short.say(requestHeaders);
    await long.say(requestHeaders);
    const drained = drain(0, 200);
    assert.ok((await short.say(requestBody)).request_body);
    short.end();
    assert.equal(await short.ended, grpcStatus.OK);
    assert.notEqual(await long.ended, grpcStatus.OK);
    await drained;
    await idle();
  });
});
