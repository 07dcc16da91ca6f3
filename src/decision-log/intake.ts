/**
 * Lines on their way to where they are kept: in order, one write at a time. What could not be written stays here, in memory, and
 * is tried again until it is: only a bound or the end of the process loses a line.
 */
import { lengthOf, takeUpTo } from './line-buffer.ts';

export interface IntakeOptions {
  /** Keeps lines, or rejects and has kept none of them. */
  readonly append: (lines: readonly string[]) => Promise<void>;
  readonly onFailure?: ((cause: unknown) => void) | undefined;
  /** Nothing waits any more after a failure. */
  readonly onMended?: (() => void) | undefined;
  /** After a failure, until it is tried again. */
  readonly retryMs?: number | undefined;
}

export interface Intake {
  /** Resolves when they are kept, or wait because a write failed. */
  readonly take: (lines: readonly string[]) => Promise<void>;
  /** What waits here. */
  readonly characters: () => number;
  /** From a failure until nothing waits any more. */
  readonly isFailing: () => boolean;
  /** One more try. Resolves to what could not be kept, and is the caller's then. */
  readonly close: () => Promise<readonly string[]>;
  /** Lines that still wait. */
  readonly count: () => number;
}

const RETRY_MS = 1000;
/** Written in one go: on a disk that is nearly full a little may find room. */
const MAX_CHARACTERS = 1024 * 1024;

export function createIntake({ append, onFailure, onMended, retryMs = RETRY_MS }: IntakeOptions): Intake {
  let waiting: string[] = [];
  let characters = 0;
  let failing = false;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;
  let turn: Promise<void> = Promise.resolve();
  /** Begins when the write before it has ended, with all that came until then. */
  let next: Promise<void> | null = null;

  async function take(lines: readonly string[]): Promise<void> {
    for (const line of lines) waiting.push(line);
    characters += lengthOf(lines);
    if (!failing) await begin();
  }

  function begin(): Promise<void> {
    next ??= turn.then(write);
    turn = next;
    return next;
  }

  async function write(): Promise<void> {
    next = null;
    clearTimeout(retry);
    let left = waiting.length;
    try {
      while (left > 0) {
        const lines = takeUpTo(waiting.slice(0, left), MAX_CHARACTERS);
        await append(lines);
        waiting = waiting.slice(lines.length);
        characters -= lengthOf(lines);
        // Who failed writes what came meanwhile too: nobody else does.
        left = failing ? waiting.length : left - lines.length;
      }
      if (failing) onMended?.();
      failing = false;
    } catch (cause) {
      failing = true;
      onFailure?.(cause);
      if (!closed) retry = setTimeout(begin, retryMs);
    }
  }

  async function close(): Promise<readonly string[]> {
    closed = true;
    clearTimeout(retry);
    await begin();
    const left = waiting;
    waiting = [];
    characters = 0;
    return left;
  }

  return { take, characters: () => characters, isFailing: () => failing, close, count: () => waiting.length };
}
