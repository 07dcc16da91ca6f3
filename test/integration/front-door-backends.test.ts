/**
 * The front door's listener before the two reference backends: the ledger keeps sessions and answers over SSE, the directory
 * keeps none and speaks both eras. Played by hand are the Check before it and the tokens behind it, which the backends verify.
 */
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { neededScope } from '../../examples/reference/delegation-guard.ts';
import { startEmployeeDirectory } from '../../examples/reference/employee-directory.ts';
import { employeeDirectoryTools } from '../../examples/reference/employee-directory-tools.ts';
import { startEnterpriseLedger } from '../../examples/reference/enterprise-ledger.ts';
import { enterpriseLedgerTools } from '../../examples/reference/enterprise-ledger-tools.ts';
import type { RequestRecord } from '../../examples/reference/guarded-server.ts';
import type { BackendView } from '../../src/catalog/view.ts';
import { openPlan, PLAN_HEADER, sealPlan } from '../../src/check/plan.ts';
import { openSession, sealSession } from '../../src/check/session.ts';
import { createMint } from '../../src/delegation/mint.ts';
import { createHandlers } from '../../src/front-door/handlers.ts';
import { plain, serveFrontDoor } from '../../src/front-door/server.ts';
import type { BackendRequest, FrontDoorPorts, Member, Visit } from '../../src/front-door/visit.ts';
import { type HttpFacts, noFacts } from '../../src/http.ts';
import { serveHttp } from '../../src/http-server.ts';
import { readOperation } from '../../src/mcp/operation.ts';
import { publicName } from '../../src/resource.ts';
import { ok } from '../../src/result.ts';
import { createSealer } from '../../src/seal.ts';
import { ACTOR, alice, headers as headerLines, ledger, NOW_MS, outbound } from '../unit/support/facts.ts';

const LIMITS = { maxBytes: 65_536, maxDepth: 64 };
const ISSUER = 'https://gateway.example';
const DOOR = { ...ledger, name: 'door', path: '/mcp', publicNames: [publicName('https://gateway.example/mcp')] };
const BACKENDS = {
  'enterprise-ledger': { start: startEnterpriseLedger, prefix: 'enterprise_ledger', eras: { legacy: true, modern: false } },
  'employee-directory': { start: startEmployeeDirectory, prefix: 'employee_directory', eras: { legacy: true, modern: true } },
} as const;
type Name = keyof typeof BACKENDS;

const ALL_TOOLS = [
  ...enterpriseLedgerTools.map(({ name }) => `enterprise_ledger_${name}`),
  ...employeeDirectoryTools.map(({ name }) => `employee_directory_${name}`),
];
const CAPABILITIES: Record<Name, object> = {
  'enterprise-ledger': { tools: { listChanged: true }, prompts: { listChanged: true }, resources: { listChanged: true } },
  'employee-directory': { tools: { listChanged: true } },
};

interface World {
  /** As a client would with a fetch of its own; what the Check does is done to it on the way. */
  readonly fetch: (input: string | URL, init?: RequestInit) => Promise<Response>;
  readonly post: (message: object, headers?: Record<string, string>) => Promise<Response>;
  readonly records: RequestRecord[];
  /** Emits `record` after each. */
  readonly recorded: EventEmitter;
  readonly unreachable: string[];
  readonly stop: (name: Name) => Promise<void>;
  readonly restart: (name: Name) => Promise<void>;
}

