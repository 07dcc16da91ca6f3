import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { check } from '../../../src/check.ts';
import { createRedact, type ShownSettings } from '../../../src/decision-log/redaction.ts';
import type { PolicyInput } from '../../../src/policy/input.ts';
import { callOf, request, SUBJECT_TOKEN } from '../support/facts.ts';
import { fakePorts } from '../support/ports.ts';

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
    const { text, input } = await show({ note: `see\n${SUBJECT_TOKEN}`, [SUBJECT_TOKEN]: 1 }, shown);
    assert.ok(!text?.includes('eyJ'), text ?? '');
    assert.equal(input.mcp.arguments.note, 'see\n[redacted]');
    const { erased } = await show({ [SUBJECT_TOKEN]: 1 });
    assert.ok(!erased.join().includes('eyJ'));
  });

  test('survives names that objects have of their own', async () => {
    const settings = { arguments: [{ backend: 'ledger', tool: '*', names: ['constructor'] }] };
    const { input, erased } = await show({ constructor: 1, toString: 2 }, settings);
    assert.deepEqual(input.mcp.arguments, { constructor: 1 });
    assert.deepEqual(erased, ['/input/mcp/arguments/toString']);
  });
});
