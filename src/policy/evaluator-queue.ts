/**
 * What waits for a thread, fairly: callers take turns, and with two threads or more no caller is in all of them at once. Those
 * whose questions take long are taken for one caller together, and each of their questions goes alone: nobody waits behind it.
 */

export interface QueueItem {
  readonly caller: string;
  /** How much work it is, in questions. */
  readonly weight: number;
}

export interface QueueOptions {
  readonly threads: number;
  readonly maxWaiting: number;
  /** Of one caller. */
  readonly maxWaitingEach: number;
  readonly isSlow: (caller: string) => boolean;
}

export interface Queue<T extends QueueItem> {
  /** False: there is no room. */
  readonly add: (item: T) => boolean;
  /** Puts back what was taken, in front; there is always room for it. */
  readonly putBack: (items: readonly T[]) => void;
  /**
   * What one free thread is to do now, up to this weight unless it is a single item; empty: nothing that may run.
   * @param ready how many threads there are at the moment; all, if absent.
   */
  readonly take: (maxWeight: number, ready?: number) => T[];
  /** The thread that had these is free again. */
  readonly release: (items: readonly T[]) => void;
  /** Takes out all that match. */
  readonly remove: (matches: (item: T) => boolean) => T[];
  readonly size: () => number;
}

/** The lane that callers known to be slow share; no caller's key is empty. */
const SLOW = '';

export function createQueue<T extends QueueItem>({ threads, maxWaiting, maxWaitingEach, isSlow }: QueueOptions): Queue<T> {
  /** In the order in which it is their turn. */
  const waiting = new Map<string, T[]>();
  /** In how many threads a lane is. */
  const occupied = new Map<string, number>();
  /** Lanes as they were when they were taken: who becomes slow meanwhile leaves by the door it came in by. */
  const taken = new WeakMap<T, string>();
  const mayOccupy = Math.max(1, threads - 1);
  let maySlow = mayOccupy;
  let size = 0;

  function add(item: T): boolean {
    const mine = waiting.get(item.caller);
    if (size >= maxWaiting || (mine?.length ?? 0) >= maxWaitingEach) return false;
    if (mine === undefined) waiting.set(item.caller, [item]);
    else mine.push(item);
    size++;
    return true;
  }

  function putBack(items: readonly T[]): void {
    for (const item of items.toReversed()) {
      const mine = waiting.get(item.caller);
      if (mine === undefined) waiting.set(item.caller, [item]);
      else mine.unshift(item);
      size++;
    }
  }

  function take(maxWeight: number, ready = threads): T[] {
    // While a thread that they used up is replaced they wait: the last one is for others.
    maySlow = threads === 1 ? 1 : ready - 1;
    const batch: T[] = [];
    const lanes = new Set<string>();
    let weight = 0;
    while (weight < maxWeight) {
      const round = takeRound(batch, lanes, maxWeight - weight);
      if (round === 0) break;
      weight += round;
    }
    for (const lane of lanes) occupied.set(lane, (occupied.get(lane) ?? 0) + 1);
    return batch;
  }

  /** One of each caller whose turn it is. @returns the weight of what was taken. */
  function takeRound(batch: T[], lanes: Set<string>, room: number): number {
    let weight = 0;
    let left = waiting.size;
    for (const caller of waiting.keys()) {
      // Those put behind the others again are for the next round.
      if (left-- === 0 || weight >= room) break;
      const lane = freeLane(caller, batch.length === 0);
      if (lane === null) continue;
      const item = takeFirst(caller);
      batch.push(item);
      lanes.add(lane);
      taken.set(item, lane);
      weight += lane === SLOW ? room : item.weight;
    }
    return weight;
  }

  /** Null: not now. */
  function freeLane(caller: string, isFirst: boolean): string | null {
    const lane = isSlow(caller) ? SLOW : caller;
    const inThreads = occupied.get(lane) ?? 0;
    if (lane === SLOW) return isFirst && inThreads < maySlow ? lane : null;
    return inThreads < mayOccupy ? lane : null;
  }

  /** Whose turn it was is behind all others now. */
  function takeFirst(caller: string): T {
    const [item, ...others] = waiting.get(caller) as [T, ...T[]];
    waiting.delete(caller);
    if (others.length > 0) waiting.set(caller, others);
    size--;
    return item;
  }

  function release(items: readonly T[]): void {
    for (const lane of new Set(items.map((item) => taken.get(item)))) {
      if (lane === undefined) continue;
      const left = (occupied.get(lane) ?? 0) - 1;
      if (left > 0) occupied.set(lane, left);
      else occupied.delete(lane);
    }
  }

  function remove(matches: (item: T) => boolean): T[] {
    const removed: T[] = [];
    for (const [caller, items] of [...waiting]) {
      const left = items.filter((item) => !matches(item));
      if (left.length === items.length) continue;
      removed.push(...items.filter(matches));
      if (left.length > 0) waiting.set(caller, left);
      else waiting.delete(caller);
    }
    size -= removed.length;
    return removed;
  }

  return { add, putBack, take, release, remove, size: () => size };
}
