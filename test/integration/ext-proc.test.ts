/**
 * ext_proc through a real Envoy: the filter as in envoy/envoy.yaml, the service of src/ext-proc/ with an exchange that
 * rewrites bodies both ways, a plain backend that tells what reached it. What goes wrong must never let anything pass
 * unprocessed.
 */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  createServer as createHttp2Server,
  type ServerHttp2Stream,
} from 'node:http2';
import { request as requestHttps } from 'node:https';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createCertificates } from '../../examples/reference/certificate-authority.ts';
import { freePort } from '../../examples/reference/free-port.ts';
import { type Envoy, startEnvoy } from '../../examples/reference/gateway.ts';
import { bringEnvoy } from '../../scripts/envoy.ts';
import { denied, newFacts } from '../../src/check/authorize.ts';
import { PLAN_HEADER } from '../../src/check/plan.ts';
import { type CheckServer, startServer } from '../../src/ext-authz/server.ts';
import type { Exchange } from '../../src/ext-proc/exchange.ts';
import { extProcService } from '../../src/ext-proc/server.ts';
import { type Headers, noFacts } from '../../src/http.ts';
import { stats } from '../support/envoy-admin.ts';
import { addListener } from '../support/listeners.ts';

type Tree = Record<string, any>;
type Version = 'HTTP/1.1' | 'HTTP/2';
const VERSIONS: readonly Version[] = ['HTTP/1.1', 'HTTP/2'];

const EXT_PROC_FILTER = {
  name: 'envoy.filters.http.ext_proc',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor',
    grpc_service: { envoy_grpc: { cluster_name: 'processor' } },
    message_timeout: '1s',
    failure_mode_allow: false,
    allow_mode_override: true,
    processing_mode: { request_header_mode: 'SKIP', response_header_mode: 'SKIP' },
  },
};
const PROCESSED = {
  'envoy.filters.http.ext_proc': {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute',
    // Everything; our answers turn off what is not wanted. Where Envoy does not hear them, it shows too much, not too little.
    overrides: {
      processing_mode: {
        request_header_mode: 'SEND',
        request_body_mode: 'BUFFERED',
        response_header_mode: 'SEND',
        response_body_mode: 'STREAMED',
        response_trailer_mode: 'SEND',
      },
    },
  },
};

/** Told of whatever changes; conditions are looked at again then. */
const changes = new EventEmitter().setMaxListeners(100);

async function waitUntil(holds: () => boolean): Promise<void> {
  while (!holds()) await once(changes, 'change');
}

const LARGE = 400_000;

