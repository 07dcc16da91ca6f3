/** The sidecar's engine for the tools: the one place here that knows how one is made and asked. */

import { readInbound, readOutbound, readResultSet } from '../policy/decision.ts';
import { compileModule, createEngine, ENTRYPOINTS } from '../policy/engine.ts';

/** As large as one may be made in a configuration. */
const MAX_MEMORY_BYTES = 128 * 1024 * 1024;
const MAX_TTL_SECONDS = 60;

export interface ToolEngine {
  /** Asks both rules as the sidecar does, outbound only after inbound allowed; the reason of the one that decided. */
  readonly decide: (input: string) => string;
  /** Inbound alone, its answer not read. */
  readonly evaluate: (input: string) => void;
}

/** Rejects with PolicyRefused. @param data JSON text. */
export async function openEngine({ wasm, data }: { readonly wasm: Uint8Array; readonly data: string }): Promise<ToolEngine> {
  const module = await compileModule(wasm);
  const engine = createEngine({ module, data: JSON.parse(data) as object, maxMemoryBytes: MAX_MEMORY_BYTES, now: Date.now });

  function decide(input: string): string {
    const ask = engine.take(input);
    const inbound = ask(ENTRYPOINTS.inbound);
    if (!inbound.ok) return inbound.denial.reason;
    const judged = readInbound(readResultSet(inbound.value));
    if (!judged.ok) return judged.denial.reason;
    const outbound = ask(ENTRYPOINTS.outbound);
    if (!outbound.ok) return outbound.denial.reason;
    const token = readOutbound(readResultSet(outbound.value), MAX_TTL_SECONDS);
    return token.ok ? 'allowed' : token.denial.reason;
  }

  return { decide, evaluate: (input) => void engine.take(input)(ENTRYPOINTS.inbound) };
}
