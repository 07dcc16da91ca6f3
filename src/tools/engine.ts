/** The sidecar's engine for the tools: the one place here that knows how one is made and asked. */

import { type Outbound, readInbound, readOutbound, readResultSet } from '../policy/decision.ts';
import { compileModule, createEngine, ENTRYPOINTS, type Entrypoint } from '../policy/engine.ts';
import { ok, type Result } from '../result.ts';

/** Four times what a sidecar gives a policy by default. */
export const MAX_MEMORY_BYTES = 128 * 1024 * 1024;
export const MAX_DATA_MEMORY_BYTES = 2048 * 1024 * 1024;
export const MAX_TTL_SECONDS = 60;

/** What both rules answer; outbound is asked only after inbound allowed. */
export interface ToolAnswer {
  readonly inbound: Result<unknown>;
  readonly outbound: Result<Outbound> | null;
}

export interface ToolEngine {
  /** Asks both rules as the sidecar does. */
  readonly answer: (input: string) => ToolAnswer;
  /** The reason of the rule that decided. */
  readonly decide: (input: string) => string;
  /** Inbound alone, its answer not read. */
  readonly evaluate: (input: string) => void;
}

export interface ToolEngineOptions {
  readonly maxTtlSeconds?: number;
  readonly maxMemoryBytes?: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** Rejects with PolicyRefused. @param data JSON text. */
export async function openEngine(
  { wasm, data }: { readonly wasm: Uint8Array; readonly data: string },
  { maxTtlSeconds = MAX_TTL_SECONDS, maxMemoryBytes = MAX_MEMORY_BYTES, now = Date.now }: ToolEngineOptions = {},
): Promise<ToolEngine> {
  const module = await compileModule(wasm);
  const limits = { maxMemoryBytes, maxDataMemoryBytes: MAX_DATA_MEMORY_BYTES };
  const engine = createEngine({ module, data: JSON.parse(data) as object, ...limits, now });

  function answer(input: string): ToolAnswer {
    const evaluate = engine.take(input);
    const ask = (entrypoint: Entrypoint): Result<unknown> => {
      const results = evaluate(ENTRYPOINTS[entrypoint]);
      return results.ok ? ok(readResultSet(results.value)) : results;
    };
    const asked = ask('inbound');
    const inbound = asked.ok ? readInbound(asked.value) : asked;
    if (!inbound.ok) return { inbound, outbound: null };
    const outbound = ask('outbound');
    return { inbound, outbound: outbound.ok ? readOutbound(outbound.value, maxTtlSeconds) : outbound };
  }

  function decide(input: string): string {
    const { inbound, outbound } = answer(input);
    const last = outbound ?? inbound;
    return last.ok ? 'allowed' : last.denial.reason;
  }

  return { answer, decide, evaluate: (input) => void engine.take(input)(ENTRYPOINTS.inbound) };
}
