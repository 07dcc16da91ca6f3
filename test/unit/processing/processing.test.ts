import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Verdict } from '../../../src/check/authorize.ts';
import { type ProcessingPlan, sealPlan } from '../../../src/check/plan.ts';
import { openSession, principalKey } from '../../../src/check/session.ts';
import { openTask } from '../../../src/check/task.ts';
import type { Exchange, ResponseStep } from '../../../src/ext-proc/exchange.ts';
import type { ListOutcome } from '../../../src/mcp/list-answer.ts';
import { readOperation } from '../../../src/mcp/operation.ts';
import { createProcessing, type ProcessingPorts } from '../../../src/processing/processing.ts';
import { deny } from '../../../src/result.ts';
import { createSealer } from '../../../src/seal.ts';
import { alice, bare, headers, NOW_MS, request } from '../support/facts.ts';
import { DECISION_ID, fakePolicy, fakePorts } from '../support/ports.ts';

const sealer = createSealer([Buffer.alloc(32, 1)]);
const TOKEN = 'Bearer delegated';
const NO = deny({ reason: 'tool_forbidden' });
const JSON_HEADERS = { 'content-type': 'application/json' };
const LIST = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}]}}';

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

interface Spec {
  readonly plan?: Partial<ProcessingPlan>;
  readonly method?: string;
  readonly ports?: Partial<ProcessingPorts>;
}

function open({ plan = {}, method = 'tools/list', ports = {} }: Spec = {}) {
  const http =
    method === 'GET' ? bare('GET') : request({ body: { jsonrpc: '2.0', id: 1, method, params: PARAMS[method] ?? {} } });
  const operation = readOperation(http, { maxBytes: 65_536, maxDepth: 64, maxMembers: 64 });
  assert.ok(operation.ok, JSON.stringify(operation));
  const { headers: _, body: __, ...facts } = http;
  const whole: ProcessingPlan = {
    kind: 'process',
    expiresAt: NOW_MS + 1000,
    facts: { decisionId: 'd', resource: 'ledger', http: { ...facts, headers: [] }, operation: operation.value, principal: alice },
    backend: 'ledger',
    set: [['authorization', TOKEN]],
    splice: null,
    filtersList: false,
    bindsSession: false,
    sealsTasks: false,
    marks: null,
    ...plan,
  };
  const refused: Verdict[] = [];
  const lists: ListOutcome[] = [];
  /** To be written into: what is other than at the begin. */
  const reloaded: Partial<Writable<ProcessingPorts>> = {};
  const all: ProcessingPorts = {
    ...fakePorts(),
    sealer,
    showsStepUp: false,
    maxAnswerBytes: 1000,
    maxListItems: 10,
    policy: () => fakePolicy(),
    ...ports,
  };
  const exchange = createProcessing(() => ({ ...all, ...reloaded }), {
    onRefused: (verdict) => refused.push(verdict),
    onList: (_backend, outcome) => lists.push(outcome),
  })();
  return { exchange, refused, lists, reloaded, plan: sealPlan(sealer, whole) };
}

const PARAMS: Record<string, object> = {
  initialize: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {} },
  'tools/call': { name: 'a' },
};

function begin(spec: Spec) {
  const opened = open(spec);
  const step = opened.exchange.requestHeaders(headers({ 'x-mcp-plan': opened.plan }));
  assert.ok(step.kind === 'continue');
  return { ...opened, step };
}

async function answer(exchange: Exchange, body: string, lines: Record<string, string> = JSON_HEADERS, status = 200) {
  const step = await exchange.responseHeaders(status, headers(lines), false);
  assert.ok(step.kind === 'continue', 'answered in its place');
  return { step, body: step.wantsBody ? (await exchange.responseBody(Buffer.from(body), true)).toString() : body };
}

