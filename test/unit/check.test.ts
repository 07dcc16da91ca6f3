import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { BackendView } from '../../src/catalog/view.ts';
import type { Response } from '../../src/check/answer.ts';
import { denied, newFacts, type Verdict } from '../../src/check/authorize.ts';
import { openPlan } from '../../src/check/plan.ts';
import { decisionRecord } from '../../src/check/record.ts';
import { principalKey, sealSession } from '../../src/check/session.ts';
import { sealTask } from '../../src/check/task.ts';
import { check } from '../../src/check.ts';
import { toCheckResponse } from '../../src/ext-authz/response.ts';
import { encodeCheckResponse } from '../../src/ext-authz/wire.ts';
import type { HttpFacts } from '../../src/http.ts';
import { POLICY_REASONS, REASONS, type Reason, reasonRow } from '../../src/reasons.ts';
import { publicName } from '../../src/resource.ts';
import { deny, ok } from '../../src/result.ts';
import { createSealer } from '../../src/seal.ts';
import type { Principal } from '../../src/token/principal.ts';
import type { Denial } from '../../src/verdict.ts';
import {
  alice,
  bare,
  callOf,
  DELEGATION_TOKEN,
  LEDGER_PATH,
  LEDGER_URL,
  ledger,
  NOW_MS,
  outbound,
  request,
  SUBJECT_TOKEN,
} from './support/facts.ts';
import {
  DECISION_ID,
  fakeDelegate,
  fakePolicy,
  fakePorts,
  ORIGIN,
  type PortsSpec,
  refusing,
  strictPolicy,
} from './support/ports.ts';

const DEADLINE = NOW_MS + 2000;
const METADATA_PATH = `/.well-known/oauth-protected-resource${LEDGER_PATH}`;

function decide(http: HttpFacts, spec: PortsSpec = {}, deadlineMs = DEADLINE): Promise<Verdict> {
  return check(http, fakePorts(spec), deadlineMs);
}

function responseOf({ answer }: Verdict): Response {
  assert.ok(answer.kind === 'respond', 'the request went on');
  return answer.response;
}

function forwardOf({ answer }: Verdict) {
  assert.ok(answer.kind === 'forward', 'the request did not go on');
  return answer;
}

function header({ headers }: Response, name: string): string | undefined {
  const values = headers.filter(([one]) => one === name).map(([, value]) => value);
  assert.ok(values.length < 2, `${name} is there ${values.length} times`);
  return values[0];
}

function bodyOf(verdict: Verdict) {
  return JSON.parse(responseOf(verdict).body) as {
    id?: unknown;
    error: { code: number; message: string; data: Record<string, unknown> };
  };
}

const modern = (method: string, params: object = {}, meta: object = {}, lines: Record<string, string | null> = {}): HttpFacts =>
  request({
    body: {
      jsonrpc: '2.0',
      id: 1,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': {},
          ...meta,
        },
      },
    },
    lines: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, ...lines },
  });

/** A way to each reason: what is sent, and what the world says to it. */
type Way = readonly [http: HttpFacts, spec?: PortsSpec, deadlineMs?: number];

const verified = (denial: Denial): PortsSpec => ({ verify: async () => deny(denial) });
const delegated = (reason: Reason): PortsSpec => ({ delegate: { exchange: async () => deny({ reason }), mint: null } });
const fromVerifier = (reason: Reason): readonly [Reason, Way] => [reason, [request(), verified({ reason })]];
const fromPolicy = (reason: Reason): readonly [Reason, Way] => [
  reason,
  [
    request(),
    { policy: refusing({ reason, ...(reason === 'insufficient_scope' && { requiredScopes: ['ledger:write', 'pii'] }) }) },
  ],
];
const fromExchange = (reason: Reason): readonly [Reason, Way] => [reason, [request(), delegated(reason)]];

const pinned = (view: Partial<BackendView> | null): PortsSpec => ({
  resources: [{ ...ledger, url: 'https://ledger.internal/mcp' }],
  views: () => view as BackendView | null,
  approvals: () => new Map(),
});

