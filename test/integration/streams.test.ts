/**
 * Streams through a real Envoy at a single resource: those that only listen end with the token that opened them, calls do
 * not; what servers ask of legacy clients, tell them of progress and are told to give up gets through.
 */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as v2 from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { decodeJwt } from 'jose';
import { signIn } from '../../examples/reference/sign-in.ts';
import { type EverythingServer, startEverythingServer } from '../conformance/everything-server.ts';
import { ALL_SCOPES } from '../support/callers.ts';
import { DIRECTORY, startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { type LegacyBackend, startLegacyBackend } from '../support/mcp-servers.ts';
import { waitUntil } from '../support/ndjson.ts';
import { pointCluster } from '../support/plain-backend.ts';
import type { HeaderLine, WireAnswer } from '../support/wire.ts';

const POLICY = fileURLToPath(new URL('../fixtures/policies/everything.tar.gz', import.meta.url));
const REVISION = '2025-11-25';
const MODERN = '2026-07-28';

let deployment: TestDeployment;
let everything: EverythingServer;
let legacy: LegacyBackend;

before(async () => {
  everything = await startEverythingServer(['employee-directory.internal']);
  legacy = await startLegacyBackend();
  deployment = await startTestDeployment({
    delegation: 'mint',
    adjustSidecar: (config) => {
      withoutCatalog(config);
      config.policy.bundleFile = POLICY;
      for (const resource of config.resources) delete resource.tools;
    },
    adjustEnvoy: (config) => {
      pointCluster(config, 'employee_directory', everything.port);
      pointCluster(config, 'enterprise_ledger', Number(new URL(legacy.url).port));
    },
  });
});
after(async () => {
  await deployment.stop();
  await everything.stop();
  await legacy.stop();
});

describe('a token ends', () => {
  const SECONDS = 4;
  let token: string;
  let expiresAt: number;
  let session: string;

  before(async () => {
    const { authorizationServer, directoryUrl: resource } = deployment;
    const { issuer, passwords } = authorizationServer;
    const caller = { issuer, clientId: 'claude-code', resource, username: 'alice', password: passwords.alice ?? '' };
    authorizationServer.setAccessTokenSeconds(SECONDS);
    token = (await signIn({ ...caller, scope: ALL_SCOPES })).access_token;
    authorizationServer.setAccessTokenSeconds(300);
    expiresAt = (decodeJwt(token).exp as number) * 1000;
    const clientInfo = { name: 'test', version: '1' };
    const { headers, status } = await post('initialize', { protocolVersion: REVISION, capabilities: {}, clientInfo });
    assert.equal(status, 200);
    session = headers.get('mcp-session-id')?.[0] ?? assert.fail();
  });

  function send(method: 'GET' | 'POST', body: object | null, headers: readonly HeaderLine[]): Promise<WireAnswer> {
    return deployment.wire.http2({
      method,
      path: DIRECTORY,
      authority: 'localhost',
      headers: [
        ['accept', body === null ? 'text/event-stream' : 'application/json, text/event-stream'],
        ['authorization', `Bearer ${token}`],
        ...(body === null ? [] : [['content-type', 'application/json'] as const]),
        ...headers,
      ],
      body: body === null ? null : Buffer.from(JSON.stringify(body)),
    });
  }
  const post = (method: string, params: object, headers: readonly HeaderLine[] = []) =>
    send('POST', { jsonrpc: '2.0', id: 1, method, params }, headers);
  const listen = (headers: readonly HeaderLine[] = []) => send('GET', null, [['mcp-session-id', session], ...headers]);
  const modern = (method: string, params: object, headers: readonly HeaderLine[] = []) => {
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': MODERN,
      'io.modelcontextprotocol/clientCapabilities': {},
      'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    };
    return post(method, { ...params, _meta }, [['mcp-protocol-version', MODERN], ['mcp-method', method], ...headers]);
  };

  /** An answer, and when it was over. */
  async function timed(answer: Promise<WireAnswer>): Promise<WireAnswer & { readonly late: number }> {
    const whole = await answer;
    return { ...whole, late: Date.now() - expiresAt };
  }

  test('streams that only listen end with it, whoever asks for more time; calls go on; then it is over', {
    timeout: 300_000,
  }, async () => {
    const longer: HeaderLine[] = [
      ['x-envoy-upstream-rq-timeout-ms', '600000'],
      ['grpc-timeout', '600S'],
    ];
    const changes = { notifications: { toolsListChanged: true } };
    const seconds = SECONDS + 1.5;
    const call = { name: 'slow_compute', arguments: { seconds, label: 'x' } };
    const [get, other, modernStream, legacyCall, modernCall] = await Promise.all([
      timed(listen(longer)),
      timed(
        post('initialize', { protocolVersion: REVISION, capabilities: {}, clientInfo: { name: 'b', version: '1' } }).then(
          ({ headers }) => send('GET', null, [['mcp-session-id', headers.get('mcp-session-id')?.[0] ?? '']]),
        ),
      ),
      timed(modern('subscriptions/listen', changes, longer)),
      timed(post('tools/call', call, [['mcp-session-id', session]])),
      timed(modern('tools/call', call, [['mcp-name', call.name]])),
    ]);
    for (const [name, stream] of Object.entries({ get, other, modernStream })) {
      // A server that has not said a word yet has sent no status either: then it is Envoy's.
      assert.ok(stream.status === 200 || stream.status === 504, `${name}: ${stream.status}`);
      assert.ok(stream.late > -250 && stream.late < 5000, `${name}: ${stream.late} ms after the token`);
    }
    assert.match(modernStream.body, /notifications\/subscriptions\/acknowledged/);
    for (const [name, answer] of Object.entries({ legacyCall, modernCall })) {
      assert.ok(answer.late > 500, `${name}: ${answer.late}`);
      assert.match(answer.body, /Computed for 5\.5 s \(x\)/, name);
    }
    for (const again of [await listen(), await modern('subscriptions/listen', changes)]) {
      assert.equal(again.status, 401);
      assert.match(again.headers.get('www-authenticate')?.[0] ?? '', /error="invalid_token"/);
    }
  });

  test('a stream that was taken up again ends too', { timeout: 300_000 }, async () => {
    // A token of its own: the one before is over.
    const seconds = 4;
    const claims = { exp: `now+${seconds}`, iat: 'now-1' };
    token = deployment.testIssuer.token(deployment.directoryUrl, { claims });
    expiresAt = (decodeJwt(token).exp as number) * 1000;
    const begun = await post('initialize', {
      protocolVersion: REVISION,
      capabilities: {},
      clientInfo: { name: 'c', version: '1' },
    });
    session = begun.headers.get('mcp-session-id')?.[0] ?? assert.fail();
    const [, lastEventId = ''] = /^id: (.+)$/m.exec(begun.body) ?? [];
    assert.notEqual(lastEventId, '');
    const { late } = await timed(listen([['last-event-id', lastEventId]]));
    assert.ok(late < 5000, `${late} ms after the token`);
  });
});

interface Talking {
  readonly call: (name: string, args?: Record<string, unknown>, options?: object) => Promise<any>;
  readonly heard: EventEmitter;
  readonly sessionId: () => string | undefined;
  readonly close: () => Promise<void>;
}

const NAMED = { action: 'accept' as const, content: { name: 'Ada', username: 'ada', email: 'ada@example.org' } };
const SAID = { model: 'm', role: 'assistant' as const, content: { type: 'text' as const, text: 'sampled' } };
const CAPABILITIES = { capabilities: { elicitation: {}, sampling: {} } };
const INFO = { name: 'test', version: '1' };

const optionsFor = (url: string) => ({
  fetch: deployment.fetch,
  requestInit: { headers: { Authorization: `Bearer ${deployment.testIssuer.token(url)}` } },
});

async function talkV1(url: string): Promise<Talking> {
  const heard = new EventEmitter();
  const transport = new StreamableHTTPClientTransport(new URL(url), optionsFor(url));
  const client = new Client(INFO, CAPABILITIES);
  client.setRequestHandler(ElicitRequestSchema, () => NAMED);
  client.setRequestHandler(CreateMessageRequestSchema, () => SAID);
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void heard.emit('tools changed'));
  await client.connect(transport as never);
  return {
    call: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, undefined, options),
    heard,
    sessionId: () => transport.sessionId,
    close: () => client.close(),
  };
}

