import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { newFacts } from '../../../src/check/authorize.ts';
import { type Dispatched, dispatchToBackend, dispatchToFrontDoor, type Forward } from '../../../src/check/dispatch.ts';
import { openPlan, PLAN_LIFETIME_MS } from '../../../src/check/plan.ts';
import type { Route } from '../../../src/check/route.ts';
import { delegationHeaders } from '../../../src/delegation/headers.ts';
import type { HttpFacts } from '../../../src/http.ts';
import { readOperation } from '../../../src/mcp/operation.ts';
import { createSealer } from '../../../src/seal.ts';
import { alice, bare, DELEGATION_TOKEN, ledger, NOW_MS, type RequestSpec, request, SUBJECT_TOKEN } from '../support/facts.ts';

const sealer = createSealer([Buffer.alloc(32, 1)]);
const ports = { sealer, now: () => NOW_MS, policyHeaders: ['x-kept'] };
const delegation = { token: DELEGATION_TOKEN, tokenId: 'j', audience: 'a', scope: 's', expiresAt: 0, actor: 'g' };
const LIFE = 'x-envoy-upstream-rq-timeout-ms';

function dispatched(http: HttpFacts, route: Partial<Route> = {}, principal = alice): Dispatched {
  const operation = readOperation(http, { maxBytes: 65_536, maxDepth: 64, maxMembers: 64 });
  assert.ok(operation.ok, JSON.stringify(operation));
  return {
    facts: newFacts(http, 'd'),
    principal,
    entrance: ledger,
    route: { backend: ledger, operation: operation.value, splice: null, session: null, ...route },
  };
}

function forward(http: HttpFacts, route: Partial<Route> = {}, principal = alice) {
  const decided: Forward = {
    kind: 'forward',
    ...delegationHeaders(http.headers, delegation, 'authorization', {}),
    responseHeaders: [],
  };
  const answer = dispatchToBackend(decided, dispatched(http, route, principal), ledger, ports);
  const set = new Map(answer.set);
  for (const name of answer.remove) assert.ok(!set.has(name), `${name} is set and removed`);
  assert.equal(new Set(answer.remove).size, answer.remove.length);
  const sealed = set.get('x-mcp-plan');
  return { ...answer, set, plan: sealed === undefined ? null : openPlan(sealer, 'process', sealed, NOW_MS) };
}

const message = (method: string, params: object = {}, spec: RequestSpec = {}) =>
  request({ body: { jsonrpc: '2.0', id: 1, method, params }, ...spec });
const call = (spec: RequestSpec = {}) => message('tools/call', { name: 'getBalance', arguments: { secret: 1 } }, spec);
const MODERN_META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const listening = (spec: RequestSpec = {}) =>
  message(
    'subscriptions/listen',
    { notifications: { toolsListChanged: true }, _meta: MODERN_META },
    {
      ...spec,
      lines: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen', ...spec.lines },
    },
  );