const WAYS = new Map<Reason, Way>([
  ['allowed', [request()]],
  ['metadata_served', [bare('GET', { path: METADATA_PATH })]],
  ['preflight_answered', [bare('OPTIONS', { lines: { origin: ORIGIN } })]],
  ['resource_unknown', [request({ path: '/other' })]],
  ['method_not_allowed', [bare('PUT')]],
  ['origin_forbidden', [request({ lines: { origin: 'https://evil.example' } })]],
  ['query_forbidden', [request({ query: 'access_token=x' })]],
  ['header_invalid', [request({ lines: { 'mcp-protocol-version': ['2025-11-25', '2025-11-25'] } })]],
  ['media_type_unsupported', [request({ lines: { 'content-type': 'text/plain' } })]],
  ['content_encoding_unsupported', [request({ lines: { 'content-encoding': 'gzip' } })]],
  ['body_too_large', [request({ body: `"${'x'.repeat(70_000)}"` })]],
  ['body_incomplete', [request({ partialBody: true })]],
  ['json_invalid', [request({ body: '{' })]],
  ['json_too_deep', [request({ body: '['.repeat(65) + ']'.repeat(65) })]],
  ['json_too_wide', [request({ body: callOf('a', Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`k${at}`, at]))) })]],
  ['json_duplicate_key', [request({ body: '{"a":1,"A":2}' })]],
  ['json_number_imprecise', [request({ body: '{"a":12345678901234567890}' })]],
  ['message_invalid', [request({ body: { jsonrpc: '1.0', id: 1, method: 'ping' } })]],
  ['batch_unsupported', [request({ body: [callOf('getBalance')] })]],
  ['params_invalid', [request({ body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 5 } } })]],
  ['envelope_missing', [request({ lines: { 'mcp-protocol-version': '2026-07-28' } })]],
  ['method_unknown', [request({ body: { jsonrpc: '2.0', id: 1, method: 'tools/drop' } })]],
  ['protocol_version_unsupported', [request({ lines: { 'mcp-protocol-version': '2099-01-01' } })]],
  ['header_mismatch', [request({ lines: { 'mcp-method': 'ping' } })]],
  ['token_missing', [request({ lines: { authorization: null } })]],
  ['token_malformed', [request({ lines: { authorization: 'Bearer a,Bearer b' } })]],
  ['token_scheme_unsupported', [request({ lines: { authorization: 'Basic YTpi' } })]],
  ...(
    [
      ...[
        'token_type_wrong',
        'token_algorithm_forbidden',
        'token_issuer_unknown',
        'token_key_unknown',
        'token_signature_invalid',
      ],
      ...['token_claims_invalid', 'token_expired', 'token_not_yet_valid', 'token_lifetime_excessive', 'token_audience_mismatch'],
      ...['token_bound', 'token_is_delegation', 'keys_unavailable', 'introspection_unavailable', 'token_inactive'],
    ] as Reason[]
  ).map(fromVerifier),
  ...([...POLICY_REASONS] as Reason[]).filter((reason) => reason !== 'allowed').map(fromPolicy),
  ...(['policy_invalid', 'policy_failed', 'policy_memory', 'policy_timeout'] as const).map(fromPolicy),
  ['policy_undefined', [request(), { policy: null }]],
  ...(['exchange_refused', 'exchange_unavailable', 'exchange_timeout', 'exchange_invalid'] as const).map(fromExchange),
  ['mint_failed', [request(), { resources: [{ ...ledger, delegation: 'mint' }] }]],
  ['deadline_exceeded', [request(), {}, NOW_MS]],
  ['tool_changed', [request(), pinned({ tools: new Map() })]],
  ['catalog_unavailable', [request(), pinned(null)]],
]);

/** Reasons that arise before `check`: the server asks for their verdict by `denied`. */
const BEFORE_CHECK: ReadonlySet<Reason> = new Set(['request_invalid', 'overloaded', 'internal_error']);

/** Reasons of the façade: test/unit/facade/facade.test.ts. */
const OF_FACADE: readonly Reason[] = ['facade_served', 'client_registered', 'registration_refused', 'facade_unavailable'];

/** Those of ids that are bound to a caller, and of names at a front door: see route.test.ts. */
const OF_ROUTES: readonly Reason[] = [
  'session_unknown',
  'session_forbidden',
  'capability_missing',
  'task_unknown',
  'task_forbidden',
  'target_unknown',
];
/** Those of answers, and of what the front door asks. */
const AFTER_CHECK: readonly Reason[] = ['list_invalid', 'backend_unavailable', 'bridge_limited'];

suite('where answers are processed', () => {
  const sealer = createSealer([Buffer.alloc(32, 1)]);
  const listing = request({ body: { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} } });

  test('a list goes on with a plan, in which alone the token is', async () => {
    const { set, remove } = forwardOf(await decide(listing, { sealer }));
    const sealed = new Map(set).get('x-mcp-plan') ?? assert.fail();
    assert.deepEqual(openPlan(sealer, 'process', sealed, NOW_MS)?.set, [['authorization', `Bearer ${DELEGATION_TOKEN}`]]);
    assert.ok(remove.includes('authorization'));
    assert.ok(!JSON.stringify(set).includes(DELEGATION_TOKEN));
  });

  test('a call goes on as it does without', async () => {
    const [plain, processed] = await Promise.all([decide(request()), decide(request(), { sealer })]);
    assert.deepEqual(forwardOf(processed), forwardOf(plain));
  });

  test('a session of somebody else: told with who asks, and policy is not asked', async () => {
    const policy = fakePolicy();
    const session = { principal: principalKey({ ...alice, subject: 'bob' }), resource: 'ledger', backends: {} };
    const lines = { 'mcp-session-id': sealSession(sealer, session) };
    const verdict = await decide(request({ lines }), { sealer, policy });
    assert.deepEqual([verdict.reason, verdict.facts.principal?.subject], ['session_forbidden', 'alice']);
    assert.equal(responseOf(verdict).status, 403);
    assert.deepEqual(policy.inputs, []);
  });

  test('policy judges a task by the id that the backend knows', async () => {
    const policy = fakePolicy();
    const taskId = sealTask(sealer, { principal: principalKey(alice), backend: 'ledger', id: 'own' });
    const body = { jsonrpc: '2.0', id: 1, method: 'tasks/get', params: { taskId } };
    assert.equal((await decide(request({ body }), { sealer, policy })).reason, 'allowed');
    assert.deepEqual((policy.inputs as any)[0].mcp.targets, [{ type: 'task', name: 'own' }]);
  });

  test('a stream is not opened by a token that is over, within what clocks may differ by', async () => {
    const over = { ...alice, expiresAt: NOW_MS / 1000 };
    const spec: PortsSpec = { sealer, verify: async () => ok(over) };
    const verdict = await decide(bare('GET'), spec);
    assert.equal(verdict.reason, 'token_expired');
    assertRefusal(verdict);
    assert.equal((await decide(request(), spec)).reason, 'allowed');
  });
});