interface Reached {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
const reached: Reached[] = [];
const phases: string[] = [];
const failures: string[] = [];
let opened = 0;
let inFlight = 0;
let largestPiece = 0;
/** What the backend writes of a stream next; null ends it. */
let speak: (text: string | null) => void = () => {};
let isBackendGone = false;

const stops: (() => Promise<unknown> | unknown)[] = [];
let envoy: Envoy;
let ca: string;
let server: CheckServer;
/** A listener without allow_mode_override. */
let deafPort: number;
let relay: Awaited<ReturnType<typeof startRelay>>;
let session: ClientHttp2Session;

before(async () => {
  const dir = await mkdtemp(join(tmpdir(), 'ext-proc-'));
  stops.push(() => rm(dir, { recursive: true, force: true }));
  const certificates = await createCertificates({ dir, hosts: ['localhost', '127.0.0.1'] });
  ca = certificates.caPem;
  const backend = createServer(answerAsBackend);
  const trailing = createHttp2Server().on('stream', (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 200, 'content-type': 'text/event-stream' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-last': 'yes' }));
    stream.end('data: secret\n\ndata: half');
  });
  const [backendPort, trailingPort] = await Promise.all([listen(backend), listen(trailing)]);
  server = await startProcessor();
  relay = await startRelay(server.target);
  deafPort = await freePort();
  envoy = await startEnvoy({
    dir,
    binary: await bringEnvoy(() => {}),
    port: await freePort(),
    authz: server.target,
    backends: {},
    certFile: certificates.certFile,
    keyFile: certificates.keyFile,
    adjust: (config) => adjust(config, backendPort, trailingPort),
  });
  stops.push(() => envoy.stop());
  session = connectHttp2(`https://localhost:${envoy.port}`, { ca });
  stops.push(() => session.destroy());
});
after(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

function adjust(config: Tree, backendPort: number, trailingPort: number): void {
  const { filters: chainFilters } = config.static_resources.listeners[0].filter_chains[0];
  const manager = chainFilters[0].typed_config;
  const filters = (manager.http_filters as Tree[]).filter(({ name }) => name !== EXT_PROC_FILTER.name);
  const at = filters.findIndex(({ name }) => name === 'envoy.filters.http.ext_authz');
  filters[at]!.typed_config.clear_route_cache = true;
  const bodyLimit = 1_048_576;
  filters[at]!.typed_config.with_request_body.max_request_bytes = bodyLimit;
  filters[0]!.typed_config.max_request_bytes = bodyLimit;
  manager.http_filters = [...filters.slice(0, at + 1), EXT_PROC_FILTER, ...filters.slice(at + 1)];
  const planned = { headers: [{ name: PLAN_HEADER, present_match: true }] };
  const to = (cluster: string) => ({ cluster, timeout: '0s', idle_timeout: '0s' });
  manager.route_config.virtual_hosts[0].routes = [
    { match: { prefix: '/trailing', ...planned }, route: to('trailing'), typed_per_filter_config: PROCESSED },
    { match: { prefix: '/down', ...planned }, route: to('nowhere'), typed_per_filter_config: PROCESSED },
    { match: { prefix: '/', ...planned }, route: to('backend'), typed_per_filter_config: PROCESSED },
    { match: { prefix: '/' }, route: to('backend') },
  ];
  addListener(config, 'deaf', deafPort, ({ filters: deaf }) => {
    deaf.find(({ name }) => name === EXT_PROC_FILTER.name)!.typed_config.allow_mode_override = false;
  });
  const authz = (config.static_resources.clusters as Tree[]).find(({ name }) => name === 'mcp_ext_authz')!;
  const cluster = (name: string, port: number, base: Tree): Tree => ({
    ...base,
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }] }],
    },
  });
  const { typed_extension_protocol_options } = authz;
  config.static_resources.clusters = [
    authz,
    cluster('processor', relay.port, { typed_extension_protocol_options }),
    cluster('backend', backendPort, {}),
    cluster('trailing', trailingPort, { typed_extension_protocol_options }),
    cluster('nowhere', 1, {}),
  ];
}

/** What the client says in `test-plan` becomes the plan. */
async function startProcessor(): Promise<CheckServer> {
  const started = await startServer({
    listen: '127.0.0.1:0',
    tls: null,
    maxMessageBytes: 2 * 1024 * 1024,
    maxConcurrentStreams: 100,
    maxInFlight: 100,
    deadlineReserveMs: 20,
    check: async (http) => ({
      outcome: 'allow',
      reason: 'allowed',
      answer: { kind: 'forward', set: planOf(http.headers), remove: [], responseHeaders: [] },
      facts: newFacts(http, 'd'),
    }),
    refuse: (http, denial) => denied(denial, newFacts(http ?? noFacts(), 'd'), { allowedOrigins: new Set() }),
    observe: () => {},
    services: [
      extProcService({
        open: openExchange,
        maxInFlight: 20,
        onFailure: (cause) => {
          failures.push((cause as Error).message);
          changes.emit('change');
        },
        onInFlight: (count) => {
          inFlight = count;
          changes.emit('change');
        },
      }),
    ],
  });
  stops.push(() => started.drain(0, 0));
  return started;
}

function planOf(headers: Headers): [string, string][] {
  const plan = headers.get('test-plan')?.[0];
  return plan === undefined ? [] : [[PLAN_HEADER, plan]];
}

