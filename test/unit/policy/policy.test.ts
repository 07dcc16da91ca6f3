import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Inbound } from '../../../src/policy/decision.ts';
import { ENTRYPOINTS } from '../../../src/policy/engine.ts';
import type { Answer, Asked, Policy, PolicyOptions } from '../../../src/policy/policy.ts';
import type { Result } from '../../../src/result.ts';
import { echoBundle, fixtureBundle, loadArchive } from '../support/bundles.ts';

/** Closed again whatever happens. */
function withPolicy(
  archive: Uint8Array | Promise<Uint8Array>,
  work: (policy: Policy) => Promise<void>,
  options: Partial<PolicyOptions> = {},
): () => Promise<void> {
  return async () => {
    const policy = await loadArchive(await archive, options);
    try {
      await work(policy);
    } finally {
      await policy.close();
    }
  };
}

function about(args: object, caller = 'alice'): Asked {
  const input = JSON.stringify({ mcp: { arguments: args }, principal: { subject: 'alice' } });
  return { input, caller, deadlineMs: Number.POSITIVE_INFINITY };
}

const ask = (policy: Policy, args: object): Promise<Answer> => policy.ask(about(args));
const reasonOf = (result: Result<unknown> | null) => (result === null || result.ok ? null : result.denial.reason);
const YES: Result<Inbound> = { ok: true, value: { logOnly: [] } };
const shared: Asked = { ...about({}), input: JSON.stringify({ mcp: null, principal: { subject: 'alice' } }) };

suite('a policy', () => {
  test(
    'answers both questions under its revision',
    withPolicy(fixtureBundle('echo'), async (policy) => {
      assert.equal(policy.revision, 'echo-1');
      assert.match(policy.digest, /^[0-9a-f]{64}$/);
      const { inbound, outbound, inboundMs, outboundMs } = await ask(policy, {});
      assert.deepEqual(inbound, YES);
      assert.ok(outbound?.ok && outbound.value.audience === 'https://backend.internal/mcp');
      assert.ok(inboundMs > 0 && outboundMs > 0, `${inboundMs} ${outboundMs}`);
    }),
  );

  test(
    'is not asked for a token after a no',
    withPolicy(fixtureBundle('echo'), async (policy) => {
      const no = { allow: false, reason: 'tool_forbidden' };
      const answer = await ask(policy, { inbound: no });
      assert.deepEqual([reasonOf(answer.inbound), answer.outbound, answer.outboundMs], ['tool_forbidden', null, 0]);
    }),
  );

  test(
    'has its answers judged strictly',
    withPolicy(fixtureBundle('echo'), async (policy) => {
      for (const inbound of [true, 'true', 1, [true], { allow: true }, { allow: 'true', reason: 'allowed' }]) {
        const answer = await ask(policy, { inbound });
        assert.equal(reasonOf(answer.inbound), 'policy_invalid', JSON.stringify(inbound));
        assert.equal(answer.outbound, null);
      }
      const answer = await ask(policy, { outbound: { allow: true, reason: 'allowed' } });
      assert.equal(reasonOf(answer.outbound), 'policy_invalid');
    }),
  );

  test(
    'that is undefined or fails says so',
    withPolicy(echoBundle({ answers: { inbound: undefined } }), async (policy) => {
      assert.equal(reasonOf((await ask(policy, {})).inbound), 'policy_undefined');
      assert.equal(reasonOf((await ask(policy, { trap: true })).inbound), 'policy_failed');
      assert.equal(reasonOf(await policy.askInbound(about({ trap: true }))), 'policy_failed');
    }),
  );

  for (const [maxTtlSeconds, ok] of [
    [29, false],
    [30, true],
  ] as const) {
    const outbound = { allow: true, reason: 'allowed', audience: 'a', scope: 's', ttl_seconds: 30 };
    test(
      `grants no longer life than it may: ${maxTtlSeconds}`,
      withPolicy(fixtureBundle('echo'), async (policy) => assert.equal((await ask(policy, { outbound })).outbound?.ok, ok), {
        maxTtlSeconds,
      }),
    );
  }

  test(
    'answers many questions as it would answer each',
    withPolicy(fixtureBundle('echo'), async (policy) => {
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
      const together = await policy.askEach(
        shared,
        ['mcp'],
        asked.map((mcp) => [JSON.stringify(mcp)]),
      );
      const alone = await Promise.all(asked.map((mcp, at) => policy.askInbound(about(mcp.arguments, `caller ${at % 50}`))));
      assert.deepEqual(together, { ok: true, value: alone });
      assert.ok(new Set(alone.map((answer) => JSON.stringify(answer))).size > 3);
    }),
  );

  test(
    'that fails in the midst of many questions answers none, and goes on afterwards',
    withPolicy(fixtureBundle('echo'), async (policy) => {
      const members = Array.from({ length: 250 }, (_, at) => [JSON.stringify({ arguments: at === 120 ? { trap: true } : {} })]);
      assert.equal(reasonOf(await policy.askEach(shared, ['mcp'], members)), 'policy_failed');
      assert.deepEqual(await policy.askEach(shared, ['mcp'], [['{"arguments":{}}']]), { ok: true, value: [YES] });
      assert.equal(reasonOf(await policy.askEach(shared, ['mcp'], [['{']])), 'policy_failed');
      assert.deepEqual(await policy.askEach(shared, ['mcp'], []), { ok: true, value: [] });
    }),
  );

  test(
    'answers any other entry point, and none that it does not have',
    withPolicy(fixtureBundle('echo'), async (policy) => {
      assert.deepEqual([policy.has(ENTRYPOINTS.outbound), policy.has('system/log/mask')], [true, false]);
      assert.deepEqual(await policy.evaluate(ENTRYPOINTS.inbound, about({ inbound: 'this' })), { ok: true, value: 'this' });
      assert.equal(reasonOf(await policy.evaluate('system/log/mask', about({}))), 'policy_undefined');
    }),
  );

  test(
    'that is closed answers what it was asked before, and nothing after',
    withPolicy(fixtureBundle('echo'), async (policy) => {
      const before = Array.from({ length: 100 }, () => ask(policy, {}));
      const closing = policy.close();
      const after = await ask(policy, {});
      assert.equal(reasonOf(after.inbound), 'policy_failed');
      for (const answer of await Promise.all(before)) assert.deepEqual(answer.inbound, YES);
      await closing;
    }),
  );

  test('is refused with its bundle', async () => {
    await assert.rejects(loadArchive(Buffer.from('junk')), { name: 'PolicyRefused', code: 'archive_invalid' });
    await assert.rejects(loadArchive(fixtureBundle('needy')), { name: 'PolicyRefused', code: 'builtin_missing' });
    await assert.rejects(loadArchive(fixtureBundle('lacking')), { name: 'PolicyRefused', code: 'entrypoint_missing' });
  });
});

