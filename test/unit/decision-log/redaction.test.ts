import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { decisionRecord } from '../../../src/check/record.ts';
import { check } from '../../../src/check.ts';
import { decisionLine } from '../../../src/decision-log/line.ts';
import { createRedact, type ShownSettings } from '../../../src/decision-log/redaction.ts';
import { toCheckResponse } from '../../../src/ext-authz/response.ts';
import { encodeCheckResponse } from '../../../src/ext-authz/wire.ts';
import type { HttpFacts } from '../../../src/http.ts';
import type { PolicyInput } from '../../../src/policy/input.ts';
import { createFlips } from '../../../src/tools/flips.ts';
import type { Judged } from '../../../src/tools/judge.ts';
import { createReplay } from '../../../src/tools/replay-run.ts';
import { callOf, request, SUBJECT_TOKEN } from '../support/facts.ts';
import { fakePolicy, fakePorts } from '../support/ports.ts';

async function inputOf(args: object, context: Record<string, string> = {}): Promise<PolicyInput> {
  const verdict = await check(request({ body: callOf('getBalance', args), context }), fakePorts(), Number.POSITIVE_INFINITY);
  return verdict.facts.asked?.input as PolicyInput;
}

async function show(args: object, settings: Partial<ShownSettings> = {}, context: Record<string, string> = {}) {
  const { text, erased } = createRedact({ input: true, arguments: [], context: [], ...settings })(await inputOf(args, context));
  return { text, erased, input: text === null ? null : JSON.parse(text) };
}

suite('the input of a line', () => {
  test('has no argument, and says which there were', async () => {
    const { input, erased, text } = await show({ amount: 12_345, 'a/b c~': { deep: 'secret' } });
    assert.deepEqual(input.mcp.arguments, {});
    assert.deepEqual(erased, ['/input/mcp/arguments/amount', '/input/mcp/arguments/a%2Fb%20c~']);
    assert.ok(!/12345|secret/.test(text ?? ''));
    assert.equal(input.mcp.tool, 'getBalance');
    assert.equal(input.principal.subject, 'alice');
  });

  for (const [name, rule, kept] of [
    ['the ones named of one tool', { backend: 'ledger', tool: 'getBalance', names: ['a'] }, { a: 1 }],
    ['those of every tool', { backend: 'ledger', tool: '*', names: ['b'] }, { b: { c: 2 } }],
    ['all of them', { backend: 'ledger', tool: 'getBalance', names: ['*'] }, { a: 1, b: { c: 2 } }],
    ['none of another tool', { backend: 'ledger', tool: 'other', names: ['*'] }, {}],
    ['none of another backend', { backend: 'directory', tool: 'getBalance', names: ['*'] }, {}],
  ] as const) {
    test(`shows ${name}`, async () => {
      const { input, erased } = await show({ a: 1, b: { c: 2 } }, { arguments: [rule] });
      assert.deepEqual(input.mcp.arguments, kept);
      assert.equal(erased.length, 2 - Object.keys(kept).length);
    });
  }

  test('can be left out as a whole', async () => {
    assert.deepEqual(await show({ a: 1 }, { input: false }), { text: null, erased: [], input: null });
  });

  test('that is too long is left out as a whole, and that is said', async () => {
    const arguments_ = [{ backend: 'ledger', tool: '*', names: ['*'] }];
    const { text, erased } = await show({ long: 'x'.repeat(60_000), more: 'y'.repeat(5000) }, { arguments: arguments_ });
    assert.deepEqual([text, erased], [null, ['/input']]);
  });

  test('with more arguments than any tool has loses them together', async () => {
    const many = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`a${index}`, index]));
    const fakes = fakePorts({ limits: { maxBytes: 65_536, maxDepth: 64, maxMembers: 512 } });
    const verdict = await check(request({ body: callOf('getBalance', many) }), fakes, Number.POSITIVE_INFINITY);
    const redact = createRedact({ input: true, arguments: [], context: [] });
    const { text, erased } = redact(verdict.facts.asked?.input as PolicyInput);
    assert.deepEqual(erased, ['/input/mcp/arguments']);
    const { mcp } = JSON.parse(text ?? '');
    assert.ok(!('arguments' in mcp));
    assert.equal(mcp.tool, 'getBalance');
  });

  test("shows of Envoy's context what is named", async () => {
    const { input, erased } = await show({}, { context: ['tenant'] }, { tenant: 't1', key: 'hunter2' });
    assert.deepEqual(input.request.context, { tenant: 't1' });
    assert.deepEqual(erased, ['/input/request/context/key']);
  });

  test('has no token, also where one stands after a newline', async () => {
    const shown = { arguments: [{ backend: 'ledger', tool: '*', names: ['*'] }] };
    const { text, input, erased: without } = await show({ 'a/b': [`see\n${SUBJECT_TOKEN}`], [SUBJECT_TOKEN]: 1 }, shown);
    assert.ok(!text?.includes('eyJ'), text ?? '');
    assert.deepEqual(input.mcp.arguments['a/b'], ['see\n[redacted]']);
    assert.deepEqual(without, ['/input/mcp/arguments/a%2Fb/0', '/input/mcp/arguments']);
    assert.deepEqual((await show({ note: 'eyJ is no token' }, shown)).erased, []);
    const { erased } = await show({ [SUBJECT_TOKEN]: 1 });
    assert.ok(!erased.join().includes('eyJ'));
    assert.ok(!(await show({ [`key${SUBJECT_TOKEN}`]: 1 })).erased.join().includes('eyJ'));
  });

  test('survives names that objects have of their own', async () => {
    const settings = { arguments: [{ backend: 'ledger', tool: '*', names: ['constructor'] }] };
    const { input, erased } = await show({ constructor: 1, toString: 2 }, settings);
    assert.deepEqual(input.mcp.arguments, { constructor: 1 });
    assert.deepEqual(erased, ['/input/mcp/arguments/toString']);
  });
});

