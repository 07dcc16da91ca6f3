/** The thread of evaluator.ts: one engine, asked one question after the other. */

import { parentPort, workerData } from 'node:worker_threads';
import { PolicyRefused } from '../bundle/refusal.ts';
import type { Result } from '../result.ts';
import type { Denial } from '../verdict.ts';
import { createEngine, ENTRYPOINTS, type Engine } from './engine.ts';
import type { Question, Reply, Said, ThreadMessage, ThreadStart } from './evaluator-messages.ts';

/** How long answers may lie here while the next question is evaluated. */
const KEEP_MS = 1;

/** What may have been a wait; to ask each time would cost as much as a small policy. */
const LONG_MS = 2;

const start = workerData as ThreadStart;
const begun = new Int32Array(start.begun);
let nowMs = 0;

const engine = begin();
if (engine !== null) {
  parentPort?.on('message', (questions: readonly Question[]) => {
    let replies: Reply[] = [];
    let since = performance.now();
    const cpuBefore = process.threadCpuUsage();
    for (const question of questions) {
      if (replies.length > 0 && performance.now() - since > KEEP_MS) {
        say({ kind: 'replies', replies });
        replies = [];
        since = performance.now();
      }
      replies.push(withoutWaiting(answer(engine, question), cpuBefore));
      // Not at the cost of whoever comes next.
      engine.restore();
    }
    say({ kind: 'replies', replies });
  });
}

function begin(): Engine | null {
  try {
    const data = new Uint8Array(start.data).slice().buffer;
    const { module, maxMemoryBytes, dataPages } = start;
    const created = createEngine({ module, data, dataPages, maxMemoryBytes, now: () => nowMs });
    say({ kind: 'ready', entrypoints: created.entrypoints });
    return created;
  } catch (cause) {
    if (!(cause instanceof PolicyRefused)) throw cause;
    say({ kind: 'refused', code: cause.code, message: cause.message });
    return null;
  }
}

function answer(asked: Engine, { number, ask, input, nowMs: now }: Question): Reply {
  nowMs = now;
  const startMs = performance.now();
  let secondMs = 0;
  let said: Said[];
  Atomics.store(begun, 0, number);
  if (ask.kind === 'each') {
    const results = asked.takeEach(input, ask.members, ask.each);
    said = results.ok ? results.value : [failure(results.denial)];
  } else {
    const evaluate = asked.take(input);
    said = [toSaid(evaluate(ask.kind === 'one' ? ask.entrypoint : ENTRYPOINTS.inbound))];
    if (ask.kind === 'both' && isYes(said[0] as Said)) {
      // A question of its own, with time of its own.
      Atomics.store(begun, 0, -number);
      const secondStartMs = performance.now();
      said.push(toSaid(evaluate(ENTRYPOINTS.outbound)));
      secondMs = performance.now() - secondStartMs;
    }
  }
  Atomics.store(begun, 0, 0);
  return { number, said, tookMs: performance.now() - startMs, secondMs };
}

/** A thread that has to wait for a processor is no fault of the question. */
function withoutWaiting(reply: Reply, cpuBefore: NodeJS.CpuUsage): Reply {
  if (reply.tookMs < LONG_MS) return reply;
  const { user, system } = process.threadCpuUsage(cpuBefore);
  return { ...reply, tookMs: Math.min(reply.tookMs, (user + system) / 1000) };
}

function toSaid(results: Result<string>): Said {
  return results.ok ? results.value : failure(results.denial);
}

function failure({ reason, cause }: Denial): Said {
  return { reason, cause };
}

/** Whether it is worth asking on. What the answer is worth is judged by who asked. */
function isYes(said: Said): boolean {
  if (typeof said !== 'string') return false;
  const results = JSON.parse(said) as readonly [{ readonly result?: { readonly allow?: unknown } | null }?];
  return results[0]?.result?.allow === true;
}

function say(message: ThreadMessage): void {
  parentPort?.postMessage(message);
}
