/**
 * One policy, asked in threads of its own: what is asked, and the strict reading of what it says. Both questions of a request
 * go to the same policy, in one visit.
 */

import { LRUCache } from 'lru-cache';
import type { Bundle } from '../bundle/bundle.ts';
import { ok, type Result } from '../result.ts';
import { type Inbound, type Outbound, readInbound, readOutbound, readResultSet } from './decision.ts';
import { indexDeclared } from './declared-arguments.ts';
import { ENTRYPOINTS, MAX_DATA_MEMORY_BYTES } from './engine.ts';
import { openEvaluator } from './evaluator.ts';
import type { Ask, Reply, Said } from './evaluator-messages.ts';
import type { Asked } from './evaluator-seat.ts';
import { measureFootprint } from './footprint.ts';
import { compileOnce } from './module.ts';
import { probe } from './probes.ts';

export type { Asked } from './evaluator-seat.ts';

/** What a policy is made of. */
export type PolicySource = Pick<Bundle, 'revision' | 'digest' | 'wasm' | 'data'>;

export interface PolicyOptions {
  /** Threads. */
  readonly workers: number;
  /** For one evaluation. */
  readonly timeoutMs: number;
  /** Of one evaluation, beside what module and data occupy. */
  readonly maxMemoryBytes: number;
  /** What module and data may occupy. */
  readonly maxDataMemoryBytes?: number;
  readonly maxTtlSeconds: number;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

export interface Answer {
  /** May this principal do this? */
  readonly inbound: Result<Inbound>;
  /** Which delegation token goes to the backend? Null unless inbound allows. */
  readonly outbound: Result<Outbound> | null;
  /** With the time that it waited. */
  readonly inboundMs: number;
  readonly outboundMs: number;
}

export interface Policy {
  readonly revision: string;
  readonly digest: string;
  /** Both questions about one request. */
  readonly ask: (asked: Asked) => Promise<Answer>;
  readonly askInbound: (asked: Asked) => Promise<Result<Inbound>>;
  /** The inbound question for many inputs that differ in `members` alone: see Engine.takeEach. */
  readonly askEach: (
    asked: Asked,
    members: readonly string[],
    each: Iterable<readonly string[]>,
  ) => Promise<Result<readonly Result<Inbound>[]>>;
  /** What any other entry point says; undefined where its rule is. */
  readonly evaluate: (entrypoint: string, asked: Asked) => Promise<Result<unknown>>;
  readonly has: (entrypoint: string) => boolean;
  /** The arguments of a tool that policy is given; null: all. */
  readonly declaredArguments: (backend: string, tool: string) => ReadonlySet<string> | null;
  /** Resolves when what was asked before is answered. */
  readonly close: () => Promise<void>;
}

/** Items of a list that are asked about in one go. */
const CHUNK = 100;

/** Rejects with PolicyRefused: what was in force stays in force. */
export async function loadPolicy(source: PolicySource, options: PolicyOptions): Promise<Policy> {
  const { workers, timeoutMs, maxMemoryBytes, maxDataMemoryBytes = MAX_DATA_MEMORY_BYTES, maxTtlSeconds, now } = options;
  const module = await compileOnce(source.wasm);
  const data = share(source.data);
  const { pages: dataPages, declared } = await measureFootprint(module, source.wasm.byteLength, data, maxDataMemoryBytes);
  const evaluator = await openEvaluator({ module, data, dataPages, maxMemoryBytes, workers, timeoutMs, now });
  const inbound = reader(readInbound);
  const outbound = reader((result) => readOutbound(result, maxTtlSeconds));

  async function askOne(asked: Asked, entrypoint: string): Promise<Result<string>> {
    const reply = await evaluator.ask(asked, { kind: 'one', entrypoint });
    return reply.ok ? toText(reply.value.said[0] as Said) : reply;
  }

  async function ask(asked: Asked): Promise<Answer> {
    const startMs = performance.now();
    const reply = await evaluator.ask(asked, BOTH);
    const outboundMs = reply.ok ? reply.value.secondMs : 0;
    return { ...readBoth(reply), inboundMs: performance.now() - startMs - outboundMs, outboundMs };
  }

  function readBoth(reply: Result<Reply>): Pick<Answer, 'inbound' | 'outbound'> {
    if (!reply.ok) return { inbound: reply, outbound: null };
    const [first, second] = reply.value.said;
    const said = read(first as Said, inbound);
    return { inbound: said, outbound: said.ok ? read(second as Said, outbound) : null };
  }

  async function askEach(
    asked: Asked,
    members: readonly string[],
    each: Iterable<readonly string[]>,
  ): Promise<Result<readonly Result<Inbound>[]>> {
    const replies = await Promise.all(
      chunksOf([...each]).map((chunk) => evaluator.ask(asked, { kind: 'each', members, each: chunk })),
    );
    const answers: Result<Inbound>[] = [];
    for (const reply of replies) {
      if (!reply.ok) return reply;
      for (const said of reply.value.said) {
        const text = toText(said);
        if (!text.ok) return text;
        answers.push(inbound(text.value));
      }
    }
    return ok(answers);
  }

  const policy: Policy = {
    revision: source.revision,
    digest: source.digest,
    ask,
    askInbound: async (asked) => {
      const text = await askOne(asked, ENTRYPOINTS.inbound);
      return text.ok ? inbound(text.value) : text;
    },
    askEach,
    evaluate: async (entrypoint, asked) => {
      const text = await askOne(asked, entrypoint);
      return text.ok ? ok(readResultSet(text.value)) : text;
    },
    has: (entrypoint) => evaluator.entrypoints.includes(entrypoint),
    declaredArguments: indexDeclared(declared),
    close: evaluator.close,
  };
  try {
    await probe(policy, maxTtlSeconds, now);
  } catch (cause) {
    await policy.close();
    throw cause;
  }
  return policy;
}

const BOTH: Ask = { kind: 'both' };

/** For all threads, without a copy for each. */
function share(text: string): SharedArrayBuffer {
  const shared = new SharedArrayBuffer(Buffer.byteLength(text));
  Buffer.from(shared).write(text);
  return shared;
}

function chunksOf<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / CHUNK) }, (_, at) => items.slice(at * CHUNK, (at + 1) * CHUNK));
}

function toText(said: Said): Result<string> {
  return typeof said === 'string' ? ok(said) : { ok: false, denial: said };
}

function read<T>(said: Said, judge: (results: string) => Result<T>): Result<T> {
  const text = toText(said);
  return text.ok ? judge(text.value) : text;
}

const MAX_KEPT = 256;
const MAX_KEPT_CHARACTERS = 1024;

/** A policy says the same few things again and again; each is judged once. What it says is evaluated every time. */
function reader<T>(judge: (result: unknown) => Result<T>): (results: string) => Result<T> {
  const known = new LRUCache<string, Result<T>>({ max: MAX_KEPT });
  return (results) => {
    const before = known.get(results);
    if (before !== undefined) return before;
    const answer = judge(readResultSet(results));
    if (results.length <= MAX_KEPT_CHARACTERS) known.set(results, answer);
    return answer;
  };
}
