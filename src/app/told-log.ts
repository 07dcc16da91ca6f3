/** A log for trouble that comes with every line or request: the same is told once a minute, and what is new at once. */
import { UploadRefused } from '../decision-log/shipper.ts';
import type { Log } from '../telemetry/log.ts';
import { describeCause } from '../telemetry/redact.ts';

const TELL_EVERY_MS = 60_000;
/** Kinds of trouble that are told apart: the far end may choose its statuses. */
const MAX_KINDS = 100;

export interface Trouble {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  /** What it concerns: few values. */
  readonly fields?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

export type Tell = (trouble: Trouble) => void;

/** @param now milliseconds of a clock that is never set back. */
export function createToldLog(log: Log, now: () => number): Tell {
  const told = new Map<string, number>();
  return ({ level, message, fields = {}, cause }) => {
    const at = now();
    for (const [key, since] of told) if (at - since >= TELL_EVERY_MS) told.delete(key);
    const kind = told.size < MAX_KINDS ? kindOf(cause) : '';
    const key = JSON.stringify([message, fields, kind]);
    if (told.has(key)) return;
    told.set(key, at);
    log(level, message, cause === undefined ? fields : { ...fields, cause: describeCause(cause) });
  };
}

/** The same whenever the trouble is: the status of an answer, a code of the system, or what the error is called. */
function kindOf(cause: unknown): string {
  if (cause instanceof UploadRefused) return String(cause.status);
  for (let error = cause; error instanceof Error; error = error.cause) {
    const { code } = error as { readonly code?: unknown };
    if (typeof code === 'string') return code;
  }
  return cause instanceof Error ? cause.name : typeof cause;
}
