/**
 * rand.intn and uuid.rfc4122: random, yet the same for the same arguments throughout one evaluation, as
 * OPA's per-query cache has it. `evaluation` names the evaluation in progress; while it returns the same
 * value we repeat ourselves, and two evaluations never share a draw. The source is the system's.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { canonical, type Family, integer, isText, refuse } from './arguments.ts';

const largestRange = 2 ** 48 - 1;

export function randomness(evaluation: () => unknown): Family {
  const drawn = new Map<string, unknown>();
  let current: unknown;
  const once = (key: string, draw: () => unknown): unknown => {
    const running = evaluation();
    if (running !== current) drawn.clear();
    current = running;
    if (!drawn.has(key)) drawn.set(key, draw());
    return drawn.get(key);
  };
  return {
    'rand.intn': (name, range) => {
      const signed = integer('rand.intn', range);
      if (!isText(name) || signed === undefined) return undefined;
      const bound = Math.abs(signed);
      if (bound > largestRange) refuse('rand.intn', 'range of 2^48 or more');
      return bound === 0 ? 0 : once(`intn ${bound} ${name}`, () => randomInt(bound));
    },
    'uuid.rfc4122': (name) => once(`uuid ${canonical('uuid.rfc4122', name)}`, () => randomUUID()),
  };
}
