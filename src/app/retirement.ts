/** Connections of configurations that are no longer in force: Checks use them for moments, streams that began then for longer. */

export interface Retirement {
  /** @param close ends the connections. */
  readonly retire: (close: () => Promise<void>) => void;
  /** Ends all that are left. */
  readonly end: () => Promise<void>;
}

/** What a stream may still need them for. */
const LINGER_MS = 3_600_000;

export function createRetirement(): Retirement {
  const retired = new Set<() => Promise<void>>();
  return {
    retire: (close) => {
      retired.add(close);
      const end = (): void => {
        retired.delete(close);
        close().catch(() => {});
      };
      setTimeout(end, LINGER_MS).unref();
    },
    end: async () => {
      await Promise.all([...retired].map((close) => close().catch(() => {})));
    },
  };
}
