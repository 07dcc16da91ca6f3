/** The policy in force: one bundle's engine under one revision. Both questions of a request go to the same one. */
import type { Result } from '../result.ts';
import { readBundle } from './bundle.ts';
import { type Outbound, readInbound, readOutbound } from './decision.ts';
import { loadEngine } from './engine.ts';

export interface PolicyOptions {
  /** The bundle as read: a gzipped tar. */
  readonly archive: Uint8Array;
  readonly maxBundleBytes: number;
  readonly maxMemoryBytes: number;
  readonly maxTtlSeconds: number;
  readonly now: () => number;
}

export interface Policy {
  readonly revision: string;
  /** May this principal do this? `input` is the JSON text of a PolicyInput. */
  readonly inbound: (input: ArrayBuffer) => Result<null>;
  /** Which delegation token goes to the backend? Asked only after inbound allowed. */
  readonly outbound: (input: ArrayBuffer) => Result<Outbound>;
}

/** Rejects with PolicyRefused: what was in force stays in force. */
export async function loadPolicy(options: PolicyOptions): Promise<Policy> {
  const { wasm, data, revision } = await readBundle(options.archive, { maxBytes: options.maxBundleBytes });
  const engine = await loadEngine({ wasm, data, maxMemoryBytes: options.maxMemoryBytes, now: options.now });
  return {
    revision,
    inbound: (input) => {
      const result = engine.evaluate('inbound', input);
      return result.ok ? readInbound(result.value) : result;
    },
    outbound: (input) => {
      const result = engine.evaluate('outbound', input);
      return result.ok ? readOutbound(result.value, options.maxTtlSeconds) : result;
    },
  };
}
