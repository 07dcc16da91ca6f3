/** What a thread that evaluates is given and what it says; plain data that can be copied from thread to thread. */

import type { BundleRefusal } from '../bundle/refusal.ts';
import type { Reason } from '../reasons.ts';
import type { WasmModule } from './engine.ts';

/** What it begins with. */
export interface ThreadStart {
  readonly module: WasmModule;
  /** The data document as UTF-8, shared: a thread that takes another's place need not be sent it again. */
  readonly data: SharedArrayBuffer;
  readonly maxMemoryBytes: number;
  /** What module and data occupy of its memory, beside that. */
  readonly dataPages: number;
  /** Where it says what it is doing: one 32-bit integer, a question's number while it evaluates it, else 0. */
  readonly begun: SharedArrayBuffer;
}

/** What is asked about one input. */
export type Ask =
  /** Both questions; the second only where the answer to the first is a yes. */
  | { readonly kind: 'both' }
  /** One entry point. */
  | { readonly kind: 'one'; readonly entrypoint: string }
  /** The inbound question for inputs that differ in some members. */
  | { readonly kind: 'each'; readonly members: readonly string[]; readonly each: readonly (readonly string[])[] };

export interface Question {
  /** Above 0, and another for each of a thread's questions. */
  readonly number: number;
  readonly ask: Ask;
  /** JSON text. */
  readonly input: string;
  /** The time that policy sees, epoch milliseconds. */
  readonly nowMs: number;
}

/** A result set as JSON text, or why there is none. */
export type Said = string | { readonly reason: Reason; readonly cause: unknown };

export interface Reply {
  readonly number: number;
  /** One, or both, or one for each input. */
  readonly said: readonly Said[];
  /** Milliseconds that it kept the thread busy. */
  readonly tookMs: number;
  /** Milliseconds of the second question of two, as a clock has it. */
  readonly secondMs: number;
}

/** Names of arguments, by tool, by backend. */
export type Declared = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

/** The first thing it says is whether it can answer, the rest are replies. */
export type ThreadMessage =
  | { readonly kind: 'ready'; readonly entrypoints: readonly string[] }
  | { readonly kind: 'refused'; readonly code: BundleRefusal; readonly message: string }
  | { readonly kind: 'replies'; readonly replies: readonly Reply[] };
