/** The policy in force: one bundle's engine under one revision. Both questions of a request go to the same one. */
import { LRUCache } from 'lru-cache';
import type { Bundle } from '../bundle/bundle.ts';
import { ok, type Result } from '../result.ts';
import { type Outbound, readInbound, readOutbound, readResultSet } from './decision.ts';
import { type Engine, loadEngine } from './engine.ts';

export interface PolicyOptions {
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
  /** The inbound question for many inputs that differ in `members` alone: see Engine.takeEach. */
  readonly askEach: (...asked: Parameters<Engine['takeEach']>) => Result<readonly Result<null>[]>;
}

/** Rejects with PolicyRefused: what was in force stays in force. */
export async function loadPolicy({ wasm, data, revision }: Bundle, options: PolicyOptions): Promise<Policy> {
  const { maxMemoryBytes, now } = options;
  const engine = await loadEngine({ wasm, data: new TextEncoder().encode(data).buffer, maxMemoryBytes, now });
  const inbound = reader(readInbound);
  const outbound = reader((result) => readOutbound(result, options.maxTtlSeconds));
  return {
    revision,
    ask: (input) => {
      const evaluate = engine.take(input);
      return {
        inbound: () => {
          const results = evaluate('inbound');
          return results.ok ? inbound(results.value) : results;
        },
        outbound: () => {
          const results = evaluate('outbound');
          return results.ok ? outbound(results.value) : results;
        },
      };
    },
    askEach: (...asked) => {
      const results = engine.takeEach(...asked);
      return results.ok ? ok(results.value.map(inbound)) : results;
    },
  };
}

const MAX_KEPT = 256;
const MAX_KEPT_CHARACTERS = 1024;

/** A policy says the same few things again and again; each is judged once. What it says is evaluated every time. */
function reader<T>(read: (result: unknown) => Result<T>): (results: string) => Result<T> {
  const known = new LRUCache<string, Result<T>>({ max: MAX_KEPT });
  return (results) => {
    const before = known.get(results);
    if (before !== undefined) return before;
    const answer = read(readResultSet(results));
    if (results.length <= MAX_KEPT_CHARACTERS) known.set(results, answer);
    return answer;
  };
}
