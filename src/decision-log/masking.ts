/**
 * What policy says of an event before it is written: `system/log/drop` whether it is written at all, `system/log/mask` what is
 * taken out of it. Asked off the answer's path. Where policy cannot say what to take out, everything goes that it could have
 * taken out: an event is never written unmasked, and never lost for that. A rule that takes too long is not asked for a while:
 * lines come faster than it fails.
 */
import type { Reason } from '../reasons.ts';
import type { Result } from '../result.ts';
import { describeCause } from '../telemetry/redact.ts';
import { type Breaker, createBreaker } from './breaker.ts';
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

export interface Mask {
  /** The line as it is to be written; null where it is dropped. */
  readonly apply: (line: string) => string | null | Promise<string | null>;
  /** The line where nobody waits for policy: without what it could have taken out. */
  readonly giveUp: (line: string) => string;
}

/** How long policy may take for one event. */
const WITHIN_MS = 2000;
/** In the fair queue of the evaluator the log is one caller. */
const CALLER = 'decision log';

export function createMask({ policy, now, onFailure }: MaskingOptions): Mask {
  const breakers = { [MASK]: createBreaker(now), [DROP]: createBreaker(now) };
  return { apply, giveUp };

  function apply(line: string): ReturnType<Mask['apply']> {
    const current = policy();
    const [masks, drops] = [current?.has(MASK) === true, current?.has(DROP) === true];
    return current === null || !(masks || drops) ? line : maskBy(current, line, masks, drops);
  }

  async function maskBy(current: MaskPolicy, line: string, masks: boolean, drops: boolean): Promise<string | null> {
    const asked = { input: line, caller: CALLER, deadlineMs: now() + WITHIN_MS };
    // The mask first: it is the one that must not wait in vain behind the other.
    const [mask, drop] = await Promise.all([
      masks ? ask(breakers[MASK], current, MASK, asked) : NOTHING,
      drops ? ask(breakers[DROP], current, DROP, asked) : NOTHING,
    ]);
    if (drop.cause !== undefined) onFailure?.('drop', drop.cause);
    else if (drop.value === true) return null;
    if (mask.cause !== undefined) return failOn(line, mask.cause);
    if (mask.value === undefined) return line;
    const event = JSON.parse(line) as Event;
    try {
      applyMask(event, readMaskRules(mask.value));
    } catch (cause) {
      return failOn(line, cause);
    }
    return JSON.stringify(event);
  }

  function failOn(line: string, cause: unknown): string {
    onFailure?.('mask', cause);
    return withoutMaskable(JSON.parse(line), cause);
  }

  function giveUp(line: string): string {
    return policy()?.has(MASK) === true ? failOn(line, 'the process stopped before policy had answered') : line;
  }
}

interface Answered {
  readonly value: unknown;
  readonly cause: unknown;
}

type Asked = Parameters<MaskPolicy['evaluate']>[1];

const NOTHING: Answered = { value: undefined, cause: undefined };
const PAUSED: Answered = { value: undefined, cause: 'policy took too long before and is not asked for a while' };
/** Another line would most likely fare no better. */
const TOO_LONG: ReadonlySet<Reason> = new Set(['policy_timeout', 'policy_memory', 'deadline_exceeded']);

async function ask(breaker: Breaker, policy: MaskPolicy, rule: string, asked: Asked): Promise<Answered> {
  const leave = breaker.enter(policy);
  if (leave === null) return PAUSED;
  let tookTooLong = false;
  try {
    const answer = await policy.evaluate(rule, asked);
    // A rule that is undefined asks for nothing, as in OPA.
    if (answer.ok) return { value: answer.value, cause: undefined };
    const { reason, cause } = answer.denial;
    tookTooLong = TOO_LONG.has(reason);
    return { value: undefined, cause: cause ?? reason };
  } catch (cause) {
    return { value: undefined, cause: cause ?? 'nothing was said' };
  } finally {
    leave(tookTooLong);
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