async function talkV2(url: string): Promise<Talking> {
  const heard = new EventEmitter();
  const transport = new v2.StreamableHTTPClientTransport(new URL(url), optionsFor(url));
  const client = new v2.Client(INFO, { ...CAPABILITIES, versionNegotiation: { mode: 'legacy' } });
  client.setRequestHandler('elicitation/create', () => NAMED);
  client.setRequestHandler('sampling/createMessage', () => SAID);
  client.setNotificationHandler('notifications/tools/list_changed', () => void heard.emit('tools changed'));
  await client.connect(transport);
  return {
    call: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, options),
    heard,
    sessionId: () => transport.sessionId,
    close: () => client.close(),
  };
}

for (const [name, talk] of Object.entries({ 'SDK v1': talkV1, 'SDK v2, legacy': talkV2 })) {
  describe(`${name}: what a server and its client have to say to each other`, () => {
    const textOf = ({ content }: any) => content[0].text as string;
    const gets = () => legacy.requests.filter((request) => request === 'GET').length;
    /** With its stream open, on which the ledger asks. */
    const use = async (url: string, work: (client: Talking) => Promise<void>) => {
      const before = gets();
      const client = await talk(url);
      try {
        if (url === deployment.ledgerUrl) await waitUntil('the stream is open', () => gets() > before);
        await work(client);
      } finally {
        await client.close();
      }
    };

    test('elicitation: the reply is posted', () =>
      use(deployment.ledgerUrl, async (client) => assert.equal(textOf(await client.call('greet')), 'accept Ada')));

    test('elicitation and sampling at a server of the second generation', () =>
      use(deployment.directoryUrl, async (client) => {
        assert.match(textOf(await client.call('test_elicitation', { message: 'Who?' })), /action=accept.*ada@example\.org/);
        assert.equal(textOf(await client.call('test_sampling', { prompt: 'say' })), 'LLM response: sampled');
      }));

    test('progress', () =>
      use(deployment.ledgerUrl, async (client) => {
        const steps: number[] = [];
        const onprogress = ({ progress }: { progress: number }) => void steps.push(progress);
        assert.equal(textOf(await client.call('report', {}, { onprogress })), 'reported');
        assert.deepEqual(steps, [1, 2]);
      }));

    test('a call is taken back', () =>
      use(deployment.ledgerUrl, async (client) => {
        const before = legacy.takenBack();
        const controller = new AbortController();
        const call = client.call('wait', {}, { signal: controller.signal, onprogress: () => controller.abort() });
        await assert.rejects(call, /abort/i);
        await waitUntil('the server gives up', () => legacy.takenBack() === before + 1);
      }));

    test('an answer that was cut off is fetched later', () =>
      use(deployment.ledgerUrl, async (client) => assert.equal(textOf(await client.call('interrupt')), 'resumed')));

    test('what the server says of its own accord arrives, and again after the stream was cut', () =>
      use(deployment.ledgerUrl, async (client) => {
        const [session = '', server] = [...legacy.sessions].at(-1) ?? [];
        assert.notEqual(client.sessionId(), session);
        const first = once(client.heard, 'tools changed');
        server?.sendToolListChanged();
        await first;
        const before = gets();
        legacy.cut(session);
        await waitUntil('the stream is open again', () => gets() > before);
        const second = once(client.heard, 'tools changed');
        server?.sendToolListChanged();
        await second;
      }));
  });
}

test('a reply that is posted has its line', async () => {
  const lines = (await deployment.decisions.all()).filter(
    ({ method, backend }) => method === 'response' && backend === 'enterprise-ledger',
  );
  assert.ok(lines.length >= 2);
  assert.ok(lines.every(({ decision }) => decision === 'allow'));
});
