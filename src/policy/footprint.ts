/**
 * What a policy and its data occupy in WebAssembly's memory, found by loading them once: what a value takes there differs a
 * hundredfold. In a thread that ends, because nothing else gives the memory back at once.
 */
import { Worker } from 'node:worker_threads';
import { PolicyRefused } from '../bundle/refusal.ts';
import { askThread } from '../thread-reply.ts';
import { threadUrl } from '../thread-url.ts';
import { readDeclaredIn } from './declared-arguments.ts';
import type { WasmModule } from './engine.ts';
import type { Declared } from './evaluator-messages.ts';
import type { FootprintReply, FootprintTask } from './footprint-thread.ts';

export interface Footprint {
  /** Of WebAssembly's memory; where there is little, what it occupies at most. */
  readonly pages: number;
  /** The arguments that policy reads: the data is read for them here, and nowhere else. */
  readonly declared: Declared;
}

/** For a module that never comes to an end where it should only be loaded. */
const TIMEOUT_MS = 30_000;
const MIB = 1024 * 1024;
/** For JavaScript: an empty object is three bytes of JSON with its comma, and sixty of these. */
const HEAP_MIB = 64;
const HEAP_PER_DATA = 40;

/** Of data, and of the module. A hundred times the one and all of the other fit into these pages: nobody need measure that. */
const LITTLE_BYTES = 32 * 1024;
const LITTLE_MODULE_BYTES = MIB;
const LITTLE_PAGES = 128;

/** @param moduleBytes of policy.wasm. Rejects with PolicyRefused. */
export async function measureFootprint(
  module: WasmModule,
  moduleBytes: number,
  data: SharedArrayBuffer,
  maxDataMemoryBytes: number,
): Promise<Footprint> {
  if (data.byteLength <= LITTLE_BYTES && moduleBytes <= LITTLE_MODULE_BYTES) {
    const text = Buffer.from(new Uint8Array(data)).toString();
    return { pages: LITTLE_PAGES, declared: readDeclaredIn(text) };
  }
  const worker = new Worker(threadUrl('footprint-thread', import.meta.url), {
    workerData: { module, data, maxDataMemoryBytes } satisfies FootprintTask,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB + Math.ceil((HEAP_PER_DATA * data.byteLength) / MIB) },
  });
  try {
    const heard = await askThread<FootprintReply>(worker, TIMEOUT_MS, () => {});
    if (heard.end === 'reply') return footprintOf(heard.reply);
    if (heard.end === 'timeout') throw new PolicyRefused('timeout', 'the policy could not be loaded in time');
    if (heard.end === 'error' && heard.cause.code === 'ERR_WORKER_OUT_OF_MEMORY')
      throw new PolicyRefused('data_too_large', 'the data cannot be read with the memory there is for it');
    const why = heard.end === 'error' ? heard.cause.message : 'its thread ended';
    throw new PolicyRefused('wasm_invalid', `the policy cannot be loaded: ${why}`);
  } finally {
    await worker.terminate();
  }
}

function footprintOf(said: FootprintReply): Footprint {
  if ('refused' in said) throw new PolicyRefused(said.refused, said.message);
  return said;
}
