import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { suite, test } from 'node:test';
import { setTimeout as delayed } from 'node:timers/promises';
import { compileModule } from '../../../src/policy/engine.ts';
import { type Evaluator, type EvaluatorOptions, openEvaluator } from '../../../src/policy/evaluator.ts';
import type { Question, Reply, ThreadMessage } from '../../../src/policy/evaluator-messages.ts';
import type { Thread, ThreadEvents } from '../../../src/policy/evaluator-worker.ts';
import type { Answer, Policy, PolicyOptions } from '../../../src/policy/policy.ts';
import type { Result } from '../../../src/result.ts';
import { echoBundle, fixtureBundle, loadArchive } from '../support/bundles.ts';

const MIB = 1024 * 1024;
const NUMBERS = Array.from({ length: 200 }, (_, at) => at);
/** Ten thousand times what takes some seconds. */
const ENDLESS = Array.from({ length: 1000 }, (_, at) => at);

const reasonOf = (result: Result<unknown>) => (result.ok ? null : result.denial.reason);

function ask(policy: Policy, args: object, caller = 'anna', withinMs = 60_000): Promise<Answer> {
  const input = JSON.stringify({ mcp: { arguments: args, backend: 'ledger' } });
  return policy.ask({ input, caller, deadlineMs: Date.now() + withinMs });
}

async function withHeavy(options: Partial<PolicyOptions>, work: (policy: Policy) => Promise<void>): Promise<void> {
  const policy = await loadArchive(fixtureBundle('heavy'), { workers: 2, ...options });
  try {
    await work(policy);
  } finally {
    await policy.close();
  }
}

suite('real threads', () => {
  test('an endless evaluation ends with its time, and the next question is answered', async () => {
    await withHeavy({ timeoutMs: 1000, workers: 1 }, async (policy) => {
      const startMs = performance.now();
      const { inbound, outbound } = await ask(policy, { loop: ENDLESS });
      assert.deepEqual([reasonOf(inbound), outbound], ['policy_timeout', null]);
      assert.ok(performance.now() - startMs >= 1000);
      assert.equal((await ask(policy, {})).inbound.ok, true);
    });
  });

  test('an evaluation that eats memory, and one that traps, end alone', async () => {
    await withHeavy({ workers: 1, maxMemoryBytes: 8 * MIB }, async (policy) => {
      assert.equal(reasonOf((await ask(policy, { cubic: NUMBERS })).inbound), 'policy_memory');
      assert.equal((await ask(policy, {})).inbound.ok, true);
      assert.equal(reasonOf((await ask(policy, { trap: true })).inbound), 'policy_failed');
      assert.equal((await ask(policy, {})).inbound.ok, true);
    });
  });

  test('what waits behind an endless evaluation is asked of another thread', async () => {
    await withHeavy({ timeoutMs: 1000, workers: 1 }, async (policy) => {
      // In one turn: they go to the thread together.
      const answers = await Promise.all([
        ask(policy, {}, 'before'),
        ask(policy, { loop: ENDLESS }, 'endless'),
        ask(policy, {}, 'after'),
        ask(policy, { amount: 101 }, 'after'),
      ]);
      assert.deepEqual(
        answers.map(({ inbound }) => reasonOf(inbound)),
        [null, 'policy_timeout', null, null],
      );
    });
  });

  test('the deadline of a question is kept, while it waits and while it is evaluated', async () => {
    await withHeavy({ timeoutMs: 1000, workers: 1 }, async (policy) => {
      const endless = ask(policy, { loop: ENDLESS }, 'endless', 300);
      const waiting = await ask(policy, {}, 'waiting', 100);
      assert.equal(reasonOf(waiting.inbound), 'deadline_exceeded');
      assert.equal(reasonOf((await endless).inbound), 'policy_timeout');
      assert.equal((await ask(policy, {}, 'later')).inbound.ok, true);
    });
  });

  test('what waits in vain behind questions of its own caller is told that policy is slow, not the clock', async () => {
    await withHeavy({ timeoutMs: 50, workers: 1 }, async (policy) => {
      await ask(policy, { loop: ENDLESS }, 'mallory');
      const answers = await Promise.all(Array.from({ length: 8 }, () => ask(policy, { loop: ENDLESS }, 'mallory', 120)));
      assert.deepEqual(new Set(answers.map(({ inbound }) => reasonOf(inbound))), new Set(['policy_timeout']));
    });
  });

  test('others are answered, and the event loop is free, while one caller asks the worst there is', async () => {
    await withHeavy({ timeoutMs: 300, maxMemoryBytes: 512 * MIB }, async (policy) => {
      // What else the machine does can only add to it.
      let stallMs = Number.POSITIVE_INFINITY;
      for (let round = 0; round < 5 && stallMs >= 100; round++) stallMs = Math.min(stallMs, await attackOnce(policy));
      assert.ok(stallMs < 100, `the event loop was blocked for ${stallMs} ms`);
    });
  });

  /** @returns for how long the event loop was blocked at most. */
  async function attackOnce(policy: Policy): Promise<number> {
    const untilMs = performance.now() + 2000;
    const isOver = () => performance.now() >= untilMs;
    const worst = new Set<string | null>();
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    async function attack(args: object): Promise<void> {
      while (!isOver()) worst.add(reasonOf((await ask(policy, args, 'mallory')).inbound));
    }
    const attacks = [{ cubic: NUMBERS }, { loop: ENDLESS }, { cubic: NUMBERS }, { trap: true }].map(attack);
    let answered = 0;
    let longestMs = 0;
    while (!isOver()) {
      const startMs = performance.now();
      assert.equal((await ask(policy, {}, 'anna')).inbound.ok, true);
      longestMs = Math.max(longestMs, performance.now() - startMs);
      answered++;
    }
    await Promise.all(attacks);
    delay.disable();
    assert.ok(worst.has('policy_timeout') && worst.has('policy_failed') && !worst.has(null), [...worst].join());
    assert.ok(answered > 100, `${answered} answers`);
    assert.ok(longestMs < 10_000, `an answer took ${longestMs} ms`);
    return delay.max / 1e6;
  }

  test('policies take each other’s place under load, and every question is answered by the one it was asked of', async () => {
    const open = async (revision: string) => loadArchive(await echoBundle({ revision }), { workers: 2 });
    let inForce = await open('0');
    let isOver = false;
    const revisions = new Set<string>();
    async function load(caller: string): Promise<void> {
      while (!isOver) {
        const policy = inForce;
        assert.equal((await ask(policy, {}, caller)).inbound.ok, true);
        revisions.add(policy.revision);
      }
    }
    const loads = Array.from({ length: 8 }, (_, at) => load(`caller ${at}`));
    const closing: Promise<void>[] = [];
    for (let swap = 1; swap <= 10; swap++) {
      const before = inForce;
      inForce = await open(String(swap));
      closing.push(before.close());
      await delayed(100);
    }
    isOver = true;
    await Promise.all(loads);
    await Promise.all([...closing, inForce.close()]);
    assert.equal(revisions.size, 11);
  });

  test('a long list does not hold up others', async () => {
    await withHeavy({ workers: 1 }, async (policy) => {
      const asked = { input: '{"mcp":null}', caller: 'lister', deadlineMs: Date.now() + 60_000 };
      const items = Array.from({ length: 5000 }, () => ['{"arguments":{}}']);
      let isListed = false;
      const list = policy.askEach(asked, ['mcp'], items).then((answers) => {
        isListed = true;
        return answers;
      });
      assert.equal((await ask(policy, {}, 'anna')).inbound.ok, true);
      assert.equal(isListed, false);
      const answers = await list;
      assert.ok(answers.ok && answers.value.length === 5000 && answers.value.every(({ ok }) => ok));
    });
  });
});