suite('headers that policy sees', () => {
  const headersOf = async (headers: Record<string, string>) => {
    const input = await inputOf({});
    const { text, erased } = createRedact({ input: true, arguments: [], context: [] })({
      ...input,
      request: { ...input.request, headers },
    });
    return { headers: JSON.parse(text ?? '').request.headers, erased };
  };

  test('are shown', async () => {
    const headers = { 'x-tenant': 't1', 'user-agent': 'a', 'x-region': 'eu?west', 'x-author': 'b' };
    assert.deepEqual(await headersOf(headers), { headers, erased: [] });
  });

  test('are not where they are credentials, or repeat what the message says', async () => {
    const names =
      'x-api-key x-apikey x-access-token x-auth x-auth-user mcp-session-id x-amz-signature mcp-name mcp-param-region'.split(' ');
    const { headers, erased } = await headersOf(Object.fromEntries(names.map((name) => [name, S])));
    assert.deepEqual(headers, {});
    assert.deepEqual(
      erased,
      names.map((name) => `/input/request/headers/${name}`),
    );
  });

  test('have no URI with what lets in', async () => {
    const { headers, erased } = await headersOf({ 'x-envoy-original-path': `/a?token=${S}`, referer: 'https://a.example/b' });
    assert.deepEqual(headers, { 'x-envoy-original-path': '/a?…', referer: 'https://a.example/b' });
    assert.deepEqual(erased, ['/input/request/headers/x-envoy-original-path']);
  });
});

const S = 'hunter2';
const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
const about = (method: string, params: object): HttpFacts => request({ body: { jsonrpc: '2.0', id: 1, method, params } });
const completing = (ref: object): HttpFacts =>
  about('completion/complete', { ref, argument: { name: 'a', value: S }, context: { arguments: { b: S } } });
const listening = (uris: readonly string[]): HttpFacts =>
  request({
    body: {
      jsonrpc: '2.0',
      id: 1,
      method: 'subscriptions/listen',
      params: { notifications: { resourceSubscriptions: uris }, _meta: { ...META, secret: S } },
    },
    lines: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' },
  });

/** The whole line, what Envoy is told, and policy's input as it was. */
async function lineOf(http: HttpFacts) {
  const policy = fakePolicy();
  const verdict = await check(http, fakePorts({ policy }), Number.POSITIVE_INFINITY);
  const record = decisionRecord(verdict);
  const text = decisionLine([verdict, record, 1, false], { labels: {} });
  const bytes = encodeCheckResponse(toCheckResponse(verdict, record)).toString('latin1');
  return { text, line: JSON.parse(text), bytes, input: policy.inputs[0] as PolicyInput };
}

suite('the URI of a resource', () => {
  for (const [what, http, shown] of [
    ['that is read', about('resources/read', { uri: `https://files.example/x?sig=${S}#${S}` }), 'https://files.example/x?…'],
    ['with user and password', about('resources/read', { uri: `https://u:${S}@files.example/x` }), 'https://…@files.example/x'],
    ['of a template', completing({ type: 'ref/resource', uri: `file:///{x}?k=${S}` }), 'file:///{x}?…'],
    ['that is listened to', listening([`https://files.example/x?sig=${S}`]), 'https://files.example/x?…'],
  ] as const) {
    test(`${what} is shown without what lets in, everywhere, and policy has all of it`, async () => {
      const { text, line, bytes, input } = await lineOf(http);
      assert.ok(JSON.stringify(input.mcp.targets).includes(S));
      assert.ok(!text.includes(S), text);
      assert.ok(!bytes.includes(S));
      assert.equal(line.input.mcp.targets[0].name, shown);
      assert.deepEqual(line.erased, ['/input/mcp/targets/0/name']);
      assert.equal(line.targets[0], `${line.input.mcp.targets[0].type}:${shown}`);
    });
  }

  test('is shown whole where there is nothing in it', async () => {
    const { line, input } = await lineOf(about('resources/read', { uri: 'file:///a/b.txt' }));
    assert.deepEqual(line.input, JSON.parse(JSON.stringify(input)));
    assert.ok(!('erased' in line));
  });

  test('is named with the others where there are more than are named', async () => {
    const { line } = await lineOf(listening(Array.from({ length: 65 }, (_, at) => `https://files.example/${at}?${S}`)));
    assert.deepEqual(line.erased, ['/input/mcp/targets']);
    assert.equal(line.input.mcp.targets[64].name, 'https://files.example/64?…');
  });

  test('makes a replay that comes out otherwise uncertain', async () => {
    const refused: Judged = { inbound: { allow: false, reason: 'tool_forbidden' }, outbound: null, token: null };
    const flip = async (uri: string) => {
      const { text } = await lineOf(about('resources/read', { uri }));
      return createReplay(async () => refused, null, createFlips(1)).take({ text });
    };
    assert.deepEqual([(await flip('file:///a'))?.kind, (await flip('file:///a'))?.uncertain], ['allow_to_deny', false]);
    assert.equal((await flip(`file:///a?${S}`))?.uncertain, true);
  });
});
