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
  const masked = await createMask({ policy: () => policy, now: () => 1000, onFailure: (rule) => failures.push(rule) }).apply(
    LINE,
  );
  return { masked, event: masked === null ? null : JSON.parse(masked), failures };
}

suite('masking', () => {
  test('costs nothing where policy has no such rule, or there is no policy', async () => {
    const isPlain = (policy: MaskPolicy | null) => createMask({ policy: () => policy, now: () => 0 }).apply(LINE);
    assert.equal(isPlain(null), LINE);
    assert.equal(isPlain(policyThat({})), LINE);
  });

  test('asks with the event as it would be written', async () => {
    const policy = policyThat({ [MASK]: ok(['/input/a']), [DROP]: ok(false) });
    const { event, failures } = await mask(policy);
    assert.deepEqual(event, { ...EVENT, input: { b: 2 }, erased: ['/input/mcp/arguments/x', '/input/a'] });
    assert.deepEqual(policy.asked, [
      [MASK, EVENT, 3000],
      [DROP, EVENT, 3000],
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

suite('a rule that takes too long', () => {
  const TOO_LONG = deny({ reason: 'policy_timeout', cause: 'slow' });

  function masking(answers: Record<string, Result<unknown>>) {
    const clock = { now: 0 };
    const failures: string[] = [];
    const state = { policy: policyThat(answers) };
    const mask = createMask({ policy: () => state.policy, now: () => clock.now, onFailure: (rule) => failures.push(rule) });
    return { clock, failures, state, mask };
  }

  test('is not asked for every line after that, and each of them is counted', async () => {
    const { mask, state, failures } = masking({ [MASK]: TOO_LONG });
    for (let line = 0; line < 5; line += 1) {
      const { input, subject, mask_error } = JSON.parse((await mask.apply(LINE)) as string);
      assert.deepEqual([input, subject], [undefined, undefined]);
      assert.match(mask_error, line === 0 ? /^slow$/ : /not asked for a while/);
    }
    assert.equal(state.policy.asked.length, 1);
    assert.deepEqual(failures, Array(5).fill('mask'));
  });

  test('is asked again for one line, less and less often', async () => {
    const { mask, state, clock } = masking({ [MASK]: TOO_LONG });
    const askedAt: number[] = [];
    for (; clock.now <= 20_000; clock.now += 500) {
      const before = state.policy.asked.length;
      await Promise.all([mask.apply(LINE), mask.apply(LINE), mask.apply(LINE)]);
      if (state.policy.asked.length > before) askedAt.push(clock.now);
    }
    assert.deepEqual(askedAt, [0, 1000, 3000, 7000, 15_000]);
    assert.equal(state.policy.asked.length, 3 + 4);
  });

  test('masks again as soon as it answers', async () => {
    const answers: Record<string, Result<unknown>> = { [MASK]: TOO_LONG };
    const { mask, clock } = masking(answers);
    await mask.apply(LINE);
    answers[MASK] = ok(['/input/a']);
    assert.match((await mask.apply(LINE)) as string, /mask_error/);
    clock.now = 1000;
    for (let line = 0; line < 2; line += 1) assert.doesNotMatch((await mask.apply(LINE)) as string, /mask_error/);
  });

  test('is no reason not to ask the next policy', async () => {
    const { mask, state } = masking({ [MASK]: TOO_LONG });
    await mask.apply(LINE);
    state.policy = policyThat({ [MASK]: ok(['/input/a']) });
    assert.doesNotMatch((await mask.apply(LINE)) as string, /mask_error/);
  });

  test('does not take the other rule with it', async () => {
    const { mask, state, failures } = masking({ [MASK]: ok(['/input/a']), [DROP]: TOO_LONG });
    await mask.apply(LINE);
    assert.deepEqual(JSON.parse((await mask.apply(LINE)) as string).input, { b: 2 });
    assert.equal(state.policy.asked.length, 3);
    assert.deepEqual(failures, ['drop', 'drop']);
  });

  test('is another thing than a rule that fails', async () => {
    const { mask, state } = masking({ [MASK]: deny({ reason: 'policy_failed' }) });
    for (let line = 0; line < 3; line += 1) await mask.apply(LINE);
    assert.equal(state.policy.asked.length, 3);
  });
});

suite('a line that nobody waits for', () => {
  const giveUp = (policy: MaskPolicy | null, failures: string[] = []): string =>
    createMask({ policy: () => policy, now: () => 0, onFailure: (rule) => failures.push(rule) }).giveUp(LINE);

  test('goes without all that the mask could have taken out, counted', () => {
    const failures: string[] = [];
    const { mask_error, ...rest } = JSON.parse(giveUp(policyThat({ [MASK]: ok([]) }), failures));
    assert.deepEqual(rest, { decision_id: 'd', erased: ['/subject', '/input', '/result'] });
    assert.match(mask_error, /stopped/);
    assert.deepEqual(failures, ['mask']);
  });

  test('goes as it is where policy masks nothing', () => {
    assert.equal(giveUp(policyThat({ [DROP]: ok(true) })), LINE);
    assert.equal(giveUp(null), LINE);
  });
});