suite('every reason', () => {
  test('is reached here, or known to arise elsewhere', () => {
    const reached = new Set([...WAYS.keys(), ...BEFORE_CHECK, ...OF_FACADE, ...OF_ROUTES, ...AFTER_CHECK]);
    assert.deepEqual([...reached].sort(), Object.keys(REASONS).sort());
  });

  for (const [reason, way] of WAYS) {
    test(`${reason}: its answer is that of the table`, async () => {
      const verdict = await decide(...way);
      assert.equal(verdict.reason, reason);
      assert.equal(verdict.outcome, reasonRow(reason).outcome);
      assert.equal(verdict.facts.decisionId, DECISION_ID);
      if (verdict.outcome !== 'allow') assertRefusal(verdict);
    });
  }

  for (const reason of BEFORE_CHECK) {
    test(`${reason}: its answer is that of the table`, () => {
      const verdict = denied({ reason }, newFacts(request(), DECISION_ID), fakePorts());
      assert.equal(verdict.reason, reason);
      assertRefusal(verdict);
    });
  }
});

/** What every refusal has in common. */
function assertRefusal(verdict: Verdict): void {
  const row = reasonRow(verdict.reason);
  const response = responseOf(verdict);
  const legacyUnknown = verdict.reason === 'method_unknown';
  assert.equal(response.status, legacyUnknown ? 200 : row.status);
  assert.equal(header(response, 'content-type'), 'application/json');
  assert.equal(header(response, 'cache-control'), 'no-store');
  assert.equal(header(response, 'retry-after'), row.outcome === 'error' ? '1' : undefined);
  const { error } = bodyOf(verdict);
  assert.equal(error.code, row.code);
  assert.equal(error.message, row.message);
  assert.equal(error.data.reason, verdict.reason);
  assert.equal(error.data.decision_id, DECISION_ID);
  const challenge = header(response, 'www-authenticate');
  assert.equal(challenge !== undefined, row.status === 401 || row.oauth !== null);
  if (challenge !== undefined) assertChallenge(challenge);
  assert.ok(!JSON.stringify(response).includes(SUBJECT_TOKEN));
}

/** One Bearer challenge, in the order and without the characters that clients stumble over. */
function assertChallenge(challenge: string): void {
  assert.match(challenge, /^Bearer /);
  const parameters = [...challenge.slice('Bearer '.length).matchAll(/(\w+)="([^"\\]*)"(, |$)/g)];
  assert.equal(parameters.map(([whole]) => whole).join(''), challenge.slice('Bearer '.length));
  const names = parameters.map(([, name]) => name);
  const order = ['error', 'scope', 'resource_metadata', 'error_description'];
  assert.deepEqual(
    names,
    order.filter((name) => names.includes(name)),
  );
  const { href } = new URL(parameters.find(([, name]) => name === 'resource_metadata')?.[2] ?? '');
  assert.equal(href, `https://gateway.example${METADATA_PATH}`);
  assert.ok(!(parameters.find(([, name]) => name === 'error_description')?.[2] ?? '').includes('='));
}

