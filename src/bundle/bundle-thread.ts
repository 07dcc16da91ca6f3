/** The thread of in-thread.ts: reads one bundle after the other, and knows what it compiled before. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Bundle, type BundleRules, readBundle } from './bundle.ts';
import { type CompiledCache, createCompiledMemory, layerCaches, openCompiledDirectory } from './compiled-cache.ts';
import { type BundleRefusal, PolicyRefused } from './refusal.ts';

export interface BundleQuestion {
  readonly archive: Uint8Array;
  readonly rules: BundleRules;
}

export type BundleReply =
  | { readonly bundle: Bundle }
  | { readonly refused: BundleRefusal; readonly message: string; readonly revision: string | null }
  | { readonly failed: string };

export interface BundleThreadData {
  readonly compiledDirectory: string | null;
}

const { compiledDirectory } = workerData as BundleThreadData;
const memory = createCompiledMemory();
const all = compiledDirectory === null ? memory : layerCaches(memory, openCompiledDirectory(compiledDirectory));

parentPort?.on('message', ({ archive, rules }: BundleQuestion) => {
  // What a folder holds nobody has signed.
  void answer(archive, rules, rules.signing === null ? all : memory);
});

async function answer(archive: Uint8Array, rules: BundleRules, cache: CompiledCache): Promise<void> {
  try {
    const bundle = await readBundle(archive, rules, cache);
    const wasm = new Uint8Array(bundle.wasm);
    reply({ bundle: { ...bundle, wasm } }, [wasm.buffer]);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    if (!(cause instanceof PolicyRefused)) return reply({ failed: message });
    reply({ refused: cause.code, message, revision: cause.revision });
  }
}

function reply(said: BundleReply, transferred: ArrayBuffer[] = []): void {
  parentPort?.postMessage(said, transferred);
}
