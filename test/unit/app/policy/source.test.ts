import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { createPolicyReport } from '../../../../src/app/policy/report.ts';
import type { LoadArchive } from '../../../../src/app/policy/slot.ts';
import { createPolicySource } from '../../../../src/app/policy/source.ts';
import type { PolicyPlan } from '../../../../src/app/policy/state.ts';
import type { Supply } from '../../../../src/app/policy/supply.ts';
import { NO_VALIDATORS } from '../../../../src/bundle/download.ts';
import { type BundleRefusal, PolicyRefused } from '../../../../src/bundle/refusal.ts';
import type { Past, Persisted, Store } from '../../../../src/bundle/store.ts';
import { createMetrics } from '../../../../src/telemetry/metrics.ts';
import { fakePolicy } from '../../support/ports.ts';

/** An archive is the text of a revision here, and what follows `#` only how it is packed; `!code` is refused so. */
const bytes = (text: string): Uint8Array => Buffer.from(text);

interface FakeSupply extends Supply {
  /** What it has; null for a source that is down. */
  content: string | null;
  fetches: number;
  closed: boolean;
}

function fakeSupply(content: string | null, { isFile = false, source = 'fake' } = {}): FakeSupply {
  let known: string | null = null;
  const supply: FakeSupply = {
    content,
    fetches: 0,
    closed: false,
    source,
    isFile,
    fetch: async () => {
      supply.fetches += 1;
      const now = supply.content;
      if (now === null) throw new PolicyRefused('download_failed', 'the source is down');
      const remember = (): void => {
        known = now;
      };
      return { archive: now === known ? null : bytes(now), validators: NO_VALIDATORS, canWait: false, remember };
    },
    recall: () => {},
    forget: () => {
      known = null;
    },
    hurry: () => {},
    close: async () => {
      supply.closed = true;
    },
  };
  return supply;
}

function fakeStore(
  bundle: Persisted | null = null,
  past: Past = { history: [], accepted: null },
): Store & { past: Past; writes: string[] } {
  const store = {
    past,
    writes: [] as string[],
    readBundle: async () => bundle,
    readPast: async () => store.past,
    writeBundle: async ({ archive }: Persisted) => void store.writes.push(String(archive)),
    writePast: async (next: Past) => {
      store.past = next;
    },
  };
  return store;
}