/** The plan is a list of words. */
function openExchange(): Exchange {
  opened += 1;
  let words: readonly string[] = [];
  let held = '';
  const enter = (phase: string): void => {
    phases.push(phase);
    changes.emit('change');
    if (words.includes(`throw-in-${phase}`)) throw new Error(`thrown in ${phase}`);
  };
  return {
    requestHeaders: (headers) => {
      words = headers.get(PLAN_HEADER)?.[0]?.split(' ') ?? [];
      enter('requestHeaders');
      if (words.includes('instead')) return INSTEAD;
      return {
        kind: 'continue',
        set: [['authorization', 'Bearer delegated']],
        remove: [PLAN_HEADER],
        wantsBody: words.includes('body'),
        wantsResponse: words.includes('response') || words.includes('stream'),
      };
    },
    requestBody: (body) => {
      enter('requestBody');
      return words.includes('instead-of-body') ? INSTEAD : Buffer.from(body.toString('utf8').replaceAll('alias', 'real-name'));
    },
    responseHeaders: (status, headers) => {
      enter('responseHeaders');
      const set = [['x-status', String(status)] as const, ['x-type', headers.get('content-type')?.[0] ?? 'none'] as const];
      return { kind: 'continue', set, remove: ['x-secret'], wantsBody: words.includes('stream') };
    },
    responseBody: async (piece, isLast) => {
      enter('responseBody');
      largestPiece = Math.max(largestPiece, piece.length);
      held += piece.toString('latin1');
      const lastEvent = held.lastIndexOf('\n\n');
      const end = isLast && !words.includes('drops-halves') ? held.length : lastEvent < 0 ? 0 : lastEvent + 2;
      const whole = held.slice(0, end);
      held = held.slice(end);
      return Buffer.from(whole.replaceAll('secret', '[gone]'), 'latin1');
    },
  };
}

const INSTEAD = {
  kind: 'respond',
  response: {
    status: 403,
    headers: [
      ['content-type', 'application/json'],
      ['x-twice', 'a'],
      ['x-twice', 'b'],
    ],
    body: '{"refused":"é"}',
  },
} as const;

function answerAsBackend(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks).toString('utf8');
    reached.push({ headers: request.headers, body });
    changes.emit('change');
    response.on('close', () => {
      isBackendGone = true;
      changes.emit('change');
    });
    if (request.url === '/sse') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'x-secret': 'yes' }).flushHeaders();
      speak = (text) => (text === null ? response.end() : response.write(text));
    } else if (request.url === '/large') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: secret\n\n'.repeat(LARGE));
    } else if (request.url === '/empty') {
      response.writeHead(202, { 'x-secret': 'yes' }).end();
    } else {
      const answer = JSON.stringify({ body, secret: 'secret' });
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(answer),
        'x-secret': 'yes',
      });
      response.end(answer);
    }
    changes.emit('change');
  });
}

/** Between Envoy and the service: connections can be refused or cut. */
async function startRelay(target: string) {
  const open = new Set<Socket>();
  let to: string | null = target;
  const relaying = createTcpServer({ noDelay: true }, (from) => {
    if (to === null) {
      from.destroy();
      return;
    }
    const onward = connectTcp({ port: Number(to.split(':').at(-1)), host: '127.0.0.1', noDelay: true });
    for (const [one, other] of [
      [from, onward],
      [onward, from],
    ] as const) {
      open.add(one);
      one
        .on('error', () => {})
        .on('close', () => {
          open.delete(one);
          other.destroy();
        });
      one.pipe(other);
    }
  });
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  return {
    port: await listen(relaying),
    cut,
    point: (next: string | null) => {
      to = next;
      cut();
    },
  };
}

async function listen(on: Server | ReturnType<typeof createServer> | ReturnType<typeof createHttp2Server>): Promise<number> {
  on.listen(0, '127.0.0.1');
  await once(on, 'listening');
  stops.push(() => {
    on.close();
    if ('closeAllConnections' in on) on.closeAllConnections();
  });
  return (on.address() as AddressInfo).port;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** All that has come so far. */
  readonly text: () => string;
  readonly ended: Promise<'clean' | 'reset'>;
  readonly leave: () => void;
}

interface Asked {
  readonly path?: string;
  readonly plan?: string;
  readonly body?: string | null;
  /** Without a length; in pieces. */
  readonly chunked?: boolean;
  /** With HTTP/1.1. */
  readonly port?: number;
}

