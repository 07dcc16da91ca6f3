/** Reading a bundle without holding up the event loop: hashes, JSON and OPA in a thread of their own, with bounded time and memory. */
import { Worker } from 'node:worker_threads';
import { askThread } from '../thread-reply.ts';
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

async function ask(worker: Worker, archive: Uint8Array, rules: BundleRules, timeoutMs: number): Promise<Bundle> {
  const heard = await askThread<BundleReply>(worker, timeoutMs, () => {
    const copy = new Uint8Array(archive);
    worker.postMessage({ archive: copy, rules }, [copy.buffer]);
  });
  switch (heard.end) {
    case 'reply':
      return bundleOf(heard.reply);
    case 'error':
      throw heard.cause.code === 'ERR_WORKER_OUT_OF_MEMORY'
        ? new ThreadEnded('too_large', 'reading the bundle needs more memory than is given to it')
        : new ThreadEnded('archive_invalid', `the bundle cannot be read: ${heard.cause.message}`);
    case 'exit':
      throw new ThreadEnded('timeout', 'reading the bundle was ended');
    case 'timeout':
      throw new ThreadEnded('timeout', `reading the bundle took longer than ${timeoutMs} ms`);
  }
}

function bundleOf(said: BundleReply): Bundle {
  if ('bundle' in said) return said.bundle;
  if ('refused' in said) throw Object.assign(new PolicyRefused(said.refused, said.message), { revision: said.revision });
  throw new ThreadEnded('archive_invalid', `the bundle cannot be read: ${said.failed}`);
}
