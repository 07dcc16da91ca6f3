/**
 * A candidate policy, asked what the policy in force was asked, after the answer has gone. One question at a time, of a
 * bounded queue: what does not fit is skipped, so that a slow candidate costs questions and never a Check. One that had to
 * be killed is left alone for a while, longer each time, so that it does not keep a processor busy either.
 */

import { inTime } from '../deadline.ts';
import type { JsonObject } from '../mcp/message.ts';
import { deny } from '../result.ts';
import { pickDeclared } from './declared-arguments.ts';
import { type CandidateWord, type Comparison, compareWords, type LiveWord } from './flips.ts';
import { inputText, type PolicyInput } from './input.ts';

export interface CandidateAsked {
  readonly input: string;
  readonly caller: string;
  readonly deadlineMs: number;
  /** The time that the candidate sees. */
  readonly nowMs: number;
}

/** As much of a Policy as is asked here. */
export interface Candidate {
  readonly ask: (asked: CandidateAsked) => Promise<CandidateWord>;
  /** Names of the arguments that it asks to see; null: all. */
  readonly declaredArguments: (backend: string, tool: string) => ReadonlySet<string> | null;
}

export interface Question<About> {
  /** With all arguments: which of them the candidate sees is for its own bundle to say. */
  readonly input: PolicyInput;
  readonly live: LiveWord;
  /** When the live policy was asked, epoch milliseconds. */
  readonly askedAt: number;
  /** About what it takes to keep. */
  readonly bytes: number;
  /** Handed back with the comparison. */
  readonly about: About;
}

export interface ShadowOptions<About> {
  readonly candidate: Candidate;
  readonly maxQueued: number;
  readonly maxQueuedBytes: number;
  /** For one question; the candidate is killed after that. */
  readonly timeoutMs: number;
  /** Beyond `timeoutMs`, for its threads to begin again. One that has not answered after twice that never will. */
  readonly graceMs?: number;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly onCompared: (about: About, comparison: Comparison) => void;
  readonly onSkipped: (about: About) => void;
}

export interface Shadow<About> {
  /** Takes no more than a push to a list; anything else happens later. */
  readonly offer: (question: Question<About>) => void;
  /** Resolves once nothing waits. */
  readonly settle: () => Promise<void>;
  /** Skips what waits; resolves when the question under way has ended. */
  readonly close: () => Promise<void>;
}

/** Questions come one at a time: there is nobody to be fair to. */
const CALLER = 'shadow';
const GRACE_MS = 5000;
const FIRST_REST_MS = 1000;
const LONGEST_REST_MS = 60_000;
/** It was killed, or could not be asked at all. */
const EXHAUSTING: ReadonlySet<string> = new Set([
  'policy_timeout',
  'policy_memory',
  'deadline_exceeded',
  'overloaded',
  'internal_error',
]);

export function createShadow<About>(options: ShadowOptions<About>): Shadow<About> {
  const { candidate, maxQueued, maxQueuedBytes, timeoutMs, graceMs = GRACE_MS, now, onCompared, onSkipped } = options;
  let queue: Question<About>[] = [];
  let queuedBytes = 0;
  let restMs = 0;
  let restUntil = 0;
  let closed = false;
  let working: Promise<void> | null = null;

  function offer(question: Question<About>): void {
    const isTooMuch = queue.length >= maxQueued || queuedBytes + question.bytes > maxQueuedBytes;
    if (closed || isTooMuch || now() < restUntil) {
      onSkipped(question.about);
      return;
    }
    queue.push(question);
    queuedBytes += question.bytes;
    working ??= new Promise<void>((resolve) => setImmediate(resolve)).then(work);
  }

  async function work(): Promise<void> {
    for (let question = take(); question !== undefined; question = take()) {
      const word = await ask(question);
      if (isExhausting(word)) rest();
      else restMs = 0;
      if (!closed) onCompared(question.about, compareWords(question.live, word));
    }
    working = null;
  }

  function take(): Question<About> | undefined {
    const question = queue.shift();
    if (question !== undefined) queuedBytes -= question.bytes;
    return question;
  }

  async function ask({ input, askedAt }: Question<About>): Promise<CandidateWord> {
    try {
      const asked = {
        input: inputText(pare(input, candidate)),
        caller: CALLER,
        // Its threads are as slow to begin again as any; only the evaluation itself is held to timeoutMs.
        deadlineMs: now() + timeoutMs + graceMs,
        nowMs: askedAt,
      };
      return await inTime(candidate.ask(asked), timeoutMs + 2 * graceMs, () => failure('the candidate does not answer'));
    } catch (cause) {
      return failure(cause);
    }
  }

  function rest(): void {
    restMs = Math.min(Math.max(restMs * 2, FIRST_REST_MS), LONGEST_REST_MS);
    restUntil = now() + restMs;
    skipAll();
  }

  function skipAll(): void {
    const skipped = queue;
    queue = [];
    queuedBytes = 0;
    for (const { about } of skipped) onSkipped(about);
  }

  async function settle(): Promise<void> {
    while (working !== null) await working;
  }

  async function close(): Promise<void> {
    closed = true;
    skipAll();
    await settle();
  }

  return { offer, settle, close };
}

function failure(cause: unknown): CandidateWord {
  return { inbound: deny({ reason: 'internal_error', cause }), outbound: null };
}

function isExhausting({ inbound, outbound }: CandidateWord): boolean {
  const last = inbound.ok ? outbound : inbound;
  return last !== null && !last.ok && EXHAUSTING.has(last.denial.reason);
}

/** As the candidate would see it, were it in force. */
function pare(input: PolicyInput, { declaredArguments }: Candidate): PolicyInput {
  const { backend, tool, arguments: given } = input.mcp;
  const declared = tool === null || given === null ? null : declaredArguments(backend, tool);
  if (declared === null) return input;
  return { ...input, mcp: { ...input.mcp, arguments: pickDeclared(given as JsonObject, declared) } };
}
