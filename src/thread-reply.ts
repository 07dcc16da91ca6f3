/** One question to a thread and what becomes of it: whoever asked says what each end means to them. */
import type { Worker } from 'node:worker_threads';

export type Heard<T> =
  | { readonly end: 'reply'; readonly reply: T }
  | { readonly end: 'error'; readonly cause: Error & { readonly code?: string } }
  | { readonly end: 'exit' | 'timeout' };

/** @param post sends the question, once somebody listens. One at a time to a thread. */
export function askThread<T>(worker: Worker, timeoutMs: number, post: () => void): Promise<Heard<T>> {
  return new Promise((resolve) => {
    const settle = (heard: Heard<T>): void => {
      clearTimeout(timer);
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      resolve(heard);
    };
    const onMessage = (reply: T): void => settle({ end: 'reply', reply });
    const onError = (cause: Error): void => settle({ end: 'error', cause });
    const onExit = (): void => settle({ end: 'exit' });
    const timer = setTimeout(() => settle({ end: 'timeout' }), timeoutMs);
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    post();
  });
}
