import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createMask, DROP, MASK, type MaskPolicy } from '../../../src/decision-log/masking.ts';
import { deny, ok, type Result } from '../../../src/result.ts';

const EVENT = {
  decision_id: 'd',
  subject: 's',
  input: { a: 1, b: 2 },
  erased: ['/input/mcp/arguments/x'],
  result: { allow: true },
};
const LINE = JSON.stringify(EVENT);

function policyThat(answers: Readonly<Record<string, Result<unknown> | Error>>): MaskPolicy & { readonly asked: unknown[] } {
  const asked: unknown[] = [];
  return {
    asked,
    has: (entrypoint) => Object.hasOwn(answers, entrypoint),
    evaluate: async (entrypoint, { input, deadlineMs }) => {
      asked.push([entrypoint, JSON.parse(input), deadlineMs]);
      const answer = answers[entrypoint] as Result<unknown> | Error;
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
}

async function mask(policy: MaskPolicy | null) {
  const failures: string[] = [];
  const masked = await createMask({ policy: () => policy, now: () => 1000, onFailure: (rule) => failures.push(rule) })(LINE);
  return { masked, event: masked === null ? null : JSON.parse(masked), failures };
}

suite('masking', () => {
  test('costs nothing where policy has no such rule, or there is no policy', async () => {
    const isPlain = (policy: MaskPolicy | null) => createMask({ policy: () => policy, now: () => 0 })(LINE);
    assert.equal(isPlain(null), LINE);
    assert.equal(isPlain(policyThat({})), LINE);
  });

  test('asks with the event as it would be written', async () => {
    const policy = policyThat({ [MASK]: ok(['/input/a']), [DROP]: ok(false) });
    const { event, failures } = await mask(policy);
    assert.deepEqual(event, { ...EVENT, input: { b: 2 }, erased: ['/input/mcp/arguments/x', '/input/a'] });
    assert.deepEqual(policy.asked, [
      [DROP, EVENT, 3000],
      [MASK, EVENT, 3000],
    ]);
    assert.deepEqual(failures, []);
  });

  test('drops what policy wants dropped, and only for true', async () => {
    assert.equal((await mask(policyThat({ [DROP]: ok(true) }))).masked, null);
    for (const value of [undefined, false, 'true', 1, [true], {}]) {
      assert.equal((await mask(policyThat({ [DROP]: ok(value) }))).masked, LINE, String(value));
    }
  });

  test('leaves the event as it is where the rule is undefined', async () => {
    const { masked, failures } = await mask(policyThat({ [MASK]: ok(undefined) }));
    assert.equal(masked, LINE);
    assert.deepEqual(failures, []);
  });

  for (const [name, answer] of [
    ['fails', deny({ reason: 'policy_failed', cause: 'conflict' })],
    ['takes too long', deny({ reason: 'policy_memory' })],
    ['throws', new Error('gone')],
    ['says something else', ok({ not: 'rules' })],
    ['has a rule that is none among others', ok(['/input/a', { op: 'other', path: '/input/b' }])],
  ] as const) {
    test(`that ${name} takes away all that it could have`, async () => {
      const { event, failures } = await mask(policyThat({ [MASK]: answer }));
      const { mask_error, ...rest } = event;
      assert.deepEqual(rest, { decision_id: 'd', erased: ['/subject', '/input', '/result'] });
      assert.match(mask_error, /./);
      assert.deepEqual(failures, ['mask']);
    });
  }

  test('writes an event of which it cannot be told whether it is wanted', async () => {
    const { masked, failures } = await mask(policyThat({ [DROP]: deny({ reason: 'policy_failed' }) }));
    assert.equal(masked, LINE);
    assert.deepEqual(failures, ['drop']);
  });
});