suite('a request that is allowed', () => {
  test('goes on with our token and without the one that came', async () => {
    const http = request({ lines: { cookie: 'a=b', 'x-forwarded-user': 'root', 'x-request-id': 'r' } });
    const { set, remove, responseHeaders } = forwardOf(await decide(http));
    assert.deepEqual(set, [['authorization', `Bearer ${DELEGATION_TOKEN}`]]);
    assert.deepEqual(remove, ['cookie', 'x-forwarded-user']);
    assert.deepEqual(responseHeaders, []);
  });

  test('leaves behind what was learnt', async () => {
    const { facts } = await decide(request());
    assert.equal(facts.resource, ledger);
    assert.equal(facts.operation?.tool, 'getBalance');
    assert.equal(facts.principal, alice);
    assert.equal(facts.revision, 'r1');
    assert.equal(facts.outbound, outbound);
    assert.equal(facts.delegation?.tokenId, 'delegation-jti');
    assert.deepEqual(Object.keys(facts.stages), ['read', 'verify', 'inbound', 'outbound', 'delegate']);
  });

  test('is delegated for what policy decided, within the time there is', async () => {
    const exchange = fakeDelegate();
    await decide(request(), { delegate: { exchange, mint: null } });
    assert.deepEqual(exchange.requests, [
      { subjectToken: SUBJECT_TOKEN, principal: alice, outbound, backend: 'ledger', deadlineMs: DEADLINE },
    ]);
  });

  test('is delegated in the way its resource says', async () => {
    const [exchange, mint] = [fakeDelegate(), fakeDelegate()];
    await decide(request(), { resources: [{ ...ledger, delegation: 'mint' }], delegate: { exchange, mint } });
    assert.deepEqual([exchange.requests.length, mint.requests.length], [0, 1]);
  });

  test("goes on without any token where its delegation is 'none'", async () => {
    const verdict = await decide(request(), {
      resources: [{ ...ledger, delegation: 'none' }],
      delegate: { exchange: null, mint: null },
    });
    const { set, remove } = forwardOf(verdict);
    assert.deepEqual(set, []);
    assert.deepEqual(remove, ['authorization']);
    assert.equal(verdict.facts.delegation, null);
  });

  test('carries what policy adds', async () => {
    const policy = fakePolicy(ok(null), ok({ ...outbound, headers: { 'x-region': 'eu' } }));
    assert.deepEqual(forwardOf(await decide(request(), { policy })).set[0], ['x-region', 'eu']);
  });

  test('may be a notification, a posted response, a stream or its end', async () => {
    const requests = [
      request({ body: { jsonrpc: '2.0', method: 'notifications/initialized' } }),
      request({ body: { jsonrpc: '2.0', id: 7, result: {} } }),
      bare('GET'),
      bare('DELETE'),
      modern('tools/list'),
    ];
    for (const http of requests) assert.equal((await decide(http)).reason, 'allowed');
  });

  test('gets both questions asked about it, once', async () => {
    const policy = fakePolicy();
    await decide(request({ body: callOf('getBalance', { account: 'A-1' }) }), { policy });
    assert.equal(policy.inputs.length, 1);
    const [{ mcp, principal }] = policy.inputs as [{ mcp: Record<string, unknown>; principal: Principal }];
    assert.deepEqual(mcp.arguments, { account: 'A-1' });
    assert.equal(principal.subject, 'alice');
  });

  test('is asked about in the name of its caller, until it is due', async () => {
    const policy = fakePolicy();
    await decide(request(), { policy }, NOW_MS + 700);
    assert.deepEqual(
      policy.asked.map(({ caller, deadlineMs }) => [caller, deadlineMs]),
      [[principalKey(alice), NOW_MS + 700]],
    );
  });

  test('shows policy the arguments that it declares', async () => {
    const policy = { ...fakePolicy(), declaredArguments: () => new Set(['account']) };
    const { facts } = await decide(request({ body: callOf('getBalance', { account: 'A-1', extra: 1 }) }), { policy });
    assert.deepEqual((policy.inputs as any)[0].mcp.arguments, { account: 'A-1' });
    assert.deepEqual(facts.asked?.input.mcp.arguments, { account: 'A-1' });
    assert.deepEqual(facts.operation?.arguments, { account: 'A-1', extra: 1 });
  });

  test('leaves in the facts what policy was asked and what it said', async () => {
    const logOnly = [{ rule: 'a', reason: 'limit_exceeded' }] as const;
    const yes = { allow: true, reason: 'allowed' };
    const saidOf = async (spec: PortsSpec) => {
      const { asked } = (await decide(request(), spec)).facts;
      return asked && [asked.revision, asked.inbound, asked.outbound];
    };
    assert.deepEqual(await saidOf({ policy: fakePolicy(ok({ logOnly })) }), ['r1', { ...yes, logOnly }, yes]);
    const no = (reason: Reason) => ({ allow: false, reason });
    assert.deepEqual(await saidOf({ policy: refusing({ reason: 'tool_forbidden' }) }), ['r1', no('tool_forbidden'), null]);
    const refusedLater = fakePolicy(ok(null), deny({ reason: 'limit_exceeded' }));
    assert.deepEqual(await saidOf({ policy: refusedLater }), ['r1', yes, no('limit_exceeded')]);
    assert.deepEqual(await saidOf(pinned({ tools: new Map() })), ['r1', yes, null]);
    assert.equal(await saidOf({ policy: null }), null);
  });
});

suite('nothing is asked of anybody', () => {
  test('after a refusal', async () => {
    const asked: string[] = [];
    const never = (who: string) => () => {
      asked.push(who);
      throw new Error(who);
    };
    const closed: PortsSpec = {
      verify: never('verify'),
      policy: strictPolicy({ ask: never('policy'), askInbound: never('policy') }),
      delegate: { exchange: never('exchange'), mint: never('mint') },
    };
    for (const [reason, [http]] of WAYS) {
      const early = reasonRow(reason).status !== 200 && !['allowed', 'deadline_exceeded'].includes(reason);
      if (
        !early ||
        ['token_', 'keys_', 'intro', 'polic', 'excha', 'mint_', 'insuf', 'catal'].some((start) => reason.startsWith(start))
      )
        continue;
      assert.equal((await decide(http, closed)).reason, reason);
    }
    const unverified = { ...closed, ...verified({ reason: 'token_expired' }) };
    assert.equal((await decide(request(), unverified)).reason, 'token_expired');
    const forbidden = { ...closed, verify: async () => ok(alice), policy: refusing({ reason: 'tool_forbidden' }) };
    assert.equal((await decide(request(), forbidden)).reason, 'tool_forbidden');
    assert.deepEqual(asked, []);
  });
});

