/** What the parts of a benchmark run share: where they say what they found, what they measure, and how. */
import type { RunningProcess } from '../../examples/reference/process.ts';

export type Target = { readonly target: string; readonly admin: string };
/** A server that is measured. */
export type Subject = RunningProcess<Target>;

export interface Run {
  /** A folder of its own. */
  readonly dir: string;
  /** Fewer rounds. */
  readonly quick: boolean;
  readonly say: (line?: string) => void;
  readonly progress: (text: string) => unknown;
}

/** What `/metrics` of a subject says; rejects where it does not. */
export async function readMetric({ ready: { admin } }: Subject, name: string): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  if (line === undefined) throw new Error(`${admin} has no ${name}`);
  return Number(line.split(' ')[1]);
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] as number;
}
