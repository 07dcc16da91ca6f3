/**
 * Looks at a source again and again: after a while that is never the same, at once where the source says so, with growing
 * patience after failures. One look at a time. Time and randomness are arguments.
 */

/** `soon`: the source waits itself until there is something new. */
export type Looked = 'soon' | 'later';

export interface PollerOptions {
  /** Rejects where the source gave nothing. */
  readonly look: (signal: AbortSignal) => Promise<Looked>;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  /** 0 … 1. */
  readonly random: () => number;
  /** Calls back once; gives how not to. */
  readonly later: (ms: number, work: () => void) => () => void;
}

export interface Poller {
  /** Looks now, ending what only waits; resolves once that look is done, whatever came of it. */
  readonly look: () => Promise<void>;
  /** Resolves when nothing is under way. */
  readonly stop: () => Promise<void>;
}

const FIRST_RETRY_MS = 500;

/** Begins with the first `look`. */
export function createPoller({ look, minDelayMs, maxDelayMs, random, later }: PollerOptions): Poller {
  let failures = 0;
  let stopped = false;
  let cancelTimer: () => void = () => {};
  let underWay: Promise<void> = Promise.resolve();
  let abort: AbortController | null = null;
  let rounds = 0;

  function begin(): Promise<void> {
    if (stopped) return Promise.resolve();
    cancelTimer();
    abort?.abort();
    rounds += 1;
    const round = rounds;
    underWay = underWay.then(() => lookOnce(round));
    return underWay;
  }

  /** Who was overtaken does nothing: another look is on its way. */
  async function lookOnce(round: number): Promise<void> {
    if (stopped || round !== rounds) return;
    const mine = new AbortController();
    abort = mine;
    let delayMs: number;
    try {
      const looked = await look(mine.signal);
      failures = 0;
      delayMs = looked === 'soon' ? 0 : minDelayMs + random() * (maxDelayMs - minDelayMs);
    } catch {
      failures += 1;
      delayMs = backOff(failures, maxDelayMs, random());
    }
    abort = null;
    if (!stopped && round === rounds) cancelTimer = later(delayMs, () => void begin());
  }

  async function stop(): Promise<void> {
    stopped = true;
    cancelTimer();
    abort?.abort();
    await underWay;
  }

  return { look: begin, stop };
}

/** Half of it is chance, so that many who lost the same server do not come back at once. */
function backOff(failures: number, maxDelayMs: number, random: number): number {
  const full = Math.min(maxDelayMs, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 20));
  return full / 2 + (random * full) / 2;
}