suite('the order of refusals', () => {
  const worst = {
    path: '/other',
    query: 'a=b',
    body: '{',
    lines: { origin: 'https://evil.example', authorization: null, 'content-type': 'text/plain' },
  } as const;
  const steps: readonly (readonly [mend: object, reason: Reason])[] = [
    [{}, 'resource_unknown'],
    [{ path: LEDGER_PATH }, 'origin_forbidden'],
    [{ lines: { ...worst.lines, origin: null } }, 'query_forbidden'],
    [{ query: '' }, 'token_missing'],
    [{ lines: { 'content-type': 'text/plain' } }, 'media_type_unsupported'],
    [{ lines: {} }, 'json_invalid'],
    [{ body: callOf('getBalance') }, 'token_expired'],
  ];

  test('goes from where to whom to what', async () => {
    let spec = { ...worst };
    for (const [mend, reason] of steps) {
      spec = { ...spec, ...mend };
      assert.equal((await decide(request(spec), verified({ reason: 'token_expired' }))).reason, reason);
    }
  });

  test('a stranger learns only that a token is needed', async () => {
    for (const [reason, [http]] of WAYS) {
      const { status } = reasonRow(reason);
      if (http.path !== LEDGER_PATH || http.method === 'OPTIONS' || ['origin_forbidden', 'query_forbidden'].includes(reason))
        continue;
      const lines = new Map([...http.headers].filter(([name]) => name !== 'authorization'));
      const verdict = await decide({ ...http, headers: lines });
      assert.equal(verdict.reason, 'token_missing', `${reason} (${status})`);
    }
  });
});

suite('a refusal names the request by its id', () => {
  const ids = [
    '1',
    '0',
    '-7',
    '"a"',
    '""',
    '"é\\u00e9\\n\\"\\\\"',
    '123456789012345678901234567890',
    '"\\ud834\\udd1e"',
    '"</script>"',
  ];
  for (const id of ids) {
    test(`${id}, as it was written`, async () => {
      const body = `{"jsonrpc":"2.0","id": ${id} ,"method":"tools/call","params":{"name":"getBalance"}}`;
      const { body: answer } = responseOf(await decide(request({ body }), { policy: refusing({ reason: 'tool_forbidden' }) }));
      assert.ok(answer.startsWith(`{"jsonrpc":"2.0","id":${id},"error":{`), answer);
      JSON.parse(answer);
    });
  }

  test('also where it was refused before it was understood', async () => {
    const unread = [
      request({ body: { jsonrpc: '2.0', id: 5, method: 'tools/drop' } }),
      request({ body: { jsonrpc: '2.0', id: 5, method: 'tools/call', params: {} } }),
      request({ body: { jsonrpc: '1.0', id: 5, method: 'ping' } }),
      request({ body: callOf('getBalance', {}, 5), lines: { authorization: null } }),
      request({ body: callOf('getBalance', {}, 5), lines: { 'mcp-method': 'ping' } }),
    ];
    for (const http of unread) assert.equal(bodyOf(await decide(http)).id, 5);
  });

  test('and not at all where there was none', async () => {
    const without = [
      request({ body: '{' }),
      request({ body: { jsonrpc: '2.0', method: 'notifications/initialized' }, lines: { authorization: null } }),
      request({ body: { jsonrpc: '2.0', id: null, method: 'ping' } }),
      request({ body: { jsonrpc: '2.0', id: { a: 1 }, method: 'ping' } }),
      bare('PUT'),
    ];
    for (const http of without) assert.ok(!Object.hasOwn(bodyOf(await decide(http)), 'id'));
  });

  test('and not by that of a posted response, which is not ours to answer', async () => {
    const verdict = await decide(request({ body: { jsonrpc: '2.0', id: 7, result: {} } }), {
      policy: refusing({ reason: 'policy_denied' }),
    });
    assert.ok(!Object.hasOwn(bodyOf(verdict), 'id'));
    assert.equal(responseOf(verdict).status, 403);
  });
});

suite("a policy's no", () => {
  const policy = refusing({ reason: 'tool_forbidden', message: 'Ask the treasurer.' });
  const status = async (http: HttpFacts, strict = false) =>
    responseOf(await decide(http, { policy, resources: [{ ...ledger, strict }] })).status;

  test('is said in the conversation: 200 and an error, with the words of the policy', async () => {
    const verdict = await decide(request(), { policy });
    assert.equal(responseOf(verdict).status, 200);
    const { code, message, data } = bodyOf(verdict).error;
    assert.equal(code, -31403);
    assert.equal(message, 'Ask the treasurer.');
    assert.deepEqual(data, { reason: 'tool_forbidden', decision_id: DECISION_ID });
    assert.equal(header(responseOf(verdict), 'www-authenticate'), undefined);
  });

  test('is 403 where that is wanted', async () => {
    assert.equal(await status(request(), true), 403);
  });

  test('is 403 to whoever cannot be answered', async () => {
    assert.equal(await status(request({ body: { jsonrpc: '2.0', method: 'notifications/initialized' } })), 403);
    assert.equal(await status(bare('GET')), 403);
    assert.equal(await status(bare('DELETE')), 403);
  });

  test('about scopes is 403 with all of them, so that the client can ask for them', async () => {
    for (const strict of [false, true]) {
      const stepUp = refusing({ reason: 'insufficient_scope', requiredScopes: ['ledger:read', 'ledger:write'] });
      const response = responseOf(await decide(request(), { policy: stepUp, resources: [{ ...ledger, strict }] }));
      assert.equal(response.status, 403);
      assert.match(
        header(response, 'www-authenticate') ?? '',
        /^Bearer error="insufficient_scope", scope="ledger:read ledger:write", resource_metadata="https:/,
      );
      assert.deepEqual(JSON.parse(response.body).error.data.required_scopes, ['ledger:read', 'ledger:write']);
    }
  });

  test('from the outbound policy is one like any other', async () => {
    const verdict = await decide(request(), { policy: fakePolicy(ok(null), deny({ reason: 'tool_unknown' })) });
    assert.equal(verdict.reason, 'tool_unknown');
    assert.equal(verdict.facts.outbound, null);
  });
});