suite('the request', () => {
  test('gets the token out of the plan, and nobody else the plan', () => {
    const { step } = begin({ plan: { filtersList: true } });
    assert.deepEqual(step, {
      kind: 'continue',
      set: [['authorization', TOKEN]],
      remove: ['x-mcp-plan', 'accept-encoding'],
      wantsBody: false,
      wantsResponse: true,
    });
  });
  test('of which nothing is read later keeps its encodings', () => {
    const { step } = begin({ plan: { splice: { start: 0, end: 1, from: '{', to: '[' } } });
    assert.deepEqual([step.remove, step.wantsBody, step.wantsResponse], [['x-mcp-plan'], true, false]);
  });
  const bad: Record<string, (plan: string) => Record<string, string | string[]>> = {
    'without a plan': () => ({}),
    'with two': (plan) => ({ 'x-mcp-plan': [plan, plan] }),
    'with a forged one': (plan) => ({ 'x-mcp-plan': `${plan.slice(0, -2)}AA` }),
    'with one of another key': () => ({ 'x-mcp-plan': createSealer([Buffer.alloc(32, 2)]).seal('plan', {}) }),
  };
  for (const [what, lines] of Object.entries(bad)) {
    test(`${what} is refused`, () => {
      const { exchange, plan, refused } = open();
      assertRefused(exchange.requestHeaders(headers(lines(plan))), refused);
    });
  }
  for (const [what, plan] of Object.entries({
    'an old plan': { expiresAt: NOW_MS - 1 },
    'a plan for a backend that is gone': { backend: 'gone' },
  })) {
    test(`with ${what} is refused`, () => {
      const { exchange, plan: sealed, refused } = open({ plan });
      assertRefused(exchange.requestHeaders(headers({ 'x-mcp-plan': sealed })), refused);
    });
  }
  function assertRefused(step: ReturnType<Exchange['requestHeaders']>, refused: readonly Verdict[]): void {
    assert.ok(step.kind === 'respond');
    assert.equal(step.response.status, 500);
    assert.equal(JSON.parse(step.response.body).error.data.reason, 'request_invalid');
    assert.deepEqual(
      refused.map(({ reason, facts }) => [reason, facts.decisionId]),
      [['request_invalid', DECISION_ID]],
    );
  }
});

suite('a body', () => {
  const splice = { start: 9, end: 13, from: 'éab', to: 'longer' };
  const body = Buffer.from('{"name":"éab","é":1.10}');
  test('is changed in one place', () => {
    const { exchange } = begin({ plan: { splice } });
    assert.equal(exchange.requestBody(body).toString(), '{"name":"longer","é":1.10}');
  });
  test('that is not the one which was judged is refused', () => {
    for (const other of ['', '{"name":"xyz"}', ' {"name":"éab"}']) {
      const { exchange, refused } = begin({ plan: { splice } });
      const step = exchange.requestBody(Buffer.from(other));
      assert.ok(!Buffer.isBuffer(step) && step.response.status === 500);
      assert.equal(refused.length, 1);
    }
  });
});

suite('a session', () => {
  const plan = { bindsSession: true };
  test('is bound to who began it', async () => {
    const { exchange } = begin({ method: 'initialize', plan });
    const { step } = await answer(exchange, '', { 'mcp-session-id': 'own' });
    assert.equal(step.wantsBody, false);
    const [[name, id] = []] = step.set;
    assert.equal(name, 'mcp-session-id');
    assert.deepEqual(openSession(sealer, id as string), {
      principal: principalKey(alice),
      resource: 'ledger',
      backends: { ledger: { id: 'own', revision: '2025-11-25' } },
    });
  });
  test('that a backend does not keep is none', async () => {
    assert.deepEqual((await answer(begin({ method: 'initialize', plan }).exchange, '')).step.set, []);
  });
  test('that cannot be carried is taken away', async () => {
    for (const id of ['', 'a b', ['a', 'b']]) {
      const { exchange } = begin({ method: 'initialize', plan });
      const step = await exchange.responseHeaders(200, headers({ 'mcp-session-id': id }), true);
      assert.ok(step.kind === 'continue');
      assert.deepEqual([step.set, step.remove], [[], ['mcp-session-id']]);
    }
  });
});

