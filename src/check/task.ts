/** Ids of tasks as the client holds them: the backend's own, bound to who began the task and sealed (MCP Tasks, SEP-2663). */
import type { Sealer } from '../seal.ts';

export interface Task {
  /** Of the principal that began it: `principalKey`. */
  readonly principal: string;
  readonly backend: string;
  /** The backend's own id. */
  readonly id: string;
}

export function sealTask(sealer: Sealer, { principal, backend, id }: Task): string {
  return sealer.seal('task', [principal, backend, id]);
}

/** Null: no id of ours. */
export function openTask(sealer: Sealer, sealed: string): Task | null {
  const opened = sealer.open('task', sealed);
  if (!Array.isArray(opened)) return null;
  const [principal, backend, id] = opened as [string, string, string];
  return { principal, backend, id };
}