async function ask(
  version: Version,
  { path = '/', plan, body = '{"name":"alias"}', chunked = false, port = envoy.port }: Asked,
): Promise<Answer> {
  const headers = { 'content-type': 'application/json', ...(plan === undefined ? {} : { 'test-plan': plan }) };
  const method = body === null ? 'GET' : 'POST';
  const length = body === null || chunked ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  const pieces = body === null ? [] : chunked ? [body.slice(0, 9), body.slice(9)] : [body];
  const gathered: string[] = [];
  const gather = (readable: NodeJS.ReadableStream) =>
    readable.setEncoding('utf8').on('data', (text: string) => {
      gathered.push(text);
      changes.emit('change');
    });
  const common = { text: () => gathered.join('') };
  if (version === 'HTTP/2') {
    const stream = session.request({ ':method': method, ':path': path, ...headers, ...length });
    const ended = endOf(stream);
    for (const piece of pieces) stream.write(piece);
    stream.end();
    const [received] = await once(stream, 'response');
    gather(stream);
    return { ...common, status: Number(received[':status']), headers: received, ended, leave: () => stream.close(8) };
  }
  const call = requestHttps({
    host: 'localhost',
    port,
    ca,
    agent: false,
    method,
    path,
    headers: { ...headers, ...length },
  });
  for (const piece of pieces) call.write(piece);
  call.end();
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  call.on('error', () => {});
  const ended = endOf(response);
  gather(response);
  return { ...common, status: response.statusCode ?? 0, headers: response.headers, ended, leave: () => response.destroy() };
}

function endOf(readable: NodeJS.ReadableStream): Promise<'clean' | 'reset'> {
  return new Promise((resolve) => {
    let outcome: 'clean' | 'reset' = 'reset';
    readable.on('end', () => {
      outcome = 'clean';
    });
    readable.on('error', () => {
      outcome = 'reset';
    });
    readable.on('close', () => resolve(outcome));
  });
}

/** A whole answer. */
async function askWhole(version: Version, asked: Asked) {
  const { status, headers, ended, text } = await ask(version, asked);
  return { status, headers, end: await ended, body: text() };
}

/** What happened since. */
function begin() {
  reached.length = 0;
  phases.length = 0;
  failures.length = 0;
  opened = 0;
  isBackendGone = false;
}

