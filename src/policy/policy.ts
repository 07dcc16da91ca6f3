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

/** Both questions about one request. */
export interface Questions {
  /** May this principal do this? */
  readonly inbound: () => Result<null>;
  /** Which delegation token goes to the backend? Asked only after inbound allowed. */
  readonly outbound: () => Result<Outbound>;
}

export interface Policy {
  readonly revision: string;
  /** @param input the JSON text of a PolicyInput. */
  readonly ask: (input: string) => Questions;
}

/** Rejects with PolicyRefused: what was in force stays in force. */
export async function loadPolicy(options: PolicyOptions): Promise<Policy> {
  const { wasm, data, revision } = await readBundle(options.archive, { maxBytes: options.maxBundleBytes });
  const engine = await loadEngine({ wasm, data, maxMemoryBytes: options.maxMemoryBytes, now: options.now });
  return {
    revision,
    ask: (input) => {
      const evaluate = engine.take(input);
      return {
        inbound: () => {
          const result = evaluate('inbound');
          return result.ok ? readInbound(result.value) : result;
        },
        outbound: () => {
          const result = evaluate('outbound');
          return result.ok ? readOutbound(result.value, options.maxTtlSeconds) : result;
        },
      };
    },
  };
}
