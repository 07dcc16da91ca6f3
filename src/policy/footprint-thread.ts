/** The thread of footprint.ts: reads the data, loads them with the policy, says what that took, and is ended. */
import { parentPort, workerData } from 'node:worker_threads';
import { type BundleRefusal, PolicyRefused } from '../bundle/refusal.ts';
import { readDeclaredIn } from './declared-arguments.ts';
import { measurePages, type WasmModule } from './engine.ts';
import type { Footprint } from './footprint.ts';

export interface FootprintTask {
  readonly module: WasmModule;
  /** The data document as UTF-8. */
  readonly data: SharedArrayBuffer;
  readonly maxDataMemoryBytes: number;
}

export type FootprintReply = Footprint | { readonly refused: BundleRefusal; readonly message: string };

const { module, data, maxDataMemoryBytes } = workerData as FootprintTask;

parentPort?.postMessage(measure());

function measure(): FootprintReply {
  try {
    const bytes = new Uint8Array(data).slice();
    const declared = readDeclaredIn(Buffer.from(bytes.buffer).toString());
    return { pages: measurePages({ module, data: bytes.buffer, maxDataMemoryBytes, now: () => 0 }), declared };
  } catch (cause) {
    if (!(cause instanceof PolicyRefused)) throw cause;
    return { refused: cause.code, message: cause.message };
  }
}
