/**
 * rand.intn and uuid.rfc4122: random from the system's source, yet the same for the same arguments
 * throughout one evaluation, as OPA's per-query cache has it. Two evaluations never share a draw.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { canonical, type Family, integer, isText, refuse } from './arguments.ts';

/** Draws a value once per name and evaluation; undefined outside any evaluation. */
export type Once = <T>(name: string, draw: () => T) => T | undefined;

const largestRange = 2 ** 48 - 1;

/** Remembers what was drawn for as long as `evaluation` returns the same number. */
export function oncePer(evaluation: () => number | undefined): Once {
  const drawn = new Map<string, unknown>();
  let current: number | undefined;
  return <T>(name: string, draw: () => T): T | undefined => {
    const running = evaluation();
    if (running === undefined) return undefined;
    if (running !== current) drawn.clear();
    current = running;
    if (!drawn.has(name)) drawn.set(name, draw());
    return drawn.get(name) as T;
  };
}

export function randomness(once: Once): Family {
  return {
    'rand.intn': (name, range) => {
      const signed = integer('rand.intn', range);
      if (!isText(name) || signed === undefined) return undefined;
      const bound = Math.abs(signed);
      if (bound > largestRange) refuse('rand.intn', 'range of 2^48 or more');
      if (bound === 0) return 0;
      return once(`intn ${bound} ${name}`, () => randomInt(bound)) ?? unconnected('rand.intn');
    },
    'uuid.rfc4122': (name) => once(`uuid ${canonical('uuid.rfc4122', name)}`, () => randomUUID()) ?? unconnected('uuid.rfc4122'),
  };
}

function unconnected(builtin: string): never {
  return refuse(builtin, 'not connected to an instance');
}
