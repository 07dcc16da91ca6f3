/**
 * A pause after somebody was asked who took too long: for a while nobody asks again, then one does, and the pause gets longer
 * for as long as that takes too long as well. Who takes the place of whom was asked begins without a pause.
 */

export interface Breaker {
  /** Null: not now. Else asking may begin, and what it returns must be told how that went. */
  readonly enter: (asked: object) => ((tookTooLong: boolean) => void) | null;
}

/** So short that one question of many that is odd does little; doubled each time, up to the longest. */
const FIRST_MS = 1000;
const LONGEST_MS = 60_000;

/** @param now milliseconds */
export function createBreaker(now: () => number): Breaker {
  let known: object | null = null;
  let pauseMs = 0;
  let sinceMs = 0;
  let isTrying = false;

  /** A clock that was set back does not make a pause longer. */
  function isPausing(): boolean {
    const waitedMs = now() - sinceMs;
    return waitedMs >= 0 && waitedMs < pauseMs;
  }

  function enter(asked: object): ((tookTooLong: boolean) => void) | null {
    if (asked !== known) [known, pauseMs, isTrying] = [asked, 0, false];
    const isTrial = pauseMs > 0;
    if (isTrial && (isTrying || isPausing())) return null;
    isTrying = isTrial;
    return (tookTooLong) => {
      if (asked !== known) return;
      // What was asked together with the one that began the pause neither ends it nor makes it longer.
      if (!isTrial && (pauseMs > 0 || !tookTooLong)) return;
      isTrying = false;
      pauseMs = tookTooLong ? Math.min(Math.max(pauseMs * 2, FIRST_MS), LONGEST_MS) : 0;
      sinceMs = now();
    };
  }

  return { enter };
}