suite('a challenge', () => {
  test('to a caller without a token names the scopes to begin with, and no error', async () => {
    const response = responseOf(await decide(request({ lines: { authorization: null } })));
    assert.equal(
      header(response, 'www-authenticate'),
      `Bearer scope="ledger:read", resource_metadata="https://gateway.example${METADATA_PATH}"`,
    );
  });

  test('holds nothing that a caller could have put there', async () => {
    const odd: Denial = { reason: 'token_expired', message: 'a "b" \\c\r\nx: scope="admin" ä 𝄞' };
    const challenge = header(responseOf(await decide(request(), verified(odd))), 'www-authenticate') ?? '';
    assertChallenge(challenge);
    assert.ok(!/[\r\n]/.test(challenge) && /^[\x20-\x7e]+$/.test(challenge));
  });

  test('names the resource as the client knows it', async () => {
    const publicNames = [publicName(LEDGER_URL), publicName('https://tunnel.example:8443/mcp')];
    const resources = [{ ...ledger, publicNames }];
    const named = async (changes: Partial<HttpFacts>, lines = {}) => {
      const http = { ...request({ lines: { authorization: null, ...lines } }), ...changes };
      return /resource_metadata="([^"]*)"/.exec(
        header(responseOf(await decide(http, { resources })), 'www-authenticate') ?? '',
      )?.[1];
    };
    const own = `https://gateway.example${METADATA_PATH}`;
    const tunnel = 'https://tunnel.example:8443/.well-known/oauth-protected-resource/mcp';
    assert.equal(await named({}), own);
    assert.equal(await named({ host: 'tunnel.example:8443' }), tunnel);
    assert.equal(await named({ host: 'TUNNEL.example' }), tunnel);
    assert.equal(await named({ host: 'gateway.example' }, { 'x-forwarded-host': 'tunnel.example' }), tunnel);
    assert.equal(await named({ host: 'x' }, { 'x-forwarded-host': ['evil.example', 'tunnel.example'] }), tunnel);
    assert.equal(await named({ context: { public_host: 'tunnel.example' } }, { 'x-forwarded-host': 'gateway.example' }), tunnel);
    for (const host of ['evil.example', '', 'tunnel.example:1', 'tunnel.example, gateway.example', '"']) {
      assert.equal(await named({ host }, { 'x-forwarded-host': host }), own, host);
    }
  });
});

suite('metadata', () => {
  test('is public, under the path of its resource and at the root', async () => {
    for (const path of [METADATA_PATH, '/.well-known/oauth-protected-resource']) {
      const response = responseOf(await decide(bare('GET', { path, lines: { authorization: null } })));
      assert.equal(response.status, 200);
      assert.equal(header(response, 'access-control-allow-origin'), '*');
      assert.deepEqual(JSON.parse(response.body), {
        resource: LEDGER_URL,
        authorization_servers: ['https://as.example'],
        scopes_supported: ['ledger:read', 'ledger:write'],
        bearer_methods_supported: ['header'],
        resource_name: 'ledger',
      });
    }
  });

  test('is what the challenge leads to, for every public name', async () => {
    const publicNames = [publicName(LEDGER_URL), publicName('https://tunnel.example/mcp')];
    const resources = [{ ...ledger, publicNames }];
    for (const { url, host, metadataUrl } of publicNames) {
      const refused = responseOf(await decide(request({ host, lines: { authorization: null } }), { resources }));
      assert.match(header(refused, 'www-authenticate') ?? '', new RegExp(`resource_metadata="${metadataUrl}"`));
      const { pathname } = new URL(metadataUrl);
      // A tunnel may rewrite Host on the way and tell the original in X-Forwarded-Host.
      for (const lines of [{}, { 'x-forwarded-host': host }]) {
        const behind = Object.hasOwn(lines, 'x-forwarded-host') ? 'localhost' : host;
        const served = responseOf(await decide(bare('GET', { path: pathname, host: behind, lines }), { resources }));
        assert.equal(JSON.parse(served.body).resource, url);
      }
    }
  });

  test('never repeats a host that is not configured', async () => {
    const verdict = await decide(
      bare('GET', { path: METADATA_PATH, host: 'evil.example', lines: { 'x-forwarded-host': 'evil.example' } }),
    );
    assert.ok(!JSON.stringify(responseOf(verdict)).includes('evil'));
  });

  test('answers HEAD and preflights, and nothing else', async () => {
    const head = responseOf(await decide(bare('HEAD', { path: METADATA_PATH })));
    // Envoy leaves the body of an answer to HEAD out by itself, and keeps the headers only of one that has a body.
    const get = responseOf(await decide(bare('GET', { path: METADATA_PATH })));
    assert.deepEqual([head.status, head.body], [200, get.body]);
    const preflight = responseOf(
      await decide(bare('OPTIONS', { path: METADATA_PATH, lines: { origin: 'https://any.example' } })),
    );
    assert.equal(preflight.status, 204);
    assert.equal(header(preflight, 'access-control-allow-methods'), 'GET, HEAD, OPTIONS');
    for (const method of ['POST', 'PUT', 'DELETE']) {
      assert.equal((await decide(bare(method, { path: METADATA_PATH }))).reason, 'resource_unknown');
    }
  });

  test('of a path that is only like it is not there', async () => {
    for (const path of [`${METADATA_PATH}/`, `${METADATA_PATH}x`, '/.well-known/oauth-protected-resource/', '/.well-known']) {
      assert.equal((await decide(bare('GET', { path }))).reason, 'resource_unknown', path);
    }
  });
});