function start(t: TestContext, supply: FakeSupply, { store = null as Store | null, isFree = false } = {}) {
  const closed: string[] = [];
  const told: string[] = [];
  const timers: (() => void)[] = [];
  let nowMs = 1_000_000;
  const load: LoadArchive = async (archive, admit) => {
    const text = String(archive).replace(/#.*/, '');
    if (text.startsWith('!')) throw new PolicyRefused(text.slice(1) as BundleRefusal, 'it is');
    if (text === 'bug') throw new TypeError('of ours, with a secret');
    admit(text, `content of ${text}`);
    return { ...fakePolicy(), revision: text, close: async () => void closed.push(text) };
  };
  const planOf = (next: Supply, fingerprint: string, loader = load): PolicyPlan => ({
    fingerprint,
    openSupply: () => next,
    load: loader,
    polling: { minDelayMs: 1000, maxDelayMs: 2000 },
  });
  const source = createPolicySource({
    plan: planOf(supply, 'one'),
    store,
    isFree,
    observer: {
      onLooked: (outcome) => told.push(outcome),
      onActivated: ({ policy, unorderedAfter }) => {
        told.push(`+${policy.revision}`);
        if (unorderedAfter !== null) told.push(`unordered after ${unorderedAfter}`);
      },
      onRefused: ({ code }) => told.push(`-${code}`),
      onState: () => {},
      onPersistFailure: () => told.push('not persisted'),
    },
    now: () => nowMs,
    random: () => 0,
    later: (_ms, work) => {
      timers.push(work);
      return () => void timers.splice(timers.indexOf(work), timers.includes(work) ? 1 : 0);
    },
  });
  t.after(source.stop);
  /** The next look, and all of it. */
  const lookAgain = async (): Promise<void> => {
    while (timers.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const fetches = supply.fetches;
    timers.shift()?.();
    while (supply.fetches === fetches || timers.length === 0) await new Promise((resolve) => setImmediate(resolve));
  };
  const revision = () => source.policy()?.revision ?? null;
  return { source, closed, told, timers, planOf, load, lookAgain, revision, pass: (ms: number) => (nowMs += ms) };
}

suite('a source of policy', () => {
  test('swaps what is new in, and ends what it replaces', async (t) => {
    const supply = fakeSupply('1');
    const { source, closed, told, lookAgain, revision } = start(t, supply);
    await source.start();
    assert.equal(revision(), '1');
    supply.content = '2';
    await lookAgain();
    await lookAgain();
    assert.deepEqual([revision(), closed, told], ['2', ['1'], ['+1', 'changed', '+2', 'changed', 'unchanged']]);
  });

  test('keeps what is in force whatever comes, tells each refusal once, and takes the next good one', async (t) => {
    const supply = fakeSupply('5');
    const { source, told, lookAgain, revision, closed } = start(t, supply);
    await source.start();
    for (const [content, code] of [
      ['!rego_invalid', 'rego_invalid'],
      ['4', 'revision_older'],
      ['bug', 'archive_invalid'],
      [null, 'download_failed'],
    ] as const) {
      supply.content = content;
      told.length = 0;
      await lookAgain();
      await lookAgain();
      assert.deepEqual([revision(), source.state().lastError?.code], ['5', code]);
      assert.ok(!source.state().lastError?.message.includes('secret'));
      assert.equal(told.filter((what) => what === `-${code}`).length, content === null ? 2 : 1);
    }
    supply.content = '6';
    await lookAgain();
    assert.deepEqual([revision(), source.state().lastError, closed], ['6', null, ['5']]);
  });

  test('is content again where the source goes back to what is in force', async (t) => {
    const supply = fakeSupply('5');
    const { source, lookAgain, revision, told } = start(t, supply);
    await source.start();
    supply.content = '4';
    await lookAgain();
    supply.content = '5';
    await lookAgain();
    assert.deepEqual([revision(), source.state().lastError, told.filter((what) => what === '+5').length], ['5', null, 1]);
  });

  test('takes what is in force packed anew, also after a restart, and remembers it as the same', async (t) => {
    const store = fakeStore();
    const supply = fakeSupply('5');
    const { source, lookAgain } = start(t, supply, { store });
    await source.start();
    supply.content = '5#again';
    await lookAgain();
    assert.deepEqual([source.state().lastError, String(source.archive())], [null, '5#again']);
    assert.deepEqual([store.past.history.length, store.writes], [1, ['5', '5#again']]);
    const later = start(t, fakeSupply('5#once more', { isFile: true }), { store });
    await later.source.open();
    await later.source.start();
    assert.equal(later.revision(), '5');
  });

  test('tells once of a revision that cannot be ordered, but where it is free to go back', async (t) => {
    for (const isFree of [false, true]) {
      const supply = fakeSupply('abc');
      const { source, lookAgain, told } = start(t, supply, { isFree });
      await source.start();
      supply.content = 'def';
      await lookAgain();
      await lookAgain();
      const unordered = told.filter((what) => what.startsWith('unordered'));
      assert.deepEqual(unordered, isFree ? [] : ['unordered after abc']);
    }
  });

  test('has that in the log as a warning', () => {
    const lines: unknown[] = [];
    const report = createPolicyReport('policy', { metrics: createMetrics('0'), log: (...line) => lines.push(line) });
    const policy = { ...fakePolicy(), revision: 'def' };
    const inForce = { policy, digest: 'd', contentDigest: 'c', archive: bytes(''), activatedAt: 0 };
    report.onActivated({ ...inForce, unorderedAfter: null }, 'fake');
    assert.equal(lines.length, 1);
    report.onActivated({ ...inForce, unorderedAfter: 'abc' }, 'fake');
    assert.deepEqual(lines.at(-1), [
      'warn',
      'nothing in the two revisions says which is older: one of this kind could go back',
      { bundle: 'policy', revision: 'def', before: 'abc' },
    ]);
  });

  test('tries again after a while what failed for lack of time or memory here', async (t) => {
    const supply = fakeSupply('1');
    const { source, lookAgain, told, pass } = start(t, supply);
    await source.start();
    supply.content = '!compile_timeout';
    await lookAgain();
    await lookAgain();
    const refusals = () => told.filter((what) => what === '-compile_timeout').length;
    assert.equal(refusals(), 1);
    pass(300_000);
    await lookAgain();
    assert.equal(refusals(), 2);
  });

  test('does not start without a file that can be used, but without a server', async (t) => {
    const file = start(t, fakeSupply('!wasm_invalid', { isFile: true }));
    await assert.rejects(file.source.start(), { code: 'wasm_invalid' });
    const server = start(t, fakeSupply(null));
    await server.source.start();
    assert.equal(server.revision(), null);
  });

  test('starts from what was persisted of it, and of it alone', async (t) => {
    const persisted = (source: string): Store => fakeStore({ archive: bytes('3'), validators: NO_VALIDATORS, source });
    const own = start(t, fakeSupply(null), { store: persisted('fake') });
    await own.source.start();
    assert.equal(own.revision(), '3');
    const other = start(t, fakeSupply(null), { store: persisted('other') });
    await other.source.start();
    assert.equal(other.revision(), null);
    const refusedFile = start(t, fakeSupply('!archive_invalid', { isFile: true }), { store: persisted('fake') });
    await refusedFile.source.start();
    assert.deepEqual([refusedFile.revision(), refusedFile.source.state().lastError?.code], ['3', 'archive_invalid']);
  });

  test('goes on where nothing can be written, and says so', async (t) => {
    const store = { ...fakeStore(), writeBundle: () => Promise.reject(new Error('disk full')) };
    const { source, told, revision } = start(t, fakeSupply('1'), { store });
    await source.start();
    assert.deepEqual([revision(), told.includes('not persisted')], ['1', true]);
  });

  test('takes an older one back where a person says so, once, and remembers that across a restart', async (t) => {
    const store = fakeStore();
    const supply = fakeSupply('5');
    const { source, lookAgain, revision } = start(t, supply, { store });
    await source.open();
    await source.start();
    await source.accept('3');
    assert.deepEqual([revision(), store.past.accepted], ['5', '3']);
    supply.content = '4';
    await lookAgain();
    assert.equal(revision(), '5');
    supply.content = '3';
    await lookAgain();
    assert.deepEqual([revision(), store.past.accepted, store.writes], ['3', null, ['5', '3']]);
    supply.content = '2';
    await lookAgain();
    assert.equal(revision(), '3');
    const later = start(t, fakeSupply('2', { isFile: true }), { store });
    await later.source.open();
    await assert.rejects(later.source.start(), { code: 'revision_older' });
  });

  test('adopts what a person promotes, by the rules of its own', async (t) => {
    const store = fakeStore();
    const { source, revision, closed } = start(t, fakeSupply('5'), { store });
    await source.start();
    await assert.rejects(source.adopt(bytes('!signature_missing')), { code: 'signature_missing' });
    assert.equal(revision(), '5');
    await source.adopt(bytes('4'));
    assert.deepEqual([revision(), closed, store.writes], ['4', ['5'], ['5', '4']]);
  });

  test('is free to go back where nothing is obeyed', async (t) => {
    const supply = fakeSupply('5');
    const { source, lookAgain, revision } = start(t, supply, { isFree: true });
    await source.start();
    supply.content = '4';
    await lookAgain();
    assert.equal(revision(), '4');
  });
});

suite('another plan', () => {
  test('is in force when it is told to be, not before', async (t) => {
    const [supply, next] = [fakeSupply('1'), fakeSupply('2')];
    const { source, planOf, revision, closed } = start(t, supply);
    await source.start();
    const swap = await source.prepare(planOf(next, 'two'));
    assert.deepEqual([revision(), source.state().source, supply.closed], ['1', 'fake', false]);
    swap();
    assert.deepEqual([revision(), closed], ['2', ['1']]);
    while (!supply.closed) await new Promise((resolve) => setImmediate(resolve));
  });

  test('that brings nothing good leaves everything as it was, and the source goes on', async (t) => {
    const [supply, next] = [fakeSupply('1'), fakeSupply('!scope_mismatch')];
    const { source, planOf, revision, lookAgain } = start(t, supply);
    await source.start();
    await assert.rejects(source.prepare(planOf(next, 'two')), { code: 'scope_mismatch' });
    assert.deepEqual([revision(), next.closed, supply.closed], ['1', true, false]);
    supply.content = '2';
    await lookAgain();
    assert.equal(revision(), '2');
  });

  test('whose server is down keeps what is in force, if the new rules let it', async (t) => {
    const supply = fakeSupply('1');
    const { source, planOf, revision, load } = start(t, supply);
    await source.start();
    const strict: LoadArchive = async () => {
      throw new PolicyRefused('signature_missing', 'not signed');
    };
    await assert.rejects(source.prepare(planOf(fakeSupply(null), 'strict', strict)), { code: 'signature_missing' });
    assert.equal(revision(), '1');
    const swap = await source.prepare(planOf(fakeSupply(null), 'moved', load));
    swap();
    assert.equal(revision(), '1');
  });

  test('that is the same looks again at once: a file must be in order, a server need not', async (t) => {
    const file = fakeSupply('1', { isFile: true });
    const fromFile = start(t, file);
    await fromFile.source.start();
    file.content = '!archive_invalid';
    await assert.rejects(fromFile.source.prepare(fromFile.planOf(file, 'one')), { code: 'archive_invalid' });
    assert.equal(fromFile.revision(), '1');
    file.content = '2';
    (await fromFile.source.prepare(fromFile.planOf(file, 'one')))();
    assert.equal(fromFile.revision(), '2');
    const server = fakeSupply('1');
    const fromServer = start(t, server);
    await fromServer.source.start();
    server.content = null;
    (await fromServer.source.prepare(fromServer.planOf(server, 'one')))();
    assert.equal(fromServer.revision(), '1');
  });
});
