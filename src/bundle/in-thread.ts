/** Reading a bundle without holding up the event loop: hashes, JSON and OPA in a thread of their own, with bounded time and memory. */
import { Worker } from 'node:worker_threads';
import { threadUrl } from '../thread-url.ts';
import type { Bundle, BundleRules } from './bundle.ts';
import type { BundleReply, BundleThreadData } from './bundle-thread.ts';
import { PolicyRefused } from './refusal.ts';

export interface BundleReaderOptions {
  /** For one bundle, without the time for OPA that its rules give; beyond it the thread is ended. */
  readonly timeoutMs?: number;
  readonly maxMemoryBytes?: number;
  /** Where compiled policies outlive the process; of signed bundles they do not. */
  readonly compiledDirectory?: string;
}

export interface BundleReader {
  /** One after the other. Rejects with PolicyRefused. */
  readonly read: (archive: Uint8Array, rules: BundleRules) => Promise<Bundle>;
  /** Whatever is being read is refused. */
  readonly close: () => Promise<void>;
}

const TIMEOUT_MS = 30_000;
const MAX_MEMORY_BYTES = 1024 * 1024 * 1024;
const MIB = 1024 * 1024;

/** Starts nothing yet: the thread begins with the first bundle, and lasts, since it knows what it compiled. */
export function openBundleReader(options: BundleReaderOptions = {}): BundleReader {
  const { timeoutMs = TIMEOUT_MS, maxMemoryBytes = MAX_MEMORY_BYTES, compiledDirectory = null } = options;
  let worker: Worker | null = null;
  let last: Promise<unknown> = Promise.resolve();

  function start(): Worker {
    const data: BundleThreadData = { compiledDirectory };
    const started = new Worker(threadUrl('bundle-thread', import.meta.url), {
      workerData: data,
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(maxMemoryBytes / MIB) },
    });
    started.on('error', () => {});
    started.unref();
    return started;
  }

  async function readNow(archive: Uint8Array, rules: BundleRules): Promise<Bundle> {
    if (archive.byteLength > rules.maxBytes)
      throw new PolicyRefused('too_large', `the bundle is larger than ${rules.maxBytes} bytes`);
    worker ??= start();
    const asked = worker;
    try {
      return await ask(asked, archive, rules, timeoutMs + rules.compile.timeoutMs);
    } catch (cause) {
      if (cause instanceof ThreadEnded) {
        // Whatever state it is in now, the next bundle is for a new one.
        if (worker === asked) worker = null;
        await asked.terminate();
        throw new PolicyRefused(cause.code, cause.message);
      }
      throw cause;
    }
  }

  return {
    read: (archive, rules) => {
      const mine = last.then(() => readNow(archive, rules));
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

/** The thread came to no answer. */
class ThreadEnded extends Error {
  readonly code: 'timeout' | 'too_large' | 'archive_invalid';
  constructor(code: ThreadEnded['code'], message: string) {
    super(message);
    this.code = code;
  }
}

function ask(worker: Worker, archive: Uint8Array, rules: BundleRules, timeoutMs: number): Promise<Bundle> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void): void => {
      clearTimeout(timer);
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      end();
    };
    const fail = (code: ThreadEnded['code'], message: string): void => settle(() => reject(new ThreadEnded(code, message)));
    const onMessage = (said: BundleReply): void => {
      if ('bundle' in said) settle(() => resolve(said.bundle));
      else if ('refused' in said) settle(() => reject(new PolicyRefused(said.refused, said.message)));
      else fail('archive_invalid', `the bundle cannot be read: ${said.failed}`);
    };
    const onError = (cause: Error & { readonly code?: string }): void =>
      cause.code === 'ERR_WORKER_OUT_OF_MEMORY'
        ? fail('too_large', 'reading the bundle needs more memory than is given to it')
        : fail('archive_invalid', `the bundle cannot be read: ${cause.message}`);
    const onExit = (): void => fail('timeout', 'reading the bundle was ended');
    const timer = setTimeout(() => fail('timeout', `reading the bundle took longer than ${timeoutMs} ms`), timeoutMs);
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    const copy = new Uint8Array(archive);
    worker.postMessage({ archive: copy, rules }, [copy.buffer]);
  });
}