suite('a policy is asked on trial', () => {
  const refused = (answers: object, message: RegExp) => async () => {
    await assert.rejects(loadArchive(await echoBundle({ answers })), { name: 'PolicyRefused', code: 'answer_invalid', message });
  };
  test(
    'and refused where its first answer has the wrong shape',
    refused({ inbound: { allow: 'yes' } }, /mcp\/inbound\/decision/),
  );
  test(
    'and refused where its second answer has the wrong shape',
    refused({ outbound: { allow: true, reason: 'allowed' } }, /mcp\/outbound\/decision.*audience/),
  );
  test(
    'but not for a token that it would give after a no',
    withPolicy(
      echoBundle({
        answers: { inbound: { allow: false, reason: 'policy_denied' }, outbound: { allow: true, reason: 'allowed' } },
      }),
      async (policy) => assert.equal(reasonOf((await ask(policy, {})).inbound), 'policy_denied'),
    ),
  );
});

suite('arguments', () => {
  const declaring = (declared: unknown) => echoBundle({ data: { mcp: { arguments: declared } } });
  test(
    'are declared by backend and tool',
    withPolicy(declaring({ ledger: { pay: ['amount'], '*': [] } }), async ({ declaredArguments }) => {
      assert.deepEqual(declaredArguments('ledger', 'pay'), new Set(['amount']));
      assert.deepEqual(declaredArguments('ledger', 'other'), new Set());
      assert.equal(declaredArguments('directory', 'pay'), null);
      assert.equal(declaredArguments('__proto__', 'toString'), null);
    }),
  );
  test('that are declared in another way are a refusal', async () => {
    for (const declared of [[], 'all', { ledger: [] }, { ledger: { pay: 'amount' } }, { ledger: { pay: [1] } }]) {
      const archive = await declaring(declared);
      await assert.rejects(loadArchive(archive), { name: 'PolicyRefused', code: 'data_invalid' }, JSON.stringify(declared));
    }
  });
});
