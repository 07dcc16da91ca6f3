/**
 * Threads that evaluate one policy, so that no question holds up anything but itself: one that takes too long, or breaks its
 * thread, ends with the thread; what waited behind it is asked of another, and a new thread takes the place.
 */

import { LRUCache } from 'lru-cache';
import { PolicyRefused } from '../bundle/refusal.ts';
import { deny, ok, type Result } from '../result.ts';
import type { Denial } from '../verdict.ts';
import type { Ask, Question, Reply, ThreadMessage, ThreadStart } from './evaluator-messages.ts';
import { createQueue } from './evaluator-queue.ts';
import {
  type Asked,
  endedBy,
  isOverdue,
  LATE,
  openSeat,
  type Pending,
  postTo,
  type Seat,
  settle,
  settleIf,
  waitedInVain,
} from './evaluator-seat.ts';
import { type StartThread, startThread } from './evaluator-worker.ts';

export interface EvaluatorOptions extends Omit<ThreadStart, 'begun'> {
  readonly workers: number;
  /** For one evaluation, from when its thread begins it. */
  readonly timeoutMs: number;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly start?: StartThread;
}

export interface Evaluator {
  readonly entrypoints: readonly string[];
  readonly ask: (asked: Asked, ask: Ask) => Promise<Result<Reply>>;
  /** Resolves when what is under way is answered. What is asked afterwards is refused. */
  readonly close: () => Promise<void>;
}

/** How often threads and deadlines are looked at while anything is under way. */
const TICK_MS = 10;
const MAX_RESTART_MS = 5000;
/** Questions that go to a thread in one message. */
const MAX_BATCH = 16;
const MAX_WAITING = 4096;
const MAX_WAITING_EACH = MAX_WAITING / 4;
/** How long a caller counts as slow whose question took this part of the time there is, or broke its engine. */
const SLOW_MS = 10_000;
const SLOW_PART = 4;
const MAX_NUMBER = 0x7fff_ffff;