async function openWorld(t: TestContext, eras: Partial<Record<Name, BackendView['eras']>> = {}): Promise<World> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const mint = createMint({ issuer: ISSUER, actor: ACTOR, keys: [{ kid: 'k', key: privateKey }], now: Date.now });
  const keys = await serveHttp('127.0.0.1:0', () => ({ body: JSON.stringify(mint.jwks) }));
  t.after(keys.close);

  const records: RequestRecord[] = [];
  const recorded = new EventEmitter();
  const record = (entry: RequestRecord): void => {
    records.push(entry);
    recorded.emit('record');
  };
  const running = new Map<Name, Awaited<ReturnType<typeof startEnterpriseLedger>>>();
  const start = async (name: Name, port = 0): Promise<void> => {
    const trust = { issuers: [{ issuer: ISSUER, jwksUri: `${keys.url}/jwks` }], actor: ACTOR };
    running.set(name, await BACKENDS[name].start({ ...trust, record, port }));
  };
  const names = Object.keys(BACKENDS) as Name[];
  await Promise.all(names.map((name) => start(name)));
  t.after(() => Promise.all([...running.values()].map((backend) => backend.stop().catch(() => {}))));

  const sealer = createSealer([randomBytes(32)]);
  const unreachable: string[] = [];
  const ports: FrontDoorPorts = {
    members: names.map((name) => ({ resource: { ...ledger, name }, prefix: BACKENDS[name].prefix })),
    ask: async (_visit, member, request) => askBackend(running.get(member.resource.name as Name)?.url ?? '', member, request),
    keep: async (_visit, _member, _method, listed) => ok(listed.map(() => true)),
    views: (name) => ({
      reachable: true,
      eras: eras[name as Name] ?? BACKENDS[name as Name].eras,
      capabilities: CAPABILITIES[name as Name] as BackendView['capabilities'],
      instructions: null,
      tools: new Map(),
      resourceUris: new Set(),
      resourceTemplates: [],
    }),
    sealSession: (session) => sealSession(sealer, session),
    onUnreachable: (_visit, member) => unreachable.push(member.resource.name),
    onInvalidList: () => {},
    onListChanged: () => () => {},
    maxAnswerBytes: 1_000_000,
    maxListItems: 10_000,
  };

  /** Every request of ours must be one that our own reader takes: in service it is judged as those of clients are. */
  function askBackend(url: string, { resource }: Member, request: BackendRequest): Promise<Response> {
    const body = Buffer.from(request.body ?? '');
    const http = { ...noFacts(), method: request.method, headers: headerLines(request.headers), body };
    const operation = readOperation(http, LIMITS);
    assert.ok(operation.ok, `${request.method} ${request.body}: ${JSON.stringify(operation)}`);
    const scope = neededScope(resource.name, request.body === undefined ? undefined : JSON.parse(request.body));
    const token = mint.delegate({
      subjectToken: '',
      principal: alice,
      outbound: { ...outbound, audience: `https://${resource.name}.internal/mcp`, scopes: [scope] },
      backend: resource.name,
      deadlineMs: NOW_MS,
    });
    assert.ok(token.ok);
    return fetch(url, {
      method: request.method,
      headers: { ...request.headers, authorization: `Bearer ${token.value.token}` },
      ...(request.body === undefined ? {} : { body: request.body }),
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    });
  }

  const failures: unknown[] = [];
  const listener = await serveFrontDoor({
    listen: '127.0.0.1:0',
    maxBodyBytes: LIMITS.maxBytes,
    closeWithinMs: 100,
    openVisit: (headers, body) => {
      const plan = openPlan(sealer, 'visit', headers.get(PLAN_HEADER)?.join() ?? '', Date.now());
      const digest = createHash('sha256').update(body).digest('base64url');
      if (plan === null || plan.bodySha256 !== digest) return plain(403, 'no visit');
      const { decisionId, operation, principal, http } = plan.facts;
      const whole: HttpFacts = { ...http, headers: new Map(http.headers), body };
      return { decisionId, resource: DOOR, http: whole, operation, principal, session: plan.session } satisfies Visit;
    },
    ports: () => ports,
    allowedOrigins: () => new Set(),
    handlers: new Map([...createHandlers(2000), ['GET', async (_visit, _ports, reply) => reply.status(405, { allow: 'POST' })]]),
    onRefused: () => {},
    onFailure: (_visit, cause) => failures.push(cause),
  });
  t.after(listener.close);
  t.after(() => assert.deepEqual(failures, []));

  async function playCheck(_input: string | URL, init: RequestInit = {}): Promise<Response> {
    const method = init.method ?? 'GET';
    const body = Buffer.from(typeof init.body === 'string' ? init.body : '');
    const lines = Object.fromEntries(new Headers(init.headers));
    const http: HttpFacts = { ...noFacts(), method, path: '/mcp', headers: headerLines(lines), body };
    const operation = readOperation(http, LIMITS);
    assert.ok(operation.ok, `${method} ${body}: ${JSON.stringify(operation)}`);
    const { body: _, headers, ...rest } = http;
    const sessionId = lines['mcp-session-id'];
    const plan = sealPlan(sealer, {
      kind: 'visit',
      expiresAt: Date.now() + 1000,
      facts: {
        decisionId: 'd',
        resource: 'door',
        http: { ...rest, headers: [...headers] },
        operation: operation.value,
        principal: alice,
      },
      subjectToken: 'x',
      bodySha256: createHash('sha256').update(body).digest('base64url'),
      session: sessionId === undefined ? null : openSession(sealer, sessionId),
    });
    return fetch(`${listener.url}/mcp`, { ...init, headers: { ...lines, [PLAN_HEADER]: plan } });
  }

  return {
    fetch: playCheck,
    post: (message, headers = {}) =>
      playCheck('', {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
        body: JSON.stringify(message),
      }),
    records,
    recorded,
    unreachable,
    stop: async (name) => running.get(name)?.stop(),
    restart: async (name) => {
      const port = running.get(name)?.port ?? 0;
      await running.get(name)?.stop();
      await start(name, port);
    },
  };
}