/** Threads that do what they are told here. */
function fakeThreads() {
  const threads: { readonly events: ThreadEvents; readonly posted: Question[]; begun: number; ended: boolean }[] = [];
  const start: NonNullable<EvaluatorOptions['start']> = (_start, events): Thread => {
    const fake = { events, posted: [] as Question[], begun: 0, ended: false };
    threads.push(fake);
    return {
      post: (questions) => fake.posted.push(...questions),
      begun: () => fake.begun,
      end: async () => {
        fake.ended = true;
      },
    };
  };
  return { threads, start };
}

const READY: ThreadMessage = { kind: 'ready', entrypoints: ['a'] };
const reply = ({ number }: Question): Reply => ({ number, said: ['[]'], tookMs: 1, secondMs: 0 });
const turn = () => new Promise((resolve) => setImmediate(resolve));
const BOTH = { kind: 'both' } as const;

/** With a clock that stands still unless it is set. */
async function openFake(workers = 1) {
  const { threads, start } = fakeThreads();
  const time = { now: 1000 };
  const module = await compileModule(Buffer.from('\0asm\x01\0\0\0', 'latin1'));
  const common = { module, data: new SharedArrayBuffer(0), dataPages: 1, maxMemoryBytes: MIB, timeoutMs: 20 };
  const opening = openEvaluator({ ...common, workers, now: () => time.now, start });
  return { threads, time, opening };
}

async function openReady(workers = 1) {
  const { threads, time, opening } = await openFake(workers);
  for (const { events } of threads) events.onMessage(READY);
  return { threads, time, evaluator: await opening };
}

const put = (evaluator: Evaluator, caller: string, deadlineMs = 2000) =>
  evaluator.ask({ input: caller, caller, deadlineMs }, BOTH);

