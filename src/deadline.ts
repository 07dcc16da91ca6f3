/** Waiting with an end. */

/** A timer set beyond this fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Settles as `work` does, or resolves to `late()` once `ms` have passed; what comes of `work` after that is dropped. */
export function inTime<T>(work: Promise<T>, ms: number, late: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(late()), Math.min(Math.max(ms, 0), MAX_TIMER_MS));
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (cause: unknown) => {
        clearTimeout(timer);
        reject(cause);
      },
    );
  });
}

/** Calls back at a time in epoch milliseconds, however far away, and at once where it has passed; returns how to stop. */
export function callAt(whenMs: number, work: () => void, now: () => number = Date.now): () => void {
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const left = whenMs - now();
    timer = setTimeout(left > MAX_TIMER_MS ? arm : work, Math.min(Math.max(left, 0), MAX_TIMER_MS));
  };
  arm();
  return () => clearTimeout(timer);
}