/** A legacy client's first steps; headers of its session. */
async function begin({ post }: World): Promise<Record<string, string>> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
  const response = await post({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
  const { result } = (await response.json()) as any;
  assert.deepEqual(result.capabilities, CAPABILITIES['enterprise-ledger']);
  const session = {
    'mcp-session-id': response.headers.get('mcp-session-id') ?? '',
    'mcp-protocol-version': result.protocolVersion,
  };
  const initialized = await post({ jsonrpc: '2.0', method: 'notifications/initialized' }, session);
  assert.deepEqual([initialized.status, await initialized.text()], [202, '']);
  return session;
}

function methodsAt(world: World, backend: Name): string[] {
  return world.records
    .filter((record) => record.backend === backend)
    .map(({ method, body }) => (body === '' ? method : JSON.parse(body).method));
}

test('a legacy client has one session, one list of tools, prompts and resources, and ends it', async (t) => {
  const world = await openWorld(t);
  const session = await begin(world);
  assert.ok(session['mcp-session-id'] !== undefined && session['mcp-session-id'].length < 400);
  const list = async (method: string, id: unknown) =>
    ((await (await world.post({ jsonrpc: '2.0', id, method }, session)).json()) as any).result;

  const { tools } = await list('tools/list', 'a');
  assert.deepEqual(
    tools.map(({ name }: any) => name),
    ALL_TOOLS,
  );
  assert.deepEqual(tools.find(({ name }: any) => name === 'enterprise_ledger_transferFunds').inputSchema.required, [
    'from',
    'to',
    'amount',
    'currency',
  ]);
  assert.deepEqual(
    (await list('prompts/list', 2)).prompts.map(({ name }: any) => name),
    ['enterprise_ledger_monthly-close'],
  );
  assert.deepEqual(
    (await list('resources/list', 3)).resources.map(({ uri }: any) => uri),
    ['ledger://policies/retention'],
  );
  assert.deepEqual(await list('resources/templates/list', 4), { resourceTemplates: [] });
  assert.deepEqual(await list('ping', 5), {});

  const last = await world.fetch('', { method: 'DELETE', headers: session });
  assert.equal(last.status, 204);
  assert.deepEqual(methodsAt(world, 'enterprise-ledger'), [
    'initialize',
    'notifications/initialized',
    'tools/list',
    'prompts/list',
    'resources/list',
    'resources/templates/list',
    'DELETE',
  ]);
  assert.deepEqual(methodsAt(world, 'employee-directory'), ['initialize', 'notifications/initialized', 'tools/list']);
  assert.ok(world.records.every(({ verified }) => verified));
  const audiences = world.records.map(({ backend, delegation }) => [`https://${backend}.internal/mcp`, delegation?.aud]);
  assert.ok(audiences.every(([expected, actual]) => expected === actual));

  const gone = await world.post({ jsonrpc: '2.0', id: 9, method: 'tools/list' }, session);
  assert.deepEqual([gone.status, ((await gone.json()) as any).id], [404, 9]);
  assert.deepEqual(world.unreachable, []);
});

test('a modern client sees a backend that keeps sessions, which leaves none of them behind', async (t) => {
  const world = await openWorld(t);
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
  };
  const ask = async (method: string) => {
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method };
    const response = await world.post({ jsonrpc: '2.0', id: 1, method, params: { _meta } }, headers);
    return ((await response.json()) as any).result;
  };
  assert.deepEqual((await ask('server/discover')).capabilities, CAPABILITIES['enterprise-ledger']);
  const { tools, ...rest } = await ask('tools/list');
  assert.deepEqual(
    tools.map(({ name }: any) => name),
    ALL_TOOLS,
  );
  assert.deepEqual(rest, { resultType: 'complete', ttlMs: 0, cacheScope: 'private' });
  // Tidied up once the client has its answer.
  while (methodsAt(world, 'enterprise-ledger').at(-1) !== 'DELETE') await once(world.recorded, 'record');
  assert.deepEqual(methodsAt(world, 'enterprise-ledger'), ['initialize', 'notifications/initialized', 'tools/list', 'DELETE']);
  assert.deepEqual(methodsAt(world, 'employee-directory'), ['tools/list']);
  assert.ok(world.records.every(({ verified }) => verified));
});

