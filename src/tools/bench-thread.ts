/** The thread of bench.ts: asks one engine again and again, so that a policy that never ends can be ended. */
import { parentPort, workerData } from 'node:worker_threads';
import type { JsonObject } from '../mcp/message.ts';
import { openEngine } from './engine.ts';
import { createParing } from './pared-input.ts';

export interface BenchTask {
  readonly wasm: Uint8Array;
  /** JSON text. */
  readonly data: string;
  /** JSON texts. */
  readonly inputs: readonly string[];
  readonly seconds: number;
  readonly maxMemoryBytes: number;
}

export interface BenchResult {
  readonly loadMs: number;
  /** Both rules, as the sidecar asks them. */
  readonly decisions: Timing;
  /** The inbound rule alone: what an item of a list costs. */
  readonly inbound: Timing;
  /** How often which reason decided. */
  readonly reasons: Readonly<Record<string, number>>;
}

export interface Timing {
  readonly count: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

const WARM_UP_MS = 300;
const MAX_SAMPLES = 1_000_000;

const { wasm, data, inputs: given, seconds, maxMemoryBytes } = workerData as BenchTask;
const begun = performance.now();
const engine = await openEngine({ wasm, data }, { maxMemoryBytes });
const loadMs = performance.now() - begun;
// Before it is measured: the sidecar, too, makes an input without what is not declared.
const { pareText } = createParing(JSON.parse(data) as JsonObject);
const inputs = given.map(pareText);
const reasons: Record<string, number> = {};

repeat(WARM_UP_MS, engine.decide);
const decisions = repeat(seconds * 500, (input) => {
  const reason = engine.decide(input);
  reasons[reason] = (reasons[reason] ?? 0) + 1;
});
const inbound = repeat(seconds * 500, engine.evaluate);
parentPort?.postMessage({ loadMs, decisions, inbound, reasons } satisfies BenchResult);

function repeat(ms: number, act: (input: string) => void): Timing {
  const samples = new Float64Array(MAX_SAMPLES);
  let [count, elapsed] = [0, 0];
  for (const start = performance.now(); elapsed < ms; elapsed = performance.now() - start) {
    const input = inputs[count % inputs.length] as string;
    const before = performance.now();
    act(input);
    // Of more than are kept each has the same chance to be.
    const place = count < MAX_SAMPLES ? count : Math.floor(Math.random() * (count + 1));
    if (place < MAX_SAMPLES) samples[place] = performance.now() - before;
    count += 1;
  }
  const sorted = samples.subarray(0, Math.min(count, MAX_SAMPLES)).sort();
  const at = (share: number): number => (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0) * 1000;
  return { count, perSecond: (count * 1000) / elapsed, p50Us: at(0.5), p99Us: at(0.99), maxUs: at(1) };
}
