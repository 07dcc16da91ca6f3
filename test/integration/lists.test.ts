/**
 * Lists through a real Envoy: each caller sees what policy lets it use, in JSON and in events, in both eras. In place of what
 * is no list comes an error, and where nobody looks into answers there is no list at all.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { employeeDirectoryTools } from '../../examples/reference/employee-directory-tools.ts';
import { enterpriseLedgerTools } from '../../examples/reference/enterprise-ledger-tools.ts';
import { freePort } from '../../examples/reference/free-port.ts';
import { CLIENTS } from '../../examples/reference/mcp-clients.ts';
import type { Caller } from '../support/callers.ts';
import { LEDGER, startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { stats } from '../support/envoy-admin.ts';
import { addListener, type ListenerParts } from '../support/listeners.ts';
import { closedPort } from '../support/memory.ts';
import { type AnswerAs, addCluster, type PlainBackend, pointCluster, startPlainBackend } from '../support/plain-backend.ts';
import { reconfigure } from '../support/reconfigure.ts';
import { type HeaderLine, openWire, type Wire, type WireAnswer } from '../support/wire.ts';

type Tree = Record<string, any>;

const MODERN = '2026-07-28';
const MODERN_META = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientCapabilities': {},
};

describe('the reference backends', () => {
  let deployment: TestDeployment;
  before(async () => {
    deployment = await startTestDeployment({ delegation: 'mint', adjustSidecar: withoutCatalog });
  });
  after(() => deployment.stop());

  const ledgerWithout = (...hidden: string[]) =>
    enterpriseLedgerTools.map(({ name }) => name as string).filter((name) => !hidden.includes(name));
  const reads = ['listAccounts', 'getAccount', 'getBalance', 'listTransactions'];
  const SEEN: readonly (readonly [Caller, readonly string[]])[] = [
    ['alice', ledgerWithout('getAuditTrail')],
    ['bob', reads],
    ['carol', [...reads, 'getAuditTrail']],
    ['agent', reads],
  ];

  for (const { name, connect } of [CLIENTS.v1, CLIENTS['v2-legacy'], CLIENTS['v2-modern']]) {
    const open = async (caller: Caller, url: string) => {
      const { fetch, tokenOf, certificates } = deployment;
      return connect({ url, token: await tokenOf(caller, url), fetch, caFile: certificates.caFile });
    };
    for (const [caller, tools] of SEEN) {
      test(`${name}: the ledger, in events, as ${caller} sees it`, async () => {
        const client = await open(caller, deployment.ledgerUrl);
        assert.deepEqual(await client.listTools(), tools);
        await client.close();
      });
    }
    test(`${name}: the directory, in JSON`, async () => {
      const client = await open('agent', deployment.directoryUrl);
      assert.deepEqual(
        await client.listTools(),
        employeeDirectoryTools.map((tool) => tool.name),
      );
      await client.close();
    });
  }

  test('what a call would be refused for is what is hidden, and the other way round', async () => {
    const { tokenOf, ledgerUrl, fetch, certificates } = deployment;
    const token = await tokenOf('bob', ledgerUrl);
    const client = await CLIENTS.v1.connect({ url: ledgerUrl, token, fetch, caFile: certificates.caFile });
    const shown = await client.listTools();
    for (const { name } of enterpriseLedgerTools) {
      const error = await client.callTool(name, {}).then(
        () => null,
        (thrown: Error) => thrown.message,
      );
      const isForbidden = error !== null && /roles|scope|forbidden/.test(error);
      assert.equal(isForbidden, !shown.includes(name), `${name}: ${error}`);
    }
    await client.close();
  });

  test('what was shown and hidden is counted', async () => {
    const metrics = await deployment.metrics();
    const items = (outcome: string) =>
      metrics.value('mcp_ext_authz_list_items_total', { backend: 'enterprise-ledger', list: 'tools', outcome });
    // Three clients of four callers, and bob once more: 7 + 4 + 5 + 4 of 8 shown.
    assert.deepEqual([items('shown'), items('hidden')], [3 * 20 + 4, 3 * 12 + 4]);
  });

  test('a call does not touch ext_proc, a list does', async () => {
    const { tokenOf, directoryUrl, envoy, fetch, certificates } = deployment;
    const name = 'http.edge.ext_proc.streams_started';
    const started = async () => (await stats(envoy.adminSocket, 'ext_proc.*streams_started')).get(name) ?? 0;
    const token = await tokenOf('agent', directoryUrl);
    const client = await CLIENTS['v2-modern'].connect({ url: directoryUrl, token, fetch, caFile: certificates.caFile });
    const before = await started();
    for (let round = 0; round < 3; round++) await client.callTool('listEmployees', {});
    assert.equal(await started(), before);
    await client.listTools();
    assert.equal(await started(), before + 1);
    await client.close();
  });
});

describe('a backend that answers anything', () => {
  let deployment: TestDeployment;
  let backend: PlainBackend;
  const ports: Record<'dead' | 'planless' | 'disabled', number> = { dead: 0, planless: 0, disabled: 0 };
  const wires = new Map<string, Wire>();

  before(async () => {
    backend = await startPlainBackend();
    for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
    const nowhere = await closedPort();
    deployment = await startTestDeployment({
      delegation: 'mint',
      adjustSidecar: (config) => {
        withoutCatalog(config);
        config.processing.maxAnswerBytes = 65_536;
      },
      adjustEnvoy: (config) => {
        pointCluster(config, 'enterprise_ledger', backend.port);
        addCluster(config, 'mcp_ext_proc', 'nowhere', nowhere);
        addListener(config, 'dead', ports.dead, ({ filters }) => {
          filters.find(({ name }) => name === 'envoy.filters.http.ext_proc')!.typed_config.grpc_service.envoy_grpc.cluster_name =
            'nowhere';
        });
        addListener(config, 'planless', ports.planless, ({ manager, routes }: ListenerParts) => {
          manager.route_config.virtual_hosts[0].routes = routes.filter(({ match }) => match.headers === undefined);
        });
        addListener(config, 'disabled', ports.disabled, ({ routes }) => {
          for (const { typed_per_filter_config: overrides } of routes.filter((route) => route.typed_per_filter_config)) {
            const own = overrides['envoy.filters.http.ext_proc'];
            delete own.overrides;
            own.disabled = true;
          }
        });
      },
    });
    for (const [name, port] of Object.entries(ports)) wires.set(name, openWire(port, deployment.certificates.caPem));
  });
  after(async () => {
    for (const wire of wires.values()) wire.close();
    await deployment.stop();
    await backend.stop();
  });

  interface Asked {
    readonly method?: string;
    readonly era?: 'legacy' | 'modern';
    /** As a JSON token. */
    readonly id?: string;
    readonly claims?: Readonly<Record<string, unknown>>;
    readonly headers?: readonly HeaderLine[];
    readonly wire?: Wire;
    readonly params?: object;
    readonly over?: 'http1' | 'http2';
  }

  function list(asked: Asked = {}): Promise<WireAnswer> {
    const { method = 'tools/list', era = 'legacy', id = '1', claims = {}, headers = [], over = 'http1' } = asked;
    const params = era === 'modern' ? { ...asked.params, _meta: MODERN_META } : asked.params;
    const mirrored: HeaderLine[] =
      era === 'modern'
        ? [
            ['mcp-protocol-version', MODERN],
            ['mcp-method', method],
          ]
        : [];
    const token = deployment.testIssuer.token(deployment.ledgerUrl, { claims });
    return (asked.wire ?? deployment.wire)[over]({
      method: 'POST',
      path: LEDGER,
      authority: 'localhost',
      headers: [
        ['content-type', 'application/json'],
        ['accept', 'application/json, text/event-stream'],
        ['authorization', `Bearer ${token}`],
        ...mirrored,
        ...headers,
      ],
      body: Buffer.from(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${JSON.stringify(params ?? {})}}`),
    });
  }

  const json =
    (body: string, headers: Readonly<Record<string, string>> = {}, status = 200): AnswerAs =>
    (response) =>
      void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
  const events =
    (body: string): AnswerAs =>
    (response) =>
      void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(body);
  const event = (data: string, type = 'message') => `event: ${type}\ndata: ${data}\n\n`;
  const answer = (result: string, id = '1') => `{"jsonrpc":"2.0","id":${id},"result":${result}}`;
  const SECRET = '{"name":"secretTool","description":"hidden words"}';
  const SHOWN =
    '{ "name" : "getBalance" , "inputSchema":{"properties":{"n":{"maximum":9223372036854775807,"default":1.10}}}, "x-new":[1.0] }';

  const linesOf = async ({ headers }: WireAnswer, count: number): Promise<Tree[]> => {
    const id = headers.get('x-request-id')?.[0];
    const isOurs = ({ request_id }: Tree) => request_id === id;
    await deployment.decisions.waitFor(
      `the lines of ${id}`,
      (line) => isOurs(line) && (count === 1 || line.reason !== 'allowed'),
    );
    return (await deployment.decisions.all()).filter(isOurs);
  };
  const refusals = async () =>
    (await deployment.metrics()).sum('mcp_ext_authz_decisions_total', { decision: 'error', reason: 'list_invalid' });

  describe('what is shown', () => {
    for (const [kind, send] of [
      ['JSON', json],
      ['events', (body: string) => events(event(body))],
    ] as const) {
      test(`${kind}: items as they were written, nextCursor and members that nobody knows`, async () => {
        backend.answerWith(send(answer(`{"nextCursor":"a\\/b","tools" :[${SECRET},${SHOWN}],"_meta":{"x":1.0}}`)));
        const { status, body } = await list();
        assert.equal(status, 200);
        const expected = answer(`{"nextCursor":"a\\/b","tools" :[${SHOWN}],"_meta":{"x":1.0}}`);
        assert.equal(body, kind === 'JSON' ? expected : event(expected));
      });
      test(`${kind}: in the modern era cacheScope is private`, async () => {
        for (const [given, kept] of [
          ['"ttlMs":1000,', '"ttlMs":1000,'],
          ['"ttlMs":1000,"cacheScope":"public",', '"ttlMs":1000,"cacheScope":"private",'],
          ['"cacheScope":"private",', '"cacheScope":"private",'],
        ] as const) {
          backend.answerWith(send(answer(`{"resultType":"complete",${given}"tools":[${SECRET},${SHOWN}]}`)));
          const { body } = await list({ era: 'modern' });
          const result = JSON.parse(kind === 'JSON' ? body : (/^data: (.*)$/m.exec(body)?.[1] as string)).result;
          assert.equal(result.cacheScope, 'private');
          assert.deepEqual(
            result.tools.map(({ name }: Tree) => name),
            ['getBalance'],
          );
          assert.ok(given === '"ttlMs":1000,' || body.includes(kept), body);
        }
      });
    }

    test('pages: the cursor reaches the backend, its answer is filtered page by page', async () => {
      const pages = [`{"tools":[${SECRET}],"nextCursor":"2"}`, `{"tools":[${SHOWN}]}`];
      backend.answerWith((response, { body }) => {
        const { id, params } = JSON.parse(body);
        json(answer(pages[params.cursor === '2' ? 1 : 0] as string, String(id)))(response, {} as never);
      });
      const first = JSON.parse((await list()).body).result;
      assert.deepEqual(first, { tools: [], nextCursor: '2' });
      const second = JSON.parse((await list({ params: { cursor: '2' }, id: '7' })).body);
      assert.deepEqual([second.id, second.result.tools[0].name], [7, 'getBalance']);
    });

    const OTHERS = [
      ['prompts/list', 'prompts', 'name', 'monthly-close'],
      ['resources/list', 'resources', 'uri', 'ledger://policies/retention'],
      ['resources/templates/list', 'resourceTemplates', 'uriTemplate', null],
    ] as const;
    for (const [method, member, naming, shown] of OTHERS) {
      for (const era of ['legacy', 'modern'] as const) {
        test(`${method}, ${era}`, async () => {
          const items = ['secret://a/{b}', ...(shown === null ? [] : [shown])].map((name) => ({ [naming]: name, title: 't' }));
          backend.answerWith(json(answer(JSON.stringify({ [member]: items }))));
          const { body } = await list({ method, era });
          assert.deepEqual(JSON.parse(body).result[member], shown === null ? [] : [{ [naming]: shown, title: 't' }]);
        });
      }
    }

    test('a tool that is refused for its arguments alone, and one for which a scope can still be had', async () => {
      const tools = ['transferFunds', 'getCustomerPII', 'getAuditTrail', 'getBalance'];
      backend.answerWith(json(answer(JSON.stringify({ tools: tools.map((name) => ({ name })) }))));
      const names = async (scope: string) =>
        JSON.parse((await list({ claims: { scope } })).body).result.tools.map(({ name }: Tree) => name);
      assert.deepEqual(await names('ledger:read ledger:write'), ['transferFunds', 'getCustomerPII', 'getBalance']);
      const undo = await reconfigure(deployment, (config) => {
        config.processing.stepUpItems = 'hide';
      });
      assert.deepEqual(await names('ledger:read ledger:write'), ['transferFunds', 'getBalance']);
      assert.deepEqual(await names('ledger:read'), ['getBalance']);
      await undo();
      assert.deepEqual(await names('ledger:read'), ['transferFunds', 'getCustomerPII', 'getBalance']);
    });

    test('what comes with a list in events passes, the answer does as it should', async () => {
      const note = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1.0}}';
      backend.answerWith(events(`: hello\n\n${event(note)}id: 4\n${event(answer(`{"tools":[${SECRET}]}`))}`));
      const { body } = await list();
      assert.equal(body, `: hello\n\n${event(note)}id: 4\n${event(answer('{"tools":[]}'))}`);
    });

    test('under a status that is an error as well', async () => {
      for (const status of [400, 404, 500]) {
        backend.answerWith(json(answer(`{"tools":[${SECRET},${SHOWN}]}`), {}, status));
        const reply = await list();
        assert.deepEqual([reply.status, reply.body], [status, answer(`{"tools":[${SHOWN}]}`)]);
        backend.answerWith(
          (response) =>
            void response
              .writeHead(status, { 'content-type': 'text/event-stream' })
              .end(event(answer(`{"tools":[${SECRET},${SHOWN}]}`))),
        );
        assert.equal((await list()).body, event(answer(`{"tools":[${SHOWN}]}`)));
      }
    });

    test('a connection that is cut within the list leaves a line', async () => {
      const cut = Promise.withResolvers<string>();
      backend.answerWith((response, { headers }) => {
        cut.resolve(headers['x-request-id'] as string);
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write(answer(`{"tools":[${SECRET}]}`).slice(0, -2), () => setImmediate(() => response.destroy()));
      });
      await list().then(
        ({ body }) => assert.ok(!body.includes('secretTool')),
        () => {},
      );
      const id = await cut.promise;
      await deployment.decisions.waitFor(
        `the line of ${id}`,
        ({ request_id, reason, error }: Tree) =>
          request_id === id && reason === 'list_invalid' && /cut off, or the client left/.test(JSON.stringify(error)),
      );
    });

    test("the backend's own errors pass, with their status", async () => {
      const error = '{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"out of order"}}';
      for (const status of [200, 400, 401, 404, 500, 503]) {
        backend.answerWith(json(error, { 'www-authenticate': 'Bearer realm="b"' }, status));
        const reply = await list();
        assert.deepEqual([reply.status, reply.body], [status, error]);
      }
    });

    test('the backend is asked for an answer that can be read', async () => {
      backend.answerWith(json(answer('{"tools":[]}')));
      await list({ headers: [['accept-encoding', 'gzip, br']] });
      const { headers } = backend.requests.at(-1)!;
      assert.equal(headers['accept-encoding'], undefined);
      assert.equal(headers['x-mcp-plan'], undefined);
      assert.match(headers.authorization ?? '', /^Bearer eyJ/);
    });

    test('a token with very many claims', async () => {
      backend.answerWith(json(answer(`{"tools":[${SECRET},${SHOWN}]}`)));
      const groups = Array.from({ length: 250 }, (_, index) => `group-of-people-${index}`);
      const { status, body } = await list({ claims: { groups } });
      assert.deepEqual([status, body], [200, answer(`{"tools":[${SHOWN}]}`)]);
    });
  });

  describe('what is no list', () => {
    const whole = answer(`{"tools":[${SECRET},${SHOWN}]}`);
    const spoken = answer(`{"tools":[${SECRET}]}`);
    const BAD: readonly (readonly [what: string, answer: AnswerAs])[] = [
      ['too large', json(answer(`{"tools":[${SECRET}],"x":"${'x'.repeat(70_000)}"}`))],
      ['no JSON', json(`${whole}x`)],
      ['cut in half', json(whole.slice(0, -20))],
      ['an empty body', json('')],
      ['no body at all', (response) => void response.writeHead(200, { 'content-length': '0' }).end()],
      ['202 without a body', (response) => void response.writeHead(202).end()],
      ['202 with the list', json(whole, {}, 202)],
      ['204', (response) => void response.writeHead(204).end()],
      [
        'bytes that are not UTF-8',
        (response) =>
          void response
            .writeHead(200, { 'content-type': 'application/json' })
            .end(Buffer.concat([Buffer.from(whole.slice(0, -2)), Buffer.from([0xff]), Buffer.from('}}')])),
      ],
      ['a batch', json(`[${whole}]`)],
      ['not a list', json(answer('{"tools":{"secretTool":1}}'))],
      ['another list', json(answer(`{"prompts":[${SECRET}]}`))],
      ['an item that is none', json(answer(`{"tools":[${SECRET},7]}`))],
      ['an item without a name', json(answer(`{"tools":[${SECRET},{"title":"secret"}]}`))],
      ['a name twice', json(answer(`{"tools":[${SHOWN},${SHOWN},${SECRET}]}`))],
      ['a name twice, written otherwise', json(answer(`{"tools":[${SHOWN},{"name":"get\\u0042alance","x":"hidden words"}]}`))],
      ['a key twice', json(answer(`{"tools":[${SHOWN}],"tools":[${SECRET}]}`))],
      ['a key twice in an item', json(answer(`{"tools":[{"name":"getBalance","name":"secretTool"}]}`))],
      ['a key in another case', json(answer(`{"tools":[${SHOWN}],"Tools":[${SECRET}]}`))],
      ['another id', json(answer(`{"tools":[${SECRET}]}`, '2'))],
      ['the id as a string', json(answer(`{"tools":[${SECRET}]}`, '"1"'))],
      ['no id', json(`{"jsonrpc":"2.0","result":{"tools":[${SECRET}]}}`)],
      ['result and error', json(`{"jsonrpc":"2.0","id":1,"result":{"tools":[${SECRET}]},"error":{"code":1,"message":"m"}}`)],
      ['text/plain', json(whole, { 'content-type': 'text/plain' })],
      ['no content type', (response) => void response.writeHead(200).end(whole)],
      ['events that are called JSON', json(event(spoken))],
      ['JSON that is called events', events(whole)],
      [
        'gzip',
        (response) =>
          void response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(gzipSync(whole)),
      ],
      ['an encoding that is none', json(whole, { 'content-encoding': 'made-up' })],
      [
        'gzip in events',
        (response) =>
          void response
            .writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' })
            .end(gzipSync(event(spoken))),
      ],
      ['events cut in half', events(event(spoken).slice(0, -5))],
      ['events without the answer', events(': nothing\n\n')],
      ['no events', events('')],
      ['an event that is too large', events(event(answer(`{"tools":[${SECRET}],"x":"${'x'.repeat(70_000)}"}`)))],
      ['an event of another type', events(`${event('{"x":"hidden words"}', 'secret')}`)],
      [
        'the answer in several lines of data, cut',
        events(`data: {"jsonrpc":"2.0","id":1,\ndata: "result":{"tools":[${SECRET}\n\n`),
      ],
    ];

    for (const over of ['http1', 'http2'] as const) {
      test(`is answered with one error, whatever it was: ${over}`, async (t) => {
        for (const [what, send] of BAD) {
          await t.test(what, async () => {
            backend.answerWith(send);
            const before = await refusals();
            const reply = await list({ over });
            assertRefused(reply, '1');
            const lines = await linesOf(reply, 2);
            assert.deepEqual(
              lines.map(({ reason }) => reason),
              ['allowed', 'list_invalid'],
            );
            const { decision, method, backend: named, subject, status, decision_id } = lines[1] as Tree;
            assert.deepEqual(
              [decision, method, named, subject, status],
              ['error', 'tools/list', 'enterprise-ledger', 'alice', 200],
            );
            assert.ok(reply.body.includes(decision_id));
            assert.equal(await refusals(), before + 1);
          });
        }
      });
    }

    function assertRefused({ status, headers, body }: WireAnswer, id: string): void {
      assert.equal(status, 200);
      assert.doesNotMatch(body, /secret|hidden|getBalance/);
      assert.equal(headers.get('content-encoding'), undefined);
      const isEvents = headers.get('content-type')?.[0] === 'text/event-stream';
      if (!isEvents) assert.deepEqual(headers.get('content-type'), ['application/json']);
      const text = isEvents ? (/^event: message\ndata: (.*)\n\n$/m.exec(body)?.[1] ?? '') : body;
      assert.ok(text.startsWith(`{"jsonrpc":"2.0","id":${id},"error":{"code":-31503,`), body);
      assert.equal(JSON.parse(text).error.data.reason, 'list_invalid');
    }

    test('the error has the id as it was sent', async () => {
      for (const id of ['0', '-7', '"x\\u0031\\/é"', '""', '9007199254740991', '"9223372036854775808"']) {
        backend.answerWith(json('no list'));
        assertRefused(await list({ id }), id);
        backend.answerWith(events('data: no list\n\n'));
        assertRefused(await list({ id }), id);
      }
    });

    test('an answer has the id, however the backend writes it', async () => {
      backend.answerWith(json(answer(`{"tools":[${SHOWN},${SECRET}]}`, '"x1"')));
      assert.deepEqual(JSON.parse((await list({ id: '"x\\u0031"' })).body).result.tools.length, 1);
    });

    test('a second list after the answer does not pass', async () => {
      for (const smuggled of [event(whole), event(whole, 'other'), event(answer(`{"tools":[${SECRET}]}`, '2')), 'data: [\n\n']) {
        backend.answerWith(events(event(answer(`{"tools":[${SHOWN}]}`)) + smuggled));
        const { body } = await list();
        assert.ok(body.startsWith(event(answer(`{"tools":[${SHOWN}]}`))));
        assert.doesNotMatch(body, /secret|hidden/);
      }
    });

    test('a list before the answer, in an event that is none', async () => {
      backend.answerWith(events(event(whole, 'other') + event(whole)));
      assert.doesNotMatch((await list()).body, /secret|hidden/);
    });

    test('a connection that is cut in the middle', async () => {
      backend.answerWith((response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '9999' });
        response.write(whole, () => response.destroy());
      });
      const reply = await list({ over: 'http2' }).catch(() => null);
      assert.doesNotMatch(reply?.body ?? '', /secret|hidden/);
    });

    test('events that stay open: the error comes at once', async () => {
      backend.answerWith((response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: {"not":"an answer"}\n\n');
      });
      const socket = await deployment.wire.connect();
      const token = deployment.testIssuer.token(deployment.ledgerUrl);
      const body = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
      socket.write(
        `POST ${LEDGER} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      let seen = '';
      for await (const chunk of socket) {
        seen += chunk;
        if (seen.includes('list_invalid')) break;
      }
      assert.match(seen, /"reason":"list_invalid"/);
    });
  });

  describe('where nobody looks into answers', () => {
    const call: Asked = { method: 'tools/call', params: { name: 'getBalance', arguments: {} } };

    test('ext_proc is down: lists fail, calls go on', async () => {
      const wire = wires.get('dead') as Wire;
      backend.answerWith(json(answer(`{"tools":[${SECRET}]}`)));
      const seen = backend.requests.length;
      const reply = await list({ wire });
      assert.ok((reply.status ?? 0) >= 500, `${reply.status}`);
      assert.equal(backend.requests.length, seen);
      backend.answerWith(json(answer('{"content":[]}')));
      assert.deepEqual((await list({ ...call, wire })).body, answer('{"content":[]}'));
      assert.equal(backend.requests.length, seen + 1);
    });

    for (const name of ['planless', 'disabled'] as const) {
      test(`the routes are ${name}: the backend gets no token`, async () => {
        const wire = wires.get(name) as Wire;
        backend.answerWith(json('{}', {}, 401));
        for (const over of ['http1', 'http2'] as const) {
          await list({ wire, over });
          const { headers } = backend.requests.at(-1)!;
          assert.equal(headers.authorization, undefined);
          assert.doesNotMatch(JSON.stringify(headers), /eyJ/);
        }
        await list({ ...call, wire });
        assert.match(backend.requests.at(-1)!.headers.authorization ?? '', /^Bearer eyJ/);
      });
    }
  });
});
