/** The places of evaluator.ts, each with a thread and what the thread was given; and how a question ends. */
import { deny, type Result } from '../result.ts';
import type { Denial } from '../verdict.ts';
import type { Ask, Question, Reply } from './evaluator-messages.ts';
import type { QueueItem } from './evaluator-queue.ts';
import type { Thread, ThreadEvents } from './evaluator-worker.ts';

/** Who asks what. */
export interface Asked {
  /** JSON text. */
  readonly input: string;
  /** Callers share the threads fairly. */
  readonly caller: string;
  /** Epoch milliseconds; the answer is there by then, whatever it is. */
  readonly deadlineMs: number;
  /** The time that policy sees, epoch milliseconds; now, if absent. */
  readonly nowMs?: number;
}

export interface Pending extends QueueItem {
  readonly asked: Asked;
  readonly ask: Ask;
  readonly settle: (result: Result<Reply>) => void;
  /** It was answered while its thread still had it. */
  isSettled: boolean;
}

/** A place for a thread; where one is lost, another takes it. */
export interface Seat {
  readonly thread: Thread;
  isReady: boolean;
  /** What the thread was given last, and what of it is not answered. */
  batch: readonly Pending[];
  readonly open: Map<number, Pending>;
  /** What it was doing when it was last looked at, and since when. */
  seen: number;
  seenAtMs: number;
}

/** For a thread to begin, and to recover between two questions. */
const START_MS = 30_000;

export function openSeat(start: (events: ThreadEvents) => Thread, events: ThreadEvents): Seat {
  return { thread: start(events), isReady: false, batch: [], open: new Map(), seen: 0, seenAtMs: performance.now() };
}

export function postTo(seat: Seat, questions: readonly Question[]): void {
  seat.seen = 0;
  seat.seenAtMs = performance.now();
  seat.thread.post(questions);
}

/** Whether its thread has been at the same thing for too long. Looked at now and then; it never seems longer than it is. */
export function isOverdue(seat: Seat, timeoutMs: number): boolean {
  if (seat.isReady && seat.open.size === 0) return false;
  const seen = seat.thread.begun();
  const atMs = performance.now();
  if (seen !== seat.seen) seat.seenAtMs = atMs;
  seat.seen = seen;
  return atMs - seat.seenAtMs >= (seen === 0 ? START_MS : timeoutMs);
}

export const LATE: Denial = { reason: 'policy_timeout', cause: 'an evaluation took longer than policy.timeoutMs' };
const OVERTIME = deny(LATE);
const TOO_LATE = deny({ reason: 'deadline_exceeded', cause: 'while policy was asked' });
const BEHIND_ITS_OWN = deny({ reason: 'policy_timeout', cause: 'it waited behind other slow evaluations of the same caller' });

/** What a question gets that waited in vain: where its caller is the one who keeps policy busy, more time would not help. */
export function waitedInVain(isSlow: boolean): Result<Reply> {
  return isSlow ? BEHIND_ITS_OWN : TOO_LATE;
}

/** Once; it may be late by now. */
export function settle(item: Pending, result: Result<Reply>): void {
  if (!item.isSettled) item.settle(result);
  item.isSettled = true;
}

export function endedBy(cause: unknown): Denial {
  const isFull = (cause as NodeJS.ErrnoException | null)?.code === 'ERR_WORKER_OUT_OF_MEMORY';
  return { reason: isFull ? 'policy_memory' : 'policy_failed', cause };
}

/** Answers what cannot wait any longer, though the thread still has it. */
export function settleIf({ open, thread }: Seat, isLate: (item: Pending) => boolean, isSlow: (item: Pending) => boolean): void {
  const begun = Math.abs(thread.begun());
  for (const [number, item] of open) {
    if (isLate(item)) settle(item, number === begun ? OVERTIME : waitedInVain(isSlow(item)));
  }
}