/** Resolves when all threads can answer; rejects with PolicyRefused. */
export function openEvaluator(options: EvaluatorOptions): Promise<Evaluator> {
  const { workers, timeoutMs, now, start = startThread } = options;
  const slow = new LRUCache<string, true>({ max: 10_000, ttl: SLOW_MS });
  const queue = createQueue<Pending>({
    threads: workers,
    maxWaiting: MAX_WAITING,
    maxWaitingEach: MAX_WAITING_EACH,
    isSlow: (caller) => slow.has(caller),
  });
  const opened = Promise.withResolvers<Evaluator>();
  const closed = Promise.withResolvers<void>();
  const seats = new Set<Seat>();
  let isOpen = false;
  let isClosing = false;
  let number = 0;
  let failedStarts = 0;
  let isScheduled = false;
  let ticking: NodeJS.Timeout | null = null;

  function ask(asked: Asked, what: Ask): Promise<Result<Reply>> {
    if (isClosing) return Promise.resolve(deny({ reason: 'policy_failed', cause: 'the policy is closed' }));
    return new Promise((settle) => {
      const weight = what.kind === 'each' ? what.each.length : 1;
      const item = { caller: asked.caller, weight, asked, ask: what, settle, isSettled: false };
      if (!queue.add(item)) return settle(deny({ reason: 'overloaded', cause: 'too many questions wait for policy' }));
      schedule();
    });
  }

  /** What is asked in one turn of the loop goes out together. */
  function schedule(): void {
    if (!isScheduled) setImmediate(dispatch);
    isScheduled = true;
  }

  function dispatch(): void {
    isScheduled = false;
    const ready = [...seats].filter((one) => one.isReady);
    let free = ready.filter((one) => one.open.size === 0);
    while (free.length > 0 && queue.size() > 0) {
      const items = queue.take(Math.min(MAX_BATCH, Math.ceil(queue.size() / free.length)), ready.length);
      if (items.length === 0) break;
      post(free[0] as Seat, items);
      free = free.slice(1);
    }
    watch();
  }

  function post(to: Seat, items: readonly Pending[]): void {
    to.batch = items;
    const questions: Question[] = items.map((item) => {
      number = (number % MAX_NUMBER) + 1;
      to.open.set(number, item);
      return { number, ask: item.ask, input: item.asked.input, nowMs: item.asked.nowMs ?? now() };
    });
    postTo(to, questions);
  }

  function takeReplies(from: Seat, replies: readonly Reply[]): void {
    for (const reply of replies) {
      const item = from.open.get(reply.number);
      if (item === undefined) continue;
      from.open.delete(reply.number);
      if (reply.tookMs > timeoutMs / SLOW_PART || isBroken(reply)) slow.set(item.caller, true);
      settle(item, ok(reply));
    }
    if (from.open.size > 0) return;
    queue.release(from.batch);
    from.batch = [];
    schedule();
    endIfIdle();
  }

  function takeReady(from: Seat, { entrypoints }: Pick<Evaluator, 'entrypoints'>): void {
    failedStarts = 0;
    from.isReady = true;
    schedule();
    if (isOpen || seats.size < workers || [...seats].some((one) => !one.isReady)) return;
    isOpen = true;
    opened.resolve({ entrypoints, ask, close });
  }

  function takeMessage(from: Seat, message: ThreadMessage): void {
    if (message.kind === 'replies') takeReplies(from, message.replies);
    else if (message.kind === 'ready') takeReady(from, message);
    else lose(from, { reason: 'policy_failed', cause: message.message }, new PolicyRefused(message.code, message.message));
  }

  function seat(): void {
    const { module, data, maxMemoryBytes, dataPages } = options;
    const mine: Seat = openSeat((events) => start({ module, data, maxMemoryBytes, dataPages }, events), {
      onMessage: (message) => takeMessage(mine, message),
      onEnd: (cause) => lose(mine, endedBy(cause), cause),
    });
    seats.add(mine);
    watch();
  }

  /** The thread is of no use any more: what it was evaluating is refused, the rest asked of another. */
  function lose(lost: Seat, denial: Denial, cause: unknown): void {
    if (!seats.delete(lost)) return;
    const guilty = lost.open.get(Math.abs(lost.thread.begun()));
    lost.thread.end().catch(() => {});
    queue.release(lost.batch);
    const others = [...lost.open.values()].filter((item) => item !== guilty && !item.isSettled);
    if (guilty === undefined) for (const item of others) settle(item, deny(denial));
    else {
      slow.set(guilty.caller, true);
      settle(guilty, deny(denial));
      queue.putBack(others);
    }
    if (lost.isReady) seat();
    else if (isOpen) seatLater();
    else fail(cause);
    schedule();
    endIfIdle();
  }

  /** What cannot begin is tried again, less and less often. */
  function seatLater(): void {
    const waitMs = Math.min(MAX_RESTART_MS, 100 * 2 ** failedStarts++);
    setTimeout(() => {
      if (!isClosing || queue.size() > 0) seat();
    }, waitMs).unref();
  }

  /** It never could answer. */
  function fail(cause: unknown): void {
    isClosing = true;
    const refused = new PolicyRefused('wasm_invalid', `the policy cannot be run in a thread: ${describe(cause)}`, { cause });
    opened.reject(cause instanceof PolicyRefused ? cause : refused);
    endAll();
  }

  /** Somebody has to look as long as there is anything to wait for; that also keeps the process up. */
  function watch(): void {
    if (ticking !== null || !isWaiting()) return;
    ticking = setTimeout(() => {
      ticking = null;
      tick();
      watch();
    }, TICK_MS);
  }

  function isWaiting(): boolean {
    return queue.size() > 0 || [...seats].some((one) => !one.isReady || one.open.size > 0);
  }

  function tick(): void {
    // Nobody looks again before the next tick, and an answer that comes too late is none.
    const untilMs = now() + TICK_MS;
    const isLate = ({ asked }: Pending): boolean => asked.deadlineMs <= untilMs;
    const isSlow = ({ caller }: Pending): boolean => slow.has(caller);
    for (const item of queue.remove(isLate)) settle(item, waitedInVain(isSlow(item)));
    for (const one of [...seats]) {
      settleIf(one, isLate, isSlow);
      if (isOverdue(one, timeoutMs)) lose(one, LATE, new PolicyRefused('timeout', 'a thread did not begin in time'));
    }
    endIfIdle();
  }

  function close(): Promise<void> {
    isClosing = true;
    endIfIdle();
    return closed.promise;
  }

  function endIfIdle(): void {
    if (isClosing && queue.size() === 0 && [...seats].every(({ open }) => open.size === 0)) endAll();
  }

  function endAll(): void {
    const ended = [...seats].map(({ thread }) => thread.end());
    seats.clear();
    Promise.all(ended).then(() => closed.resolve(), closed.reject);
  }

  for (let at = 0; at < workers; at++) seat();
  return opened.promise;
}

function describe(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'unknown failure';
}

/** Its engine has to be made anew, which takes longer than most questions. */
function isBroken({ said }: Reply): boolean {
  return said.some((one) => typeof one !== 'string');
}