test('a legacy client sees a backend that speaks the modern era only', async (t) => {
  const world = await openWorld(t, { 'employee-directory': { legacy: false, modern: true } });
  const session = await begin(world);
  const { result } = (await (await world.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, session)).json()) as any;
  assert.deepEqual(
    result.tools.map(({ name }: any) => name),
    ALL_TOOLS,
  );
  const asked = world.records.filter(({ backend }) => backend === 'employee-directory');
  assert.deepEqual(
    asked.map(({ headers }) => [headers['mcp-protocol-version'], headers['mcp-method']]),
    [['2026-07-28', 'tools/list']],
  );
});

test('a backend that is down takes its tools with it, and brings them back', async (t) => {
  const world = await openWorld(t);
  const session = await begin(world);
  const names = async () => {
    const response = await world.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, session);
    assert.equal(response.status, 200);
    return ((await response.json()) as any).result.tools.map(({ name }: any) => name);
  };
  await world.stop('employee-directory');
  assert.deepEqual(
    await names(),
    ALL_TOOLS.filter((name) => name.startsWith('enterprise_ledger_')),
  );
  assert.deepEqual(world.unreachable, ['employee-directory']);
  await world.restart('employee-directory');
  assert.deepEqual(await names(), ALL_TOOLS);
});

test('a backend that was restarted has forgotten the session: the client is told, and begins another', async (t) => {
  const world = await openWorld(t);
  const before = await begin(world);
  await world.restart('enterprise-ledger');
  assert.equal((await world.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, before)).status, 404);
  const { result } = (await (
    await world.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, await begin(world))
  ).json()) as any;
  assert.equal(result.tools.length, ALL_TOOLS.length);
});

test('only what a Check let pass is served, and only for the body it saw', async (t) => {
  const world = await openWorld(t);
  let url = '';
  let plan = '';
  const real = globalThis.fetch;
  t.mock.method(globalThis, 'fetch', (input: string, init: any) => {
    if (init.headers[PLAN_HEADER] !== undefined) [url, plan] = [input, init.headers[PLAN_HEADER]];
    return real(input, init);
  });
  await world.post({ jsonrpc: '2.0', id: 1, method: 'ping' });
  const other = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
  assert.equal((await real(url, { method: 'POST', body: other, headers: { [PLAN_HEADER]: plan } })).status, 403);
  assert.equal((await real(url, { method: 'POST', body: other })).status, 403);
  assert.deepEqual(world.records, []);
});

test('the official client of the first generation connects, lists and leaves', async (t) => {
  const world = await openWorld(t);
  const transport = new StreamableHTTPClientTransport(new URL('http://door/mcp'), { fetch: world.fetch });
  const client = new Client({ name: 'v1', version: '1' });
  await client.connect(transport as Transport);
  t.after(() => client.close());
  assert.equal(client.getServerVersion()?.name, 'mcp-ext-authz');
  assert.deepEqual(
    (await client.listTools()).tools.map(({ name }) => name),
    ALL_TOOLS,
  );
  assert.equal((await client.listPrompts()).prompts.length, 1);
  await client.ping();
  await transport.terminateSession();
  assert.equal(methodsAt(world, 'enterprise-ledger').at(-1), 'DELETE');
});

for (const [era, mode] of [
  ['legacy', 'legacy'],
  ['modern', { pin: '2026-07-28' }],
  ['modern, found out by asking', 'auto'],
] as const) {
  test(`the official client of the second generation connects and lists, ${era}`, async (t) => {
    const world = await openWorld(t);
    const transport = new ModernTransport(new URL('http://door/mcp'), { fetch: world.fetch });
    const client = new ModernClient({ name: 'v2', version: '1' }, { versionNegotiation: { mode } });
    await client.connect(transport);
    t.after(() => client.close());
    assert.equal(client.getNegotiatedProtocolVersion(), era === 'legacy' ? '2025-11-25' : '2026-07-28');
    assert.deepEqual(
      (await client.listTools()).tools.map(({ name }) => name),
      ALL_TOOLS,
    );
    assert.equal((await client.listResources()).resources.length, 1);
    assert.deepEqual(world.unreachable, []);
  });
}