for (const version of VERSIONS) {
  describe(`${version}, processed`, { timeout: 300_000 }, () => {
    test('headers alone: set and removed, the body untouched, nothing further asked', async () => {
      begin();
      const answer = await askWhole(version, { plan: 'nothing-more' });
      assert.equal(answer.status, 200);
      assert.equal(answer.end, 'clean');
      assert.equal(reached[0]?.body, '{"name":"alias"}');
      assert.equal(reached[0]?.headers.authorization, 'Bearer delegated');
      assert.equal(reached[0]?.headers[PLAN_HEADER], undefined);
      assert.equal(answer.headers['x-secret'], 'yes');
      assert.equal(answer.headers['content-length'], String(answer.body.length));
      assert.deepEqual(phases, ['requestHeaders']);
      await waitUntil(() => inFlight === 0);
    });

    for (const chunked of [false, true]) {
      test(`the request's body${chunked ? ', sent without a length' : ''}, and the answer's headers`, async () => {
        begin();
        const answer = await askWhole(version, { plan: 'body response', chunked });
        assert.equal(answer.status, 200);
        assert.equal(reached[0]?.body, '{"name":"real-name"}');
        assert.equal(answer.headers['x-status'], '200');
        assert.equal(answer.headers['x-type'], 'application/json');
        assert.equal(answer.headers['x-secret'], undefined);
        assert.match(answer.body, /"secret"/);
        assert.deepEqual(phases, ['requestHeaders', 'requestBody', 'responseHeaders']);
        await waitUntil(() => inFlight === 0);
      });
    }

    test('500 kB both ways, with a length that does not hold any more', async () => {
      begin();
      const names = (name: string) => JSON.stringify({ names: Array.from({ length: 50_000 }, () => name) });
      const answer = await askWhole(version, { plan: 'body stream', body: names('alias') });
      assert.equal(answer.end, 'clean');
      assert.equal(reached[0]?.body, names('real-name'));
      assert.equal(answer.headers['content-length'], undefined);
      assert.equal(answer.body, JSON.stringify({ body: names('real-name'), '[gone]': '[gone]' }));
    });

    test('an answer larger than any buffer, in pieces', async () => {
      begin();
      const answer = await askWhole(version, { path: '/large', plan: 'stream' });
      assert.equal(answer.end, 'clean');
      assert.ok(answer.body === 'data: [gone]\n\n'.repeat(LARGE));
      assert.ok(phases.length > 4);
    });

    test('an answer without a body', async () => {
      begin();
      const answer = await askWhole(version, { path: '/empty', plan: 'stream' });
      assert.equal(answer.status, 202);
      assert.equal(answer.end, 'clean');
      assert.equal(answer.headers['x-secret'], undefined);
    });

    test('a request without a body', async () => {
      begin();
      const answer = await askWhole(version, { plan: 'body response', body: null });
      assert.equal(answer.status, 200);
      assert.deepEqual(phases, ['requestHeaders', 'responseHeaders']);
    });

    test('events one by one, while the stream is open', async () => {
      begin();
      const answer = await ask(version, { path: '/sse', plan: 'body stream' });
      assert.equal(answer.headers['x-secret'], undefined);
      await waitUntil(() => reached.length === 1);
      speak('data: secret 1\n\ndata: sec');
      await waitUntil(() => answer.text().includes('[gone] 1'));
      assert.ok(!answer.text().includes('sec'), 'half an event was passed on');
      speak('ret 2\n\n');
      await waitUntil(() => answer.text().includes('[gone] 2'));
      speak(null);
      assert.equal(await answer.ended, 'clean');
      assert.equal(answer.text(), 'data: [gone] 1\n\ndata: [gone] 2\n\n');
      await waitUntil(() => inFlight === 0);
    });

    for (const plan of ['instead', 'body instead-of-body']) {
      test(`an answer of ours in place of the backend's: ${plan}`, async () => {
        begin();
        const answer = await askWhole(version, { plan });
        assert.equal(answer.status, 403);
        assert.equal(answer.body, '{"refused":"é"}');
        assert.equal(answer.headers['content-type'], 'application/json');
        assert.equal(answer.headers['x-twice'], 'a, b');
        assert.equal(reached.length, 0);
        await waitUntil(() => inFlight === 0);
      });
    }

    test('a client that leaves frees the stream, and the backend', async () => {
      begin();
      const answer = await ask(version, { path: '/sse', plan: 'stream' });
      await waitUntil(() => inFlight === 1);
      answer.leave();
      await waitUntil(() => inFlight === 0 && isBackendGone);
      assert.deepEqual(failures, []);
    });
  });

  describe(`${version}, gone wrong`, { timeout: 300_000 }, () => {
    for (const phase of ['requestHeaders', 'requestBody']) {
      test(`a throw in ${phase}: 500, and nothing reaches the backend`, async () => {
        begin();
        const answer = await askWhole(version, { plan: `body throw-in-${phase}` });
        assert.equal(answer.status, 500);
        assert.equal(reached.length, 0);
        assert.deepEqual(failures, [`thrown in ${phase}`]);
        await waitUntil(() => inFlight === 0);
      });
    }

    test('a throw in responseHeaders: 500, and nothing of the answer', async () => {
      begin();
      const answer = await askWhole(version, { plan: 'stream throw-in-responseHeaders' });
      assert.equal(answer.status, 500);
      assert.doesNotMatch(answer.body, /secret/);
      assert.equal(answer.headers['x-secret'], undefined);
      assert.deepEqual(failures, ['thrown in responseHeaders']);
    });

    test('a throw in responseBody: no byte of the answer', async () => {
      begin();
      const answer = await ask(version, { path: '/sse', plan: 'stream throw-in-responseBody' });
      await waitUntil(() => reached.length === 1);
      speak('data: secret\n\n');
      assert.equal(await answer.ended, 'reset');
      assert.doesNotMatch(answer.text(), /secret/);
      await waitUntil(() => inFlight === 0);
      assert.deepEqual(failures, ['thrown in responseBody']);
    });

    test('the connection to the service lost in the middle: reset', async () => {
      begin();
      const answer = await ask(version, { path: '/sse', plan: 'stream' });
      await waitUntil(() => reached.length === 1);
      speak('data: secret 1\n\n');
      await waitUntil(() => answer.text().includes('[gone] 1'));
      relay.cut();
      assert.equal(await answer.ended, 'reset');
      assert.equal(answer.text(), 'data: [gone] 1\n\n');
    });

    test('the service draining, its time over: reset', async () => {
      begin();
      const other = await startProcessor();
      relay.point(other.target);
      try {
        const answer = await ask(version, { path: '/sse', plan: 'stream' });
        await waitUntil(() => reached.length === 1);
        speak('data: secret 1\n\n');
        await waitUntil(() => answer.text().includes('[gone] 1'));
        const drained = other.drain(0, 300);
        speak('data: secret 2\n\n');
        await waitUntil(() => answer.text().includes('[gone] 2'));
        assert.equal(await answer.ended, 'reset');
        assert.doesNotMatch(answer.text(), /secret/);
        await drained;
      } finally {
        relay.point(server.target);
      }
    });

    test('the service down: 5xx, nothing reaches the backend, and other routes go on', async () => {
      begin();
      relay.point(null);
      try {
        const answer = await askWhole(version, { plan: 'body' });
        assert.ok(answer.status >= 500, `${answer.status}`);
        assert.equal(reached.length, 0);
        assert.equal((await askWhole(version, {})).status, 200);
        assert.equal(reached.length, 1);
      } finally {
        relay.point(server.target);
      }
    });

    test('a backend that is down: the answer is shown like any other', async () => {
      begin();
      const answer = await askWhole(version, { path: '/down', plan: 'body response' });
      assert.equal(answer.status, 503);
      assert.equal(answer.headers['x-status'], '503');
      assert.deepEqual(failures, []);
    });

    test('trailers that end a body of which the end was held back: 500 or a reset', async () => {
      begin();
      const answer = await ask(version, { path: '/trailing', plan: 'stream' });
      // Which of the two depends on whether Envoy has begun the answer.
      assert.ok((await answer.ended) === 'reset' || answer.status === 500);
      assert.doesNotMatch(answer.text(), /secret|half/);
      assert.deepEqual(failures, ['trailers end a body of which the end was held back']);
    });

    test('trailers that end a body of which nothing is left', async () => {
      begin();
      const answer = await askWhole(version, { path: '/trailing', plan: 'stream drops-halves' });
      assert.equal(answer.end, 'clean');
      assert.equal(answer.body, 'data: [gone]\n\n');
      assert.deepEqual(failures, []);
    });
  });
}

