import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CandidateWord } from '../../../src/policy/flips.ts';
import type { PolicyInput } from '../../../src/policy/input.ts';
import { type Candidate, createShadow, type ShadowOptions } from '../../../src/policy/shadow.ts';
import type { Reason } from '../../../src/reasons.ts';
import { deny, ok } from '../../../src/result.ts';
import { alice, NOW_MS, outbound } from '../support/facts.ts';

const YES: CandidateWord = { inbound: ok(null), outbound: ok(outbound) };
const NO: CandidateWord = { inbound: deny({ reason: 'tool_forbidden' }), outbound: null };
const broken = (reason: Reason): CandidateWord => ({ inbound: deny({ reason }), outbound: null });

const live = {
  inbound: { allow: true, reason: 'allowed' },
  outbound: { allow: true, reason: 'allowed' },
  token: outbound,
} as const;

function inputOf(args: Record<string, unknown> = {}): PolicyInput {
  return {
    version: 1,
    mcp: {
      era: 'legacy',
      revision: '2025-11-25',
      kind: 'request',
      method: 'tools/call',
      targets: [{ type: 'tool', name: 'getBalance' }],
      tool: 'getBalance',
      arguments: args as never,
      backend: 'ledger',
    },
    principal: alice,
    tool: { title: null, annotations: {}, known: true },
    request: {
      method: 'POST',
      host: 'gateway.example',
      path: '/ledger/mcp',
      sourceIp: '192.0.2.7',
      sourcePrincipal: null,
      time: '2026-11-21T12:00:00Z',
      headers: {},
      context: {},
    },
  };
}

/** Answers when it is told to, one question after the other. */
function heldCandidate() {
  const asked: { input: any; answer: (word: CandidateWord) => void }[] = [];
  let arrived: () => void = () => {};
  const candidate: Candidate = {
    declaredArguments: () => null,
    ask: ({ input }) =>
      new Promise((resolve) => {
        asked.push({ input: JSON.parse(input), answer: resolve });
        arrived();
      }),
  };
  const next = async (index: number) => {
    while (asked.length <= index)
      await new Promise<void>((resolve) => {
        arrived = resolve;
      });
    return asked[index]!;
  };
  return { candidate, asked, next };
}

function start(options: Partial<ShadowOptions<string>> & Pick<ShadowOptions<string>, 'candidate'>) {
  const seen: [string, string][] = [];
  const clock = { now: NOW_MS };
  const shadow = createShadow<string>({
    maxQueued: 4,
    maxQueuedBytes: 1000,
    timeoutMs: 50,
    now: () => clock.now,
    onCompared: (about, { outcome }) => seen.push([about, outcome]),
    onSkipped: (about) => seen.push([about, 'skipped']),
    ...options,
  });
  const offer = (about: string, bytes = 1, args = {}) =>
    shadow.offer({ input: inputOf(args), live, askedAt: NOW_MS - 5, bytes, about });
  return { ...shadow, seen, clock, offer };
}

const answering = (word: CandidateWord | ((input: any) => CandidateWord)): Candidate => ({
  declaredArguments: () => null,
  ask: async ({ input }) => (typeof word === 'function' ? word(JSON.parse(input)) : word),
});