suite('a list', () => {
  const plan = { filtersList: true };
  test('is judged', async () => {
    const { exchange, lists } = begin({ plan });
    assert.equal((await answer(exchange, LIST)).body, LIST);
    assert.deepEqual(
      lists.map(({ shown, hidden, denial }) => [shown, hidden, denial]),
      [[1, 0, null]],
    );
  });
  suite('under a status that is an error', () => {
    const SSE = { 'content-type': 'text/event-stream' };
    const none = { policy: () => fakePolicy(NO) };
    const HIDDEN = LIST.replace('{"name":"a"}', '');
    const statuses = [301, 400, 401, 404, 500];
    test('is filtered all the same, as JSON and as events', async () => {
      for (const status of statuses) {
        const { exchange, lists, refused } = begin({ plan, ports: none });
        assert.equal((await answer(exchange, LIST, JSON_HEADERS, status)).body, HIDDEN);
        assert.deepEqual([lists.map(({ hidden }) => hidden), refused], [[1], []]);
        const events = begin({ plan, ports: none }).exchange;
        assert.equal((await answer(events, `data: ${LIST}\n\n`, SSE, status)).body, `data: ${HIDDEN}\n\n`);
        const replay = begin({ plan, ports: none, method: 'GET' }).exchange;
        assert.equal((await answer(replay, LIST, JSON_HEADERS, status)).body, HIDDEN);
      }
    });
    const passing: [Record<string, string>, string][] = [
      [JSON_HEADERS, '{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"no session"}}'],
      [JSON_HEADERS, '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"no session"}}'],
      [JSON_HEADERS, '{"error":"invalid_token"}'],
      [JSON_HEADERS, ''],
      [SSE, ''],
      [SSE, ': nothing\n\n'],
      [{ 'content-type': 'text/plain' }, 'no session'],
      [{ 'content-type': 'text/html', 'content-encoding': 'gzip' }, '<html>'],
      [{}, 'x'],
    ];
    test('what holds none passes with status, headers and body', async () => {
      for (const status of [401, 404])
        for (const [lines, body] of passing) {
          const { exchange, refused } = begin({ plan });
          const given = await answer(exchange, body, { ...lines, 'www-authenticate': 'Bearer' }, status);
          assert.deepEqual([given.body, given.step.set, given.step.remove, refused], [body, [], [], []], body);
        }
      assert.equal(
        ((await begin({ plan }).exchange.responseHeaders(404, headers(JSON_HEADERS), true)) as ResponseStep).wantsBody,
        false,
      );
    });
    const bad: [Record<string, string | string[]>, string][] = [
      [JSON_HEADERS, LIST.replace('"id":1', '"id":2')],
      [JSON_HEADERS, LIST.replace('"id":1', '"id":null')],
      [JSON_HEADERS, LIST.replace('tools', 'content')],
      [JSON_HEADERS, `[${LIST}]`],
      [JSON_HEADERS, `${LIST}x`],
      [{ ...JSON_HEADERS, 'content-encoding': 'gzip' }, LIST],
      [{ 'content-type': ['text/plain', 'application/json'] }, LIST],
      [{ 'content-type': 'text/plain, application/json' }, LIST],
    ];
    test('what could hold another: an error in its place, told with the status', async () => {
      for (const [lines, body] of bad) {
        const { exchange, refused, lists } = begin({ plan });
        const step = await exchange.responseHeaders(404, headers(lines), false);
        assert.ok(step.kind === 'continue' && step.wantsBody, body);
        const { error } = JSON.parse((await exchange.responseBody(Buffer.from(body), true)).toString());
        assert.equal(error.data.reason, 'list_invalid');
        assert.deepEqual(
          [lists.length, refused.map(({ answer: told }) => told.kind === 'respond' && told.response.status)],
          [1, [404]],
        );
      }
    });
  });
  const wrong: Record<string, [Record<string, string>, string]> = {
    'no JSON': [JSON_HEADERS, 'x'],
    'of another type': [{ 'content-type': 'text/html' }, LIST],
    'without a type': [{}, LIST],
    encoded: [{ ...JSON_HEADERS, 'content-encoding': 'gzip' }, LIST],
    'too large': [JSON_HEADERS, LIST + ' '.repeat(1000)],
  };
  for (const [what, [lines, body]] of Object.entries(wrong)) {
    test(`${what}: an error in its place, told once`, async () => {
      const { exchange, refused, lists } = begin({ plan });
      const given = await answer(exchange, body, lines);
      const { id, error } = JSON.parse(given.body);
      assert.deepEqual([id, error.code, error.data.reason], [1, -31503, 'list_invalid']);
      assert.equal(refused.length, 1);
      const [{ reason, answer: told, facts }] = refused as [Verdict];
      assert.ok(told.kind === 'respond');
      assert.deepEqual([reason, told.response.status, error.data.decision_id], ['list_invalid', 200, facts.decisionId]);
      assert.equal(lists.length, 1);
      const type = given.step.set.find(([name]) => name === 'content-type');
      assert.deepEqual(type, lines === JSON_HEADERS ? undefined : ['content-type', 'application/json']);
      assert.equal(given.step.remove.includes('content-encoding'), type !== undefined);
    });
  }
  test('without a body, or under a status that says there is none', async () => {
    for (const [status, isLast] of [
      [200, true],
      [204, true],
      [202, false],
      [206, false],
    ] as const) {
      const { exchange, refused } = begin({ plan });
      const step = await exchange.responseHeaders(status, headers({ 'content-type': 'text/event-stream' }), isLast);
      assert.ok(step.kind === 'respond', `${status}`);
      assert.equal(step.response.status, 200);
      assert.equal(JSON.parse(step.response.body).error.data.reason, 'list_invalid');
      assert.equal(refused.length, 1);
    }
  });
  test('that comes after a reload is judged by what is in force then', async () => {
    const { exchange, reloaded } = begin({ plan });
    await exchange.responseHeaders(200, headers(JSON_HEADERS), false);
    reloaded.policy = () => null;
    const { error } = JSON.parse((await exchange.responseBody(Buffer.from(LIST), true)).toString());
    assert.equal(error.data.reason, 'policy_undefined');
  });
  suite('that is cut off', () => {
    const events = { 'content-type': 'text/event-stream' };
    const abandon = async (lines: Record<string, string>, piece: string, status = 200) => {
      const { exchange, refused, lists } = begin({ plan });
      await exchange.responseHeaders(status, headers(lines), false);
      await exchange.responseBody(Buffer.from(piece), false);
      exchange.abandoned?.();
      return { causes: refused.map(({ reason, cause }) => [reason, cause]), outcomes: lists.length };
    };
    const told = { causes: [['list_invalid', 'the answer was cut off, or the client left']], outcomes: 1 };
    test('is told once', async () => {
      assert.deepEqual(await abandon(JSON_HEADERS, LIST.slice(0, 20)), told);
      assert.deepEqual(await abandon(events, `data: ${LIST}\n`), told);
    });
    test('is nothing after the list, nor of an error', async () => {
      assert.deepEqual(await abandon(events, `data: ${LIST}\n\n`), { causes: [], outcomes: 1 });
      assert.deepEqual(await abandon(JSON_HEADERS, '{', 404), { causes: [], outcomes: 0 });
      assert.deepEqual((await abandon({ 'content-type': 'text/html' }, '<')).outcomes, 1);
    });
    test('is nothing where no answer had begun, nor on a stream of replays', async () => {
      const { exchange, refused } = begin({ plan });
      exchange.abandoned?.();
      const replay = begin({ plan, method: 'GET' });
      await replay.exchange.responseHeaders(200, headers(events), false);
      replay.exchange.abandoned?.();
      assert.deepEqual([refused, replay.refused], [[], []]);
    });
  });
  test('when policy is broken: its reason', async () => {
    const { exchange, refused } = begin({ plan, ports: { policy: () => null } });
    assert.equal(JSON.parse((await answer(exchange, LIST)).body).error.data.reason, 'policy_undefined');
    assert.equal(refused[0]?.reason, 'policy_undefined');
  });
  test('that is repeated on a stream: what nobody can read does not pass', async () => {
    const replay = () => begin({ plan, method: 'GET' }).exchange;
    const event = `event: message\ndata: ${LIST}\n\n`;
    assert.equal((await answer(replay(), event, { 'content-type': 'text/event-stream' })).body, event);
    await assert.rejects(answer(replay(), event, { 'content-type': 'text/plain' }));
    await assert.rejects(answer(replay(), event, { 'content-type': 'text/event-stream', 'content-encoding': 'br' }));
  });
});

test('ids of tasks are bound to who began them, and the same in every answer', async () => {
  const body = '{"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"own"}}}';
  const tell = async () =>
    JSON.parse((await answer(begin({ method: 'tools/call', plan: { sealsTasks: true } }).exchange, body)).body).result.task
      .taskId;
  const told = await tell();
  assert.equal(told, await tell());
  assert.deepEqual(openTask(sealer, told), { principal: principalKey(alice), backend: 'ledger', id: 'own' });
});
