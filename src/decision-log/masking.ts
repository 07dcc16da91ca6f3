/**
 * What policy says of an event before it is written: `system/log/drop` whether it is written at all, `system/log/mask` what is
 * taken out of it. Asked off the answer's path. Where policy cannot say what to take out, everything goes that it could have
 * taken out: an event is never written unmasked, and never lost for that.
 */
import type { Result } from '../result.ts';
import { describeCause } from '../telemetry/redact.ts';
import { applyMask, type Event, MASKABLE, readMaskRules } from './mask-rules.ts';

export const MASK = 'system/log/mask';
export const DROP = 'system/log/drop';

/** What of the policy in force is needed here. */
export interface MaskPolicy {
  readonly has: (entrypoint: string) => boolean;
  readonly evaluate: (
    entrypoint: string,
    asked: { readonly input: string; readonly caller: string; readonly deadlineMs: number },
  ) => Promise<Result<unknown>>;
}

export interface MaskingOptions {
  /** The policy in force, or null while there is none. */
  readonly policy: () => MaskPolicy | null;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** The mask or the drop rule failed; called for each event. */
  readonly onFailure?: (rule: 'mask' | 'drop', cause: unknown) => void;
}

/** The line as it is to be written; null where it is dropped. */
export type Mask = (line: string) => string | null | Promise<string | null>;

/** How long policy may take for one event. */
const WITHIN_MS = 2000;
/** In the fair queue of the evaluator the log is one caller. */
const CALLER = 'decision log';

export function createMask({ policy, now, onFailure }: MaskingOptions): Mask {
  return (line) => {
    const current = policy();
    const [masks, drops] = [current?.has(MASK) === true, current?.has(DROP) === true];
    return current === null || !(masks || drops) ? line : maskBy(current, line, masks, drops);
  };

  async function maskBy(current: MaskPolicy, line: string, masks: boolean, drops: boolean): Promise<string | null> {
    const asked = { input: line, caller: CALLER, deadlineMs: now() + WITHIN_MS };
    const [drop, mask] = await Promise.all([
      drops ? evaluate(current, DROP, asked) : NOTHING,
      masks ? evaluate(current, MASK, asked) : NOTHING,
    ]);
    if (drop.cause !== undefined) onFailure?.('drop', drop.cause);
    else if (drop.value === true) return null;
    if (mask.cause === undefined && mask.value === undefined) return line;
    const event = JSON.parse(line) as Event;
    try {
      if (mask.cause !== undefined) throw mask.cause;
      applyMask(event, readMaskRules(mask.value));
    } catch (cause) {
      onFailure?.('mask', cause);
      return withoutMaskable(JSON.parse(line), cause);
    }
    return JSON.stringify(event);
  }
}

interface Answered {
  readonly value: unknown;
  readonly cause: unknown;
}

const NOTHING: Answered = { value: undefined, cause: undefined };

/** A rule that is undefined asks for nothing, as in OPA. */
async function evaluate(policy: MaskPolicy, rule: string, asked: Parameters<MaskPolicy['evaluate']>[1]): Promise<Answered> {
  try {
    const answer = await policy.evaluate(rule, asked);
    if (answer.ok) return { value: answer.value, cause: undefined };
    return { value: undefined, cause: answer.denial.cause ?? answer.denial.reason };
  } catch (cause) {
    return { value: undefined, cause: cause ?? 'nothing was said' };
  }
}

function withoutMaskable(event: Event, cause: unknown): string {
  const gone = Object.keys(event).filter((name) => MASKABLE.has(name));
  for (const name of gone) delete event[name];
  const before = Array.isArray(event.erased) ? (event.erased as string[]).filter((path) => !isBelow(path, gone)) : [];
  return JSON.stringify({ ...event, erased: [...before, ...gone.map((name) => `/${name}`)], mask_error: describeCause(cause) });
}

function isBelow(path: string, members: readonly string[]): boolean {
  return members.some((name) => path.startsWith(`/${name}/`));
}