describe('a candidate beside the live policy', () => {
  test('is asked after whoever offered has gone on', async () => {
    const { candidate, asked, next } = heldCandidate();
    const { offer, seen, settle } = start({ candidate });
    offer('a');
    await Promise.resolve();
    assert.equal(asked.length, 0, 'an answer that waits for a microtask still goes first');
    (await next(0)).answer(NO);
    await settle();
    assert.deepEqual(seen, [['a', 'allow_to_deny']]);
  });

  test('gets the same input, one question at a time', async () => {
    const { candidate, asked, next } = heldCandidate();
    const { offer, seen, settle } = start({ candidate });
    offer('a', 1, { amount: 1 });
    offer('b', 1, { amount: 2 });
    const first = await next(0);
    assert.deepEqual(first.input, inputOf({ amount: 1 }));
    assert.equal(asked.length, 1);
    first.answer(YES);
    (await next(1)).answer(NO);
    await settle();
    assert.deepEqual(seen, [
      ['a', 'same'],
      ['b', 'allow_to_deny'],
    ]);
  });

  test('sees the time at which the live policy was asked', async () => {
    const asked: object[] = [];
    const candidate: Candidate = {
      declaredArguments: () => null,
      ask: async ({ nowMs, deadlineMs }) => {
        asked.push({ nowMs, deadlineMs });
        return YES;
      },
    };
    const { offer, settle } = start({ candidate, timeoutMs: 50, graceMs: 100 });
    offer('a');
    await settle();
    assert.deepEqual(asked, [{ nowMs: NOW_MS - 5, deadlineMs: NOW_MS + 150 }]);
  });

  test('sees the arguments that its own bundle declares', async () => {
    const seen: unknown[] = [];
    const candidate: Candidate = {
      declaredArguments: (backend, tool) => (backend === 'ledger' && tool === 'getBalance' ? new Set(['amount']) : null),
      ask: async ({ input }) => {
        seen.push(JSON.parse(input).mcp.arguments);
        return YES;
      },
    };
    const { offer, settle } = start({ candidate });
    offer('a', 1, { amount: 1, note: 'private' });
    await settle();
    assert.deepEqual(seen, [{ amount: 1 }]);
  });

  test('what does not fit is skipped, by number and by size', async () => {
    const { candidate, next } = heldCandidate();
    const { offer, seen, settle } = start({ candidate });
    offer('first');
    const first = await next(0);
    for (const about of ['1', '2', '3', '4', 'too many']) offer(about);
    assert.deepEqual(seen, [['too many', 'skipped']]);
    first.answer(YES);
    for (const index of [1, 2, 3, 4]) (await next(index)).answer(YES);
    await settle();
    offer('large', 600);
    offer('too large', 600);
    assert.deepEqual(seen.at(-1), ['too large', 'skipped']);
    (await next(5)).answer(YES);
    await settle();
    assert.deepEqual(seen.at(-1), ['large', 'same']);
  });

  test('one that never answers costs its own questions, and not for ever', async () => {
    const candidate: Candidate = { declaredArguments: () => null, ask: () => new Promise(() => {}) };
    const { offer, seen, settle, clock } = start({ candidate, timeoutMs: 5, graceMs: 5 });
    offer('a');
    offer('b');
    await settle();
    assert.deepEqual(seen, [
      ['b', 'skipped'],
      ['a', 'error'],
    ]);
    offer('while it rests');
    assert.deepEqual(seen.at(-1), ['while it rests', 'skipped']);
    clock.now += 1000;
    offer('after the rest');
    await settle();
    assert.deepEqual(seen.at(-1), ['after the rest', 'error']);
    clock.now += 1999;
    offer('the second rest is longer');
    assert.deepEqual(seen.at(-1), ['the second rest is longer', 'skipped']);
  });

  test('one that was killed rests, up to a minute; one answer later all is forgotten', async () => {
    let word = broken('policy_memory');
    const { offer, seen, settle, clock } = start({ candidate: answering(() => word) });
    for (const restMs of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
      offer('killed');
      await settle();
      clock.now += restMs - 1;
      offer('too early');
      assert.deepEqual(seen.at(-1), ['too early', 'skipped']);
      clock.now += 1;
    }
    word = YES;
    offer('well');
    await settle();
    assert.deepEqual(seen.at(-1), ['well', 'same']);
    word = broken('policy_memory');
    offer('killed');
    await settle();
    clock.now += 1000;
    word = YES;
    offer('well again');
    await settle();
    assert.deepEqual(seen.at(-1), ['well again', 'same']);
  });

  test('one that gives no decision is an error, and is asked on', async () => {
    const { offer, seen, settle } = start({ candidate: answering(broken('policy_undefined')) });
    offer('a');
    offer('b');
    await settle();
    assert.deepEqual(seen, [
      ['a', 'error'],
      ['b', 'error'],
    ]);
  });

  test('one that throws is an error', async () => {
    const candidate: Candidate = {
      declaredArguments: () => {
        throw new Error('gone');
      },
      ask: async () => YES,
    };
    const { offer, seen, settle } = start({ candidate });
    offer('a');
    await settle();
    assert.deepEqual(seen, [['a', 'error']]);
  });

  test('closed, it skips what waits and takes nothing more', async () => {
    const { candidate, next, asked } = heldCandidate();
    const { offer, seen, close } = start({ candidate });
    offer('under way');
    offer('waits');
    const first = await next(0);
    const closing = close();
    offer('late');
    first.answer(NO);
    await closing;
    assert.deepEqual(seen, [
      ['waits', 'skipped'],
      ['late', 'skipped'],
    ]);
    assert.equal(asked.length, 1);
  });
});