suite('a browser', () => {
  test('of an accepted origin may read what it is told, allowed or not', async () => {
    const lines = { origin: ORIGIN };
    const { responseHeaders } = forwardOf(await decide(request({ lines })));
    assert.deepEqual(Object.fromEntries(responseHeaders)['access-control-allow-origin'], ORIGIN);
    for (const http of [request({ lines: { ...lines, authorization: null } }), request({ lines, body: '{' })]) {
      const response = responseOf(await decide(http));
      assert.equal(header(response, 'access-control-allow-origin'), ORIGIN);
      assert.match(header(response, 'access-control-expose-headers') ?? '', /WWW-Authenticate/);
      assert.equal(header(response, 'vary'), 'Origin');
    }
  });

  test('of an accepted origin gets its preflight answered, without a token', async () => {
    const lines = { origin: ORIGIN, authorization: null, 'access-control-request-method': 'POST' };
    const response = responseOf(await decide(bare('OPTIONS', { lines })));
    assert.equal(response.status, 204);
    assert.equal(header(response, 'access-control-allow-methods'), 'POST, GET, DELETE, OPTIONS');
    for (const name of ['Authorization', 'Mcp-Session-Id', 'MCP-Protocol-Version', 'Content-Type', 'Mcp-Method', 'Mcp-Name']) {
      assert.ok(header(response, 'access-control-allow-headers')?.includes(name), name);
    }
  });

  test('of another origin gets nothing, and no CORS header', async () => {
    for (const origin of [
      'https://evil.example',
      'null',
      '',
      `${ORIGIN}.evil.example`,
      `${ORIGIN}:8443`,
      ORIGIN.toUpperCase(),
      `${ORIGIN}/`,
    ]) {
      for (const http of [
        request({ lines: { origin } }),
        bare('OPTIONS', { lines: { origin } }),
        bare('GET', { lines: { origin } }),
      ]) {
        const verdict = await decide(http);
        assert.equal(verdict.reason, 'origin_forbidden', origin);
        assert.equal(header(responseOf(verdict), 'access-control-allow-origin'), undefined);
      }
    }
  });

  test('that sends two origins gets nothing unless both are accepted, and no CORS header then', async () => {
    assert.equal((await decide(request({ lines: { origin: [ORIGIN, 'https://evil.example'] } }))).reason, 'origin_forbidden');
    assert.deepEqual(forwardOf(await decide(request({ lines: { origin: [ORIGIN, ORIGIN] } }))).responseHeaders, []);
  });
});

suite('a method that does not exist', () => {
  const legacy = (revision: string, id?: number) =>
    request({
      body: { jsonrpc: '2.0', ...(id !== undefined && { id }), method: 'tools/drop' },
      lines: { 'mcp-protocol-version': revision },
    });

  test('in the modern era is 404, -32601', async () => {
    const verdict = await decide(modern('tools/drop'));
    assert.equal(responseOf(verdict).status, 404);
    assert.equal(bodyOf(verdict).error.code, -32601);
  });

  test('in the legacy era is an ordinary error, since 404 would end the session', async () => {
    assert.equal(responseOf(await decide(legacy('2025-11-25', 1))).status, 200);
    assert.equal(bodyOf(await decide(legacy('2025-06-18', 1))).error.code, -32601);
    assert.equal(responseOf(await decide(legacy('2025-11-25'))).status, 400);
  });

  test('over HTTP is told which do', async () => {
    assert.equal(header(responseOf(await decide(bare('PUT'))), 'allow'), 'POST, GET, DELETE, OPTIONS');
    const lines = { 'mcp-protocol-version': '2026-07-28' };
    for (const method of ['GET', 'DELETE', 'PUT']) {
      const response = responseOf(await decide(bare(method, { lines })));
      assert.deepEqual([response.status, header(response, 'allow')], [405, 'POST, OPTIONS'], method);
    }
  });
});

