/**
 * OPA itself, compiled to WebAssembly (compiler/), as one function: nobody needs an `opa` binary. It runs in a thread of its
 * own, with bounded time and memory, and has neither files nor a network.
 */
import { Worker } from 'node:worker_threads';
import { askThread } from '../thread-reply.ts';
import { threadUrl } from '../thread-url.ts';
import type { OpaAnswer, OpaRequest } from './requests.ts';

export interface OpaOptions {
  /** For one request; beyond it the thread is ended. */
  readonly timeoutMs: number;
  readonly maxMemoryBytes: number;
}

export interface Opa {
  /** One after the other. Rejects with OpaFailed; what is wrong with the policy itself is in the answer's `errors`. */
  readonly ask: <R extends OpaRequest>(request: R) => Promise<OpaAnswer<R['command']>>;
  readonly close: () => Promise<void>;
}

/** OPA did not come to an answer. */
export class OpaFailed extends Error {
  override name = 'OpaFailed';
  readonly code: 'timeout' | 'memory' | 'failed';
  constructor(code: OpaFailed['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export const OPA_DEFAULTS: OpaOptions = { timeoutMs: 60_000, maxMemoryBytes: 1024 * 1024 * 1024 };

/** What the thread says. */
export type OpaReply = { readonly answer: string } | { readonly failed: 'memory' | 'failed'; readonly message: string };

/** Starts nothing yet: the thread begins with the first request and lasts until `close`. */
export function openOpa(options: OpaOptions = OPA_DEFAULTS): Opa {
  let worker: Worker | null = null;
  let last: Promise<unknown> = Promise.resolve();

  function start(): Worker {
    const started = new Worker(threadUrl('opa-thread', import.meta.url), {
      workerData: { maxMemoryBytes: options.maxMemoryBytes },
    });
    started.on('error', () => {});
    started.unref();
    return started;
  }

  async function askNow<R extends OpaRequest>(request: R): Promise<OpaAnswer<R['command']>> {
    worker ??= start();
    const asked = worker;
    try {
      return JSON.parse(await reply(asked, JSON.stringify(request), options.timeoutMs)) as OpaAnswer<R['command']>;
    } catch (cause) {
      // Whatever state it is in now, the next request is for a new one.
      if (worker === asked) worker = null;
      await asked.terminate();
      throw cause;
    }
  }

  return {
    ask: (request) => {
      const mine = last.then(() => askNow(request));
      last = mine.catch(() => {});
      return mine;
    },
    close: async () => {
      const ended = worker;
      worker = null;
      await ended?.terminate();
    },
  };
}

async function reply(worker: Worker, request: string, timeoutMs: number): Promise<string> {
  const heard = await askThread<OpaReply>(worker, timeoutMs, () => worker.postMessage(request));
  switch (heard.end) {
    case 'reply':
      if ('answer' in heard.reply) return heard.reply.answer;
      throw new OpaFailed(heard.reply.failed, heard.reply.message);
    case 'error':
      throw new OpaFailed('failed', `OPA ended: ${heard.cause.message}`);
    case 'exit':
      throw new OpaFailed('failed', 'OPA was ended');
    case 'timeout':
      throw new OpaFailed('timeout', `OPA took longer than ${timeoutMs} ms`);
  }
}
