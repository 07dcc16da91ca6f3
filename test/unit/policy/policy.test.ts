import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readBundle } from '../../../src/bundle/bundle.ts';
import { loadPolicy, type Policy } from '../../../src/policy/policy.ts';
import { bundleRules, echoBundle, fixtureBundle } from '../support/bundles.ts';

async function load(archive: Uint8Array, maxTtlSeconds = 5): Promise<Policy> {
  const bundle = await readBundle(archive, bundleRules);
  return loadPolicy(bundle, { maxMemoryBytes: 1 << 25, maxTtlSeconds, now: Date.now });
}

function ask(policy: Policy, args: object) {
  return policy.ask(JSON.stringify({ mcp: { arguments: args }, principal: { subject: 'alice' } }));
}

suite('a policy', () => {
  test('answers both questions under its revision', async () => {
    const policy = await load(fixtureBundle('echo'));
    assert.equal(policy.revision, 'echo-1');
    const questions = ask(policy, {});
    assert.deepEqual(questions.inbound(), { ok: true, value: null });
    const outbound = questions.outbound();
    assert.ok(outbound.ok);
    assert.equal(outbound.value.audience, 'https://backend.internal/mcp');
  });

  test('has its answers judged strictly', async () => {
    const policy = await load(fixtureBundle('echo'));
    for (const inbound of [true, 'true', 1, [true], { allow: true }, { allow: 'true', reason: 'allowed' }]) {
      const answer = ask(policy, { inbound }).inbound();
      assert.ok(!answer.ok && answer.denial.reason === 'policy_invalid', JSON.stringify(inbound));
    }
    const answer = ask(policy, { outbound: { allow: true, reason: 'allowed' } }).outbound();
    assert.ok(!answer.ok && answer.denial.reason === 'policy_invalid');
  });

  test('that is undefined or fails says so', async () => {
    const silent = await load(await echoBundle({ answers: { inbound: undefined } }));
    const answer = ask(silent, {}).inbound();
    assert.ok(!answer.ok && answer.denial.reason === 'policy_undefined');
    const trapped = ask(silent, { trap: true }).inbound();
    assert.ok(!trapped.ok && trapped.denial.reason === 'policy_failed');
  });

  test('grants no longer life than it may', async () => {
    const outbound = { allow: true, reason: 'allowed', audience: 'a', scope: 's', ttl_seconds: 30 };
    for (const [maxTtlSeconds, ok] of [
      [29, false],
      [30, true],
    ] as const) {
      assert.equal(ask(await load(fixtureBundle('echo'), maxTtlSeconds), { outbound }).outbound().ok, ok);
    }
  });

  test('answers many questions as it would answer each', async () => {
    const policy = await load(fixtureBundle('echo'));
    const answers = [
      undefined,
      { allow: true, reason: 'allowed' },
      { allow: false, reason: 'tool_forbidden' },
      { allow: false, reason: 'insufficient_scope', required_scopes: ['a'] },
      { allow: 'odd' },
    ];
    // Enough of them to fill the memory that is cleared in between.
    const asked = Array.from({ length: 3000 }, (_, index) => ({
      arguments: { inbound: answers[index % answers.length], filling: 'x'.repeat(500), index },
    }));
    const together = policy.askEach(
      JSON.stringify({ mcp: null, principal: { subject: 'alice' } }),
      ['mcp'],
      asked.map((mcp) => [JSON.stringify(mcp)]),
    );
    const alone = asked.map((mcp) => ask(policy, mcp.arguments).inbound());
    assert.deepEqual(together, { ok: true, value: alone });
    assert.ok(new Set(alone.map((answer) => JSON.stringify(answer))).size > 3);
  });

  test('that fails in the midst of many questions answers none, and goes on afterwards', async () => {
    const policy = await load(fixtureBundle('echo'));
    const shared = JSON.stringify({ mcp: null, principal: { subject: 'alice' } });
    const members = [{}, { trap: true }, {}].map((args) => [JSON.stringify({ arguments: args })]);
    const answer = policy.askEach(shared, ['mcp'], members);
    assert.ok(!answer.ok && answer.denial.reason === 'policy_failed');
    assert.deepEqual(policy.askEach(shared, ['mcp'], [['{"arguments":{}}']]), { ok: true, value: [{ ok: true, value: null }] });
    const odd = policy.askEach(shared, ['mcp'], [['{']]);
    assert.ok(!odd.ok && odd.denial.reason === 'policy_failed');
  });

  test('is refused with its bundle', async () => {
    await assert.rejects(load(Buffer.from('junk')), { name: 'PolicyRefused' });
    await assert.rejects(load(fixtureBundle('needy')), { name: 'PolicyRefused' });
  });
});