suite('time', () => {
  test('that is over before the delegation ends the Check, and nobody is asked for a token', async () => {
    const exchange = fakeDelegate();
    for (const deadlineMs of [NOW_MS, NOW_MS - 1, 0, -1]) {
      assert.equal((await decide(request(), { delegate: { exchange, mint: null } }, deadlineMs)).reason, 'deadline_exceeded');
    }
    assert.deepEqual(exchange.requests, []);
  });

  test('that a slow policy used up ends the Check once it has answered', async () => {
    const exchange = fakeDelegate();
    let time = NOW_MS;
    const policy = strictPolicy({
      ask: (asked) => {
        time += 1000;
        return fakePolicy().ask(asked);
      },
    });
    const verdict = await decide(request(), { policy, now: () => time, delegate: { exchange, mint: null } }, NOW_MS + 500);
    assert.equal(verdict.reason, 'deadline_exceeded');
    assert.deepEqual(exchange.requests, []);
  });

  test('that runs out while the token is verified ends the Check', async () => {
    const verdict = await decide(request(), { verify: () => new Promise(() => {}) }, NOW_MS + 5);
    assert.equal(verdict.reason, 'deadline_exceeded');
    assert.equal(verdict.facts.operation?.tool, 'getBalance');
    assert.equal(bodyOf(verdict).id, 1);
  });

  test('that is never measured in a clock that can be set', async () => {
    let ticks = 0;
    const { facts } = await decide(request(), { clock: () => (ticks += 2) });
    assert.deepEqual(facts.stages, { read: 2, verify: 2, inbound: 3, outbound: 1, delegate: 2 });
  });
});

suite('what breaks', () => {
  test('inside is for the server to catch: nothing is allowed', async () => {
    const broken = () => {
      throw new Error('broken');
    };
    const specs: PortsSpec[] = [
      { verify: async () => broken() },
      { policy: strictPolicy({ ask: broken }) },
      { policy: strictPolicy({ ask: async () => broken() }) },
      { delegate: { exchange: async () => broken(), mint: null } },
      { delegate: { exchange: broken, mint: null } },
      { newId: broken },
    ];
    for (const spec of specs) await assert.rejects(decide(request(), spec), /broken/);
  });

  test('is in the verdict for the log, and never in the answer', async () => {
    const cause = new Error(`leak ${SUBJECT_TOKEN}`);
    for (const spec of [
      verified({ reason: 'keys_unavailable', cause }),
      { policy: refusing({ reason: 'policy_failed', cause }) },
    ]) {
      const verdict = await decide(request(), spec);
      assert.equal(verdict.cause, cause);
      assert.ok(!JSON.stringify(responseOf(verdict)).includes('leak'));
    }
  });
});

suite('whatever comes', () => {
  const text = fc.string({ unit: 'binary', maxLength: 12 });
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.json().map((json) => Buffer.from(json)),
    fc
      .record({
        jsonrpc: fc.constantFrom('2.0', '1.0'),
        id: fc.jsonValue(),
        method: fc.constantFrom('tools/call', 'ping', 'x'),
        params: fc.jsonValue(),
      })
      .map((message) => Buffer.from(JSON.stringify(message))),
  );
  const names = fc.oneof(
    text,
    fc.constantFrom('authorization', 'content-type', 'origin', 'mcp-protocol-version', 'mcp-method', 'x-forwarded-host'),
  );
  const values = fc.oneof(
    text,
    fc.constantFrom('application/json', ORIGIN, '2025-11-25', '2026-07-28', `Bearer ${SUBJECT_TOKEN}`),
  );
  const requests = fc.record({
    method: fc.oneof(text, fc.constantFrom('POST', 'GET', 'DELETE', 'OPTIONS', 'HEAD')),
    path: fc.oneof(text, fc.constantFrom(LEDGER_PATH, METADATA_PATH, '/')),
    query: fc.constantFrom('', 'a=b'),
    host: text,
    lines: fc.dictionary(names, fc.oneof(values, fc.array(values, { minLength: 2, maxLength: 3 })), { maxKeys: 5 }),
    body,
    partialBody: fc.boolean(),
  });

  test('there is an answer that can be told, and no token goes out in it', async () => {
    await fc.assert(
      fc.asyncProperty(requests, async (spec) => {
        const verdict = await decide(request(spec as never));
        const record = decisionRecord(verdict);
        assert.ok(encodeCheckResponse(toCheckResponse(verdict, record)).byteLength > 0);
        assert.equal(verdict.outcome, reasonRow(verdict.reason).outcome);
        if (verdict.answer.kind === 'forward') assert.equal(verdict.reason, 'allowed');
        else assert.ok(!JSON.stringify(verdict.answer).includes(DELEGATION_TOKEN));
      }),
      { numRuns: 500 },
    );
  });

  test('without a principal nothing goes on', async () => {
    await fc.assert(
      fc.asyncProperty(requests, async (spec) => {
        const verdict = await decide(request(spec as never), verified({ reason: 'token_expired' }));
        assert.equal(verdict.answer.kind, 'respond');
      }),
      { numRuns: 300 },
    );
  });
});

suite('at the front door', () => {
  const door = { ...ledger, name: 'door', path: '/mcp', url: null, members: [{ resource: ledger, prefix: 'led' }] };
  const spec = { resources: [ledger, door], sealer: createSealer([Buffer.alloc(32, 7)]) };
  const call = (lines: Record<string, string> = {}) => request({ path: '/mcp', body: callOf('led_getBalance'), lines });

  test('a call that it carries itself is recorded as one of its backend, by the name of the tool there', async () => {
    const verdict = await decide(call(), spec);
    assert.equal(new Map(forwardOf(verdict).set).get('x-mcp-backend'), 'door');
    const { tool, backend } = decisionRecord(verdict);
    assert.deepEqual([tool, backend, verdict.facts.tool?.known], ['getBalance', 'ledger', true]);
  });
});