suite('threads that do as they are told', () => {
  test('questions of one turn go out in one message, each with a number of its own', async () => {
    const { threads, evaluator } = await openReady();
    const asked = ['a', 'b', 'c'].map((caller) => put(evaluator, caller));
    await turn();
    const [{ posted, events }] = threads as [(typeof threads)[0]];
    assert.deepEqual(
      posted.map(({ input, nowMs }) => [input, nowMs]),
      [
        ['a', 1000],
        ['b', 1000],
        ['c', 1000],
      ],
    );
    assert.equal(new Set(posted.map(({ number }) => number)).size, 3);
    events.onMessage({ kind: 'replies', replies: posted.map(reply) });
    for (const one of await Promise.all(asked)) assert.ok(one.ok);
    await evaluator.close();
  });

  test('a thread that ends takes with it what it was evaluating; the rest is asked of its successor', async () => {
    for (const [cause, reason] of [
      [new Error('x'), 'policy_failed'],
      [Object.assign(new Error('x'), { code: 'ERR_WORKER_OUT_OF_MEMORY' }), 'policy_memory'],
    ] as const) {
      const { threads, evaluator } = await openReady();
      const asked = ['a', 'b', 'c'].map((caller) => put(evaluator, caller));
      await turn();
      const [first] = threads as [(typeof threads)[0]];
      const [a, b] = first.posted as [Question, Question];
      first.events.onMessage({ kind: 'replies', replies: [reply(a)] });
      first.begun = -b.number;
      first.events.onEnd(cause);
      assert.equal(reasonOf((await asked[1]) as Result<Reply>), reason);
      const next = threads[1];
      assert.ok(first.ended && next !== undefined);
      next.events.onMessage(READY);
      await turn();
      assert.deepEqual(
        next.posted.map(({ input }) => input),
        ['c'],
      );
      next.events.onMessage({ kind: 'replies', replies: next.posted.map(reply) });
      assert.ok((await asked[0])?.ok && (await asked[2])?.ok);
      await evaluator.close();
    }
  });

  test('one that ends before it has begun anything fails all that it had', async () => {
    const { threads, evaluator } = await openReady();
    const asked = ['a', 'b'].map((caller) => put(evaluator, caller));
    await turn();
    threads[0]?.events.onEnd(new Error('x'));
    for (const one of await Promise.all(asked)) assert.equal(reasonOf(one), 'policy_failed');
    await evaluator.close();
  });

  test('time is measured from when an evaluation begins, and anew for the second of two questions', async () => {
    const { threads, evaluator } = await openReady();
    const asked = put(evaluator, 'a');
    await turn();
    const [thread] = threads as [(typeof threads)[0]];
    const number = (thread.posted[0] as Question).number;
    const startMs = performance.now();
    // It waits for a processor, and that is nobody's fault.
    while (performance.now() - startMs < 60) await turn();
    assert.equal(thread.ended, false);
    thread.begun = number;
    setTimeout(() => {
      thread.begun = -number;
    }, 10);
    assert.equal(reasonOf(await asked), 'policy_timeout');
    assert.ok(performance.now() - startMs >= 60 + 10 + 20);
    assert.equal(thread.ended, true);
    await evaluator.close();
  });

  test('what is late is answered, wherever it is, and its reply afterwards means nothing', async () => {
    const { threads, time, evaluator } = await openReady();
    const posted = put(evaluator, 'a');
    await turn();
    const waiting = put(evaluator, 'b');
    time.now = 2000;
    assert.equal(reasonOf(await posted), 'deadline_exceeded');
    assert.equal(reasonOf(await waiting), 'deadline_exceeded');
    const [thread] = threads as [(typeof threads)[0]];
    thread.events.onMessage({ kind: 'replies', replies: thread.posted.map(reply) });
    const next = put(evaluator, 'c', 3000);
    await turn();
    thread.events.onMessage({ kind: 'replies', replies: thread.posted.slice(1).map(reply) });
    assert.ok((await next).ok);
    await evaluator.close();
  });

  test('more than can wait is refused at once', async () => {
    const { threads, time, evaluator } = await openReady();
    const asked = Array.from({ length: 1100 }, () => put(evaluator, 'a', 1100));
    const other = put(evaluator, 'b', 1100);
    const results = await Promise.race([Promise.all(asked.slice(1024)), turn().then(() => null)]);
    assert.deepEqual(new Set(results?.map(reasonOf)), new Set(['overloaded']));
    assert.equal(await Promise.race([other, turn().then(() => null)]), null);
    time.now = 1100;
    assert.deepEqual(new Set((await Promise.all(asked.slice(0, 1024))).map(reasonOf)), new Set(['deadline_exceeded']));
    const [thread] = threads as [(typeof threads)[0]];
    thread.events.onMessage({ kind: 'replies', replies: thread.posted.map(reply) });
    await evaluator.close();
  });

  test('a thread that cannot begin is a refusal at first, and tried again later', async () => {
    const { threads, opening } = await openFake(2);
    threads[0]?.events.onMessage(READY);
    threads[1]?.events.onEnd(new Error('no memory'));
    await assert.rejects(opening, { name: 'PolicyRefused', message: /no memory/ });
    assert.ok(threads.every(({ ended }) => ended));

    const later = await openReady();
    later.threads[0]?.events.onEnd(new Error('x'));
    later.threads[1]?.events.onEnd(new Error('x'));
    const asked = put(later.evaluator, 'a');
    while (later.threads.length < 3) await turn();
    const third = later.threads[2];
    third?.events.onMessage(READY);
    await turn();
    third?.events.onMessage({ kind: 'replies', replies: third.posted.map(reply) });
    assert.ok((await asked).ok);
    await later.evaluator.close();
  });
});
