/**
 * Policy, from where it comes to where it is in force: looks at the source, loads what is new, swaps, and keeps what is in force
 * whenever anything goes wrong, until the next good one comes by itself. The same for the candidate beside it.
 */
import { NO_VALIDATORS } from '../../bundle/download.ts';
import { createPoller, type Looked, type Poller } from '../../bundle/poller.ts';
import { type BundleRefusal, PolicyRefused } from '../../bundle/refusal.ts';
import { inTime } from '../../deadline.ts';
import { type Candidate, createSlot, digestOf, type Origin } from './slot.ts';
import {
  describeRefusal,
  type PolicyError,
  type PolicyPlan,
  type PolicySource,
  type PolicySourceOptions,
  type PolicyState,
  type PolicyTimes,
} from './state.ts';
import type { Supply } from './supply.ts';

/** What lies with this machine and not with the bundle is tried again after this. */
const TRY_AGAIN_MS = 300_000;
const PASSING: ReadonlySet<BundleRefusal> = new Set(['compile_timeout', 'compile_memory', 'timeout']);
/** A start and a reload wait this long for a server. */
const FIRST_LOOK_MS = 5000;
const STOP_MS = 1000;

export function createPolicySource(options: PolicySourceOptions): PolicySource {
  const { plan: first, store, isFree, observer, now, random, later } = options;
  const slot = createSlot({ now, store, isFree }, (inForce) => observer.onActivated(inForce, supply.source));
  let plan = first;
  let supply = first.openSupply();
  let poller = newPoller();
  const times: PolicyTimes = { lastAttemptAt: null, answeredAt: null, downloadedAt: null };
  let unreachable: PolicyError | null = null;
  /** The source's latest, if it was refused. */
  let refusal: { readonly digest: string; readonly error: PolicyError } | null = null;
  /** In force, and not on disk. */
  let unkept: { readonly origin: Origin; readonly error: PolicyError } | null = null;
  let isStarted = false;
  let changing: Promise<unknown> = Promise.resolve();

  function newPoller(): Poller {
    return createPoller({ ...plan.polling, look, random, later });
  }

  /** One archive at a time, whoever brings it. */
  function serially<T>(work: () => Promise<T>): Promise<T> {
    const mine = changing.then(work);
    changing = mine.catch(() => {});
    return mine;
  }

  function tellRefused(cause: unknown): PolicyError {
    const error = describeRefusal(cause, now());
    observer.onRefused(error, cause);
    return error;
  }

  function state(): PolicyState {
    const inForce = slot.inForce();
    return {
      revision: inForce?.policy.revision ?? null,
      digest: inForce?.digest ?? null,
      activatedAt: inForce?.activatedAt ?? null,
      source: supply.source,
      ...times,
      archiveBytes: inForce?.archive.byteLength ?? null,
      lastError: unreachable ?? refusal?.error ?? unkept?.error ?? null,
    };
  }

  function noteAnswer(isArchive: boolean): void {
    Object.assign(times, { answeredAt: now() }, isArchive && { downloadedAt: now() });
  }

  async function look(signal: AbortSignal): Promise<Looked> {
    const from = supply;
    times.lastAttemptAt = now();
    if (refusal !== null && PASSING.has(refusal.error.code) && now() - refusal.error.at >= TRY_AGAIN_MS) forgetRefusal();
    try {
      const found = await from.fetch(signal);
      noteAnswer(found.archive !== null);
      unreachable = null;
      const isNew = await serially(() => offer(found.archive, { validators: found.validators, source: from.source }));
      observer.onLooked(isNew ? 'changed' : 'unchanged');
      found.remember();
      // What was refused may come again at once, and again.
      return found.canWait && refusal === null && (isNew || found.archive === null) ? 'soon' : 'later';
    } catch (cause) {
      if (signal.aborted) throw cause;
      unreachable = tellRefused(cause);
      observer.onLooked('failed');
      throw cause;
    } finally {
      observer.onState(state());
    }
  }

  function forgetRefusal(): void {
    refusal = null;
    supply.forget();
  }

  /** Whether these are other bytes than before. What is refused is told and remembered. */
  async function offer(archive: Uint8Array | null, origin: Origin): Promise<boolean> {
    if (archive === null) {
      if (unkept !== null) await keep(unkept.origin);
      return false;
    }
    const digest = await digestOf(archive);
    if (digest === refusal?.digest) return false;
    const isHeld = digest === slot.inForce()?.digest;
    if (!isHeld) {
      try {
        slot.activate(await slot.load(archive, digest, plan.load));
      } catch (cause) {
        refusal = { digest, error: tellRefused(cause) };
        return true;
      }
    }
    refusal = null;
    observer.onState(state());
    await keep(origin);
    return !isHeld;
  }

  async function keep(origin: Origin): Promise<void> {
    try {
      await slot.persist(origin);
      unkept = null;
    } catch (cause) {
      // Tried again at every look: a restart must not begin with what was in force before.
      unkept = { origin, error: unkept?.error ?? { code: 'persist_failed', at: now(), message: 'it could not be persisted' } };
      observer.onPersistFailure(cause);
    }
  }

  /** What was persisted of this source, judged as if it had just come. */
  async function startPersisted(): Promise<void> {
    try {
      const kept = await store?.readBundle();
      if (kept == null || kept.source !== supply.source) return;
      slot.activate(await slot.load(kept.archive, await digestOf(kept.archive), plan.load));
      supply.recall(kept.validators);
    } catch (cause) {
      tellRefused(cause);
    }
  }

  /** A file is read here and now; a server may keep us waiting. */
  async function lookFirst(): Promise<void> {
    const looked = poller.look();
    await (supply.isFile ? looked : inTime(looked, FIRST_LOOK_MS, () => {}));
  }

  async function start(): Promise<void> {
    isStarted = true;
    if (!supply.isFile) await startPersisted();
    if (slot.inForce() !== null) {
      void poller.look();
      return;
    }
    await lookFirst();
    if (!supply.isFile || slot.inForce() !== null) return;
    const error = state().lastError;
    await startPersisted();
    if (slot.inForce() === null)
      throw new PolicyRefused(error?.code ?? 'download_failed', error?.message ?? 'there is no policy');
  }

  async function prepare(next: PolicyPlan): Promise<() => void> {
    if (next.fingerprint === plan.fingerprint) {
      forgetRefusal();
      supply.hurry();
      await lookFirst();
      const { lastError } = state();
      // A file that would not start the process is no configuration to be put in force.
      if (supply.isFile && lastError !== null) throw new PolicyRefused(lastError.code, lastError.message);
      return () => {};
    }
    const fresh = next.openSupply();
    await poller.stop();
    try {
      const candidate = await loadFor(next, fresh);
      return () => takeOver(next, fresh, candidate);
    } catch (cause) {
      tellRefused(cause);
      await fresh.close();
      poller = newPoller();
      void poller.look();
      throw cause;
    }
  }

  /** The new source's own; of a server that is down, what is in force, if the new rules let it. Null where there is neither. */
  async function loadFor(next: PolicyPlan, from: Supply): Promise<Candidate | null> {
    const found = await from.fetch(AbortSignal.timeout(FIRST_LOOK_MS)).catch((cause: unknown) => {
      if (from.isFile) throw cause;
      return null;
    });
    const archive = found?.archive ?? slot.inForce()?.archive;
    if (archive === undefined) return null;
    const loaded = await slot.load(archive, await digestOf(archive), next.load);
    return { ...loaded, origin: found && { validators: found.validators, source: from.source }, remember: found?.remember };
  }

  /** Nothing in here waits: what is asked next is asked of the new. */
  function takeOver(next: PolicyPlan, fresh: Supply, candidate: Candidate | null): void {
    const before = supply;
    plan = next;
    supply = fresh;
    refusal = null;
    unreachable = null;
    if (candidate !== null) slot.activate(candidate);
    candidate?.remember?.();
    poller = newPoller();
    const { origin } = candidate ?? {};
    if (origin) void serially(() => keep(origin));
    void before.close().then(poller.look);
  }

  async function accept(revision: string): Promise<void> {
    await slot.accept(revision);
    forgetRefusal();
    supply.hurry();
    if (isStarted) await lookFirst();
  }

  function adopt(archive: Uint8Array): Promise<void> {
    return serially(async () => {
      slot.activate(await slot.load(archive, await digestOf(archive), plan.load, true));
      await keep({ validators: NO_VALIDATORS, source: supply.source });
      observer.onState(state());
    });
  }

  async function stop(): Promise<void> {
    // What is being compiled ends with its thread.
    await inTime(poller.stop(), STOP_MS, () => {});
    await Promise.all([supply.close(), slot.close()]);
  }

  return {
    policy: () => slot.inForce()?.policy ?? null,
    archive: () => slot.inForce()?.archive ?? null,
    open: slot.remember,
    ...{ state, start, prepare, accept, adopt, stop },
  };
}