for (const plan of ['nothing-more', 'response']) {
  test(`a stream of which no more is wanted (${plan}) is no longer under way while the answer is`, async () => {
    begin();
    const answer = await ask('HTTP/2', { path: '/sse', plan });
    await waitUntil(() => inFlight === 0);
    speak('data: secret\n\n');
    await waitUntil(() => answer.text().includes('secret'));
    assert.equal(isBackendGone, false);
    speak(null);
    assert.equal(await answer.ended, 'clean');
  });
}

for (const plan of ['nothing-more', 'body', 'body response']) {
  test(`an Envoy without allow_mode_override does not let pass what it was told to (${plan})`, async () => {
    begin();
    const answer = await ask('HTTP/1.1', { plan, port: deafPort });
    assert.equal(answer.status, 500);
    await answer.ended;
    assert.doesNotMatch(answer.text(), /secret/);
    assert.equal(failures.length, 1);
    assert.equal(reached.length, plan === 'nothing-more' ? 0 : 1);
  });
}

test('a route without the override opens no stream', async () => {
  begin();
  const name = 'http.edge.ext_proc.streams_started';
  const started = async () => (await stats(envoy.adminSocket, 'ext_proc.*streams_started')).get(name);
  const earlier = await started();
  assert.ok(earlier !== undefined && earlier > 0);
  const answer = await askWhole('HTTP/1.1', {});
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['x-secret'], 'yes');
  assert.equal(reached[0]?.body, '{"name":"alias"}');
  assert.equal(await started(), earlier);
  assert.equal(opened, 0);
});

test('more exchanges than there is room for: 500, and the others go on', { timeout: 300_000 }, async () => {
  begin();
  const open = await Promise.all(Array.from({ length: 20 }, () => ask('HTTP/2', { path: '/sse', plan: 'stream' })));
  await waitUntil(() => inFlight === 20);
  const answer = await askWhole('HTTP/1.1', { plan: 'body' });
  assert.equal(answer.status, 500);
  assert.equal(reached.length, 20);
  assert.deepEqual(failures, ['more than 20 exchanges under way']);
  for (const one of open) one.leave();
  await waitUntil(() => inFlight === 0);
  assert.equal((await askWhole('HTTP/1.1', { plan: 'body' })).status, 200);
});