suite('the delegation token', () => {
  test('of a call is a header, and there is no plan', () => {
    const { set, plan } = forward(call());
    assert.equal(set.get('authorization'), `Bearer ${DELEGATION_TOKEN}`);
    assert.deepEqual([plan, [...set.keys()]], [null, ['authorization']]);
  });
  for (const [what, http] of Object.entries({
    'a list': message('tools/list'),
    'the begin of a session': message('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {} }),
    'a stream taken up again': bare('GET', { lines: { 'last-event-id': 'e' } }),
    'a task': message('tools/call', { name: 'getBalance', task: {} }),
  })) {
    test(`of ${what} is in the plan alone, and the client's own credentials go`, () => {
      const { set, remove, plan } = forward(http);
      assert.ok(plan);
      assert.deepEqual(plan.set, [['authorization', `Bearer ${DELEGATION_TOKEN}`]]);
      assert.ok(!set.has('authorization') && remove.includes('authorization'));
      assert.ok(![...set.values()].some((value) => value.includes(DELEGATION_TOKEN)));
      assert.equal(plan.expiresAt, NOW_MS + PLAN_LIFETIME_MS);
    });
  }
  test('nothing secret of the request is in the plan', () => {
    const http = message(
      'tools/call',
      { name: 'getBalance', arguments: { secret: 1 }, task: {} },
      { lines: { 'x-kept': 'k', cookie: 'c' } },
    );
    const { plan } = forward(http);
    assert.equal(plan?.facts.operation.arguments, null);
    assert.deepEqual(plan?.facts.http.headers, [['x-kept', ['k']]]);
    assert.ok(!JSON.stringify(plan).includes(SUBJECT_TOKEN));
  });
});

suite('how long', () => {
  const life = (...asked: Parameters<typeof forward>) => forward(...asked).set.get(LIFE);
  test('streams that only listen: as long as the token lives', () => {
    assert.equal(life(bare('GET')), '300000');
    assert.equal(life(bare('GET', { lines: { 'last-event-id': 'e' } })), '300000');
    assert.equal(life(listening()), '300000');
  });
  test('an integer of at least one, whatever the token says', () => {
    for (const [left, expected] of [
      [0.0004, '1'],
      [1.9999, '1999'],
      [0, '1'],
      [-5, '1'],
    ] as const) {
      assert.equal(life(bare('GET'), {}, { ...alice, expiresAt: NOW_MS / 1000 + left }), expected);
    }
  });
  test('nothing else has an end, and nobody else gives one', () => {
    const mine = { lines: { [LIFE]: '1', 'x-envoy-upstream-rq-per-try-timeout-ms': '1', 'grpc-timeout': '1S' } };
    for (const http of [call(mine), message('tools/list', {}, mine), bare('DELETE', mine)]) {
      const { set, remove } = forward(http);
      assert.ok(!set.has(LIFE));
      for (const name of Object.keys(mine.lines)) assert.ok(remove.includes(name), name);
    }
    for (const http of [bare('GET', mine), listening(mine)]) {
      const { set, remove } = forward(http);
      assert.equal(set.get(LIFE), '300000');
      assert.ok(!remove.includes(LIFE) && remove.includes('grpc-timeout'));
    }
  });
});

suite('sessions', () => {
  const session = { principal: 'p', resource: 'ledger', backends: { ledger: { id: 'own', revision: '2025-11-25' as const } } };
  const lines = { 'mcp-session-id': 'held' };
  test('the backend gets its own id, the client keeps the one it holds', () => {
    const { set, remove, responseHeaders } = forward(call({ lines }), { session });
    assert.equal(set.get('mcp-session-id'), 'own');
    assert.ok(!remove.includes('mcp-session-id'));
    assert.deepEqual(responseHeaders, [['mcp-session-id', 'held']]);
  });
  test('a header that means nothing does not arrive', () => {
    for (const route of [
      {},
      { session: { ...session, backends: {} } },
      { session: { ...session, backends: { ledger: { id: null, revision: '2025-11-25' as const } } } },
    ]) {
      const { set, remove } = forward(call({ lines }), route);
      assert.ok(!set.has('mcp-session-id') && remove.includes('mcp-session-id'));
    }
  });
});

test('only a GET takes a stream up again', () => {
  const lines = { 'last-event-id': 'e' };
  assert.ok(forward(call({ lines })).remove.includes('last-event-id'));
  const { remove, plan } = forward(bare('GET', { lines }));
  assert.ok(!remove.includes('last-event-id'));
  assert.deepEqual([plan?.filtersList, plan?.sealsTasks], [true, true]);
  assert.equal(forward(bare('GET')).plan, null);
});

test('a name that was replaced is replaced in the header too', () => {
  const splice = { start: 0, end: 1, from: 'a', to: 'b' };
  const lines = { 'mcp-name': 'getBalance', 'mcp-method': 'tools/call' };
  const renamed = { ...dispatched(call({ lines })).route, splice };
  const operation = { ...renamed.operation, targets: [{ type: 'tool' as const, name: 'é' }] };
  assert.equal(forward(call({ lines }), { ...renamed, operation }).set.get('mcp-name'), '=?base64?w6k=?=');
  assert.ok(!forward(call(), { ...renamed, operation }).set.has('mcp-name'));
  assert.deepEqual(forward(call(), { splice }).plan?.splice, splice);
});

test('the front door gets the token of the caller sealed, and no header of theirs', () => {
  const http = message('tools/list', {}, { lines: { 'x-forwarded-user': 'mallory', [LIFE]: '5' } });
  const answer = dispatchToFrontDoor(dispatched(http), SUBJECT_TOKEN, [], ports);
  const set = new Map(answer.set);
  assert.deepEqual([...set.keys()], ['x-mcp-backend', 'x-mcp-plan']);
  assert.ok(['authorization', 'x-forwarded-user', LIFE].every((name) => answer.remove.includes(name)));
  const plan = openPlan(sealer, 'visit', set.get('x-mcp-plan') as string, NOW_MS);
  assert.equal(plan?.subjectToken, SUBJECT_TOKEN);
  assert.match(plan?.bodySha256 ?? '', /^[\w-]{43}$/);
});

test('a plan holds few of many targets, so that a header holds it', () => {
  const resourceSubscriptions = Array.from({ length: 256 }, (_, at) => `x://${'a'.repeat(200)}/${at}`);
  const http = message(
    'subscriptions/listen',
    { notifications: { resourceSubscriptions }, _meta: MODERN_META },
    { lines: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' } },
  );
  const { set } = dispatchToFrontDoor(dispatched(http), SUBJECT_TOKEN, [], ports);
  const plan = openPlan(sealer, 'visit', new Map(set).get('x-mcp-plan') as string, NOW_MS);
  assert.equal(plan?.facts.operation.targets.length, 8);
});
