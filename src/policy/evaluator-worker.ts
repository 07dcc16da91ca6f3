/** One thread of evaluator.ts, seen from outside. */
import { Worker } from 'node:worker_threads';
import { threadUrl } from '../thread-url.ts';
import type { Question, ThreadMessage, ThreadStart } from './evaluator-messages.ts';

export interface ThreadEvents {
  readonly onMessage: (message: ThreadMessage) => void;
  /** It ended by itself; once, and nothing comes after it. */
  readonly onEnd: (cause: unknown) => void;
}

export interface Thread {
  readonly post: (questions: readonly Question[]) => void;
  /** The question that it evaluates, below 0 the second of two; 0: none. */
  readonly begun: () => number;
  /** Ends it wherever it is; it says nothing more. */
  readonly end: () => Promise<void>;
}

export type StartThread = (start: Omit<ThreadStart, 'begun'>, events: ThreadEvents) => Thread;

const MIB = 1024 * 1024;
/** For JavaScript beside the instance's own memory: built-ins. */
const HEAP_MIB = 64;

export const startThread: StartThread = (start, { onMessage, onEnd }) => {
  const begun = new Int32Array(new SharedArrayBuffer(4));
  let ended = false;
  const worker = new Worker(threadUrl('evaluator-thread', import.meta.url), {
    workerData: { ...start, begun: begun.buffer } satisfies ThreadStart,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB + Math.ceil((4 * start.maxMemoryBytes) / MIB) },
  });
  const end = (cause: unknown): void => {
    if (!ended) onEnd(cause);
    ended = true;
  };
  worker.on('message', (message: ThreadMessage) => {
    if (!ended) onMessage(message);
  });
  worker.on('error', end);
  worker.on('exit', (code) => end(new Error(`the thread ended with ${code}`)));
  // Whoever waits for an answer keeps the process up; the thread alone does not.
  worker.unref();
  return {
    post: (questions) => worker.postMessage(questions),
    begun: () => Atomics.load(begun, 0),
    end: async () => {
      ended = true;
      await worker.terminate();
    },
  };
};
