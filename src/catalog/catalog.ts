/**
 * What the sidecar knows of the backends, kept fresh: asked at the start, from time to time, and when a backend says that
 * a list changed. One that does not answer keeps what it said last, and is asked again sooner.
 */
import { type AskLimits, askBackend, type Told } from './asking.ts';
import type { Reach } from './connection.ts';
import { type Outcome, outcomeOf } from './outcome.ts';
import { type BackendView, LISTS, type List, type Views } from './view.ts';
import { announcedLists, watchOnce } from './watch.ts';

export interface CatalogBackend {
  readonly name: string;
  /** What it says is kept as long as this does not change. */
  readonly settings: string;
  readonly connect: () => Reach;
}

export interface CatalogOptions extends AskLimits {
  readonly backends: readonly CatalogBackend[];
  readonly refreshMs: number;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** Calls back after that time, unless it is called off. */
  readonly later: (ms: number, work: () => void) => () => void;
  /** From 0 to 1, so that replicas do not ask all at once. */
  readonly random: () => number;
  readonly onRefresh: (backend: string, outcome: Outcome, told: Told | null, cause?: unknown) => void;
  /** A stream that would tell of changes could not be opened; it is tried again. */
  readonly onWatchFailure: (backend: string, cause: unknown) => void;
}

export type ListListener = (backend: string, list: List) => void;

export interface Catalog {
  readonly views: Views;
  /** Asks one backend, or all of them, now. Never rejects: `onRefresh` has what came of it. */
  readonly refresh: (backend?: string) => Promise<void>;
  /** Begins to ask, and to listen. */
  readonly start: () => void;
  /** Other backends or limits; what is known of those that stay is kept. */
  readonly replace: (changed: Pick<CatalogOptions, 'backends' | 'refreshMs' | 'timeoutMs' | 'maxItems'>) => void;
  /** Called when a list is another than before; returns how to stop. */
  readonly onListChanged: (listener: ListListener) => () => void;
  readonly stop: () => Promise<void>;
}

/** One backend, and what is under way for it. */
interface Entry {
  readonly backend: CatalogBackend;
  readonly stopping: AbortController;
  told: Told | null;
  view: BackendView | null;
  refreshing: Promise<void> | null;
  /** It told of a change that has not been asked about. */
  isStale: boolean;
  failures: number;
  watching: Promise<void> | null;
  watchFailures: number;
  callOff: () => void;
  callOffWatch: () => void;
}

const RETRY_MS = 1000;
/** A backend that tells of changes without end is asked no more often. */
const NOTIFIED_MS = 1000;
const MAX_WATCH_RETRY_MS = 300_000;
/** A stream that stood this long was no failure. */
const LONG_MS = 60_000;
const JITTER = 0.1;

export function createCatalog(given: CatalogOptions): Catalog {
  let options = given;
  let entries = new Map<string, Entry>();
  let isStarted = false;
  const leaving = new Set<Promise<void>>();
  const listeners = new Set<ListListener>();
  replace(given);

  function refreshEntry(entry: Entry): Promise<void> {
    entry.refreshing ??= ask(entry).finally(() => {
      entry.refreshing = null;
      if (isStarted && !entry.stopping.signal.aborted) schedule(entry);
    });
    return entry.refreshing;
  }

  async function ask(entry: Entry): Promise<void> {
    const { backend, stopping } = entry;
    entry.callOff();
    entry.isStale = false;
    try {
      adopt(entry, await askBackend(backend.connect(), options, stopping.signal));
    } catch (cause) {
      if (stopping.signal.aborted) return;
      const outcome = outcomeOf(cause);
      entry.failures++;
      if (outcome === 'unreachable' && entry.view !== null) entry.view = { ...entry.view, reachable: false };
      options.onRefresh(backend.name, outcome, null, cause);
    }
  }

  function adopt(entry: Entry, told: Told): void {
    const { name } = entry.backend;
    const before = entry.told;
    entry.told = told;
    entry.view = told.view;
    entry.failures = 0;
    options.onRefresh(name, 'ok', told);
    for (const list of LISTS) if (told.texts[list] !== before?.texts[list]) tell(name, list);
    if (isStarted) watch(entry);
  }

  function tell(backend: string, list: List): void {
    for (const listener of listeners) listener(backend, list);
  }

  function schedule(entry: Entry): void {
    const regular = entry.failures === 0 ? options.refreshMs : Math.min(options.refreshMs, RETRY_MS * 2 ** (entry.failures - 1));
    entry.callOff();
    entry.callOff = options.later(entry.isStale ? NOTIFIED_MS : spread(regular), () => void refreshEntry(entry));
  }

  function spread(ms: number): number {
    return Math.round(ms * (1 - JITTER + 2 * JITTER * options.random()));
  }

  /** Opens the stream of a backend that announces changes; once open it stays until it ends by itself. */
  function watch(entry: Entry): void {
    const { backend, view, stopping } = entry;
    if (entry.watching !== null || view === null || announcedLists(view).length === 0) return;
    const since = options.now();
    entry.watching = watchOnce(backend.connect(), view, options.timeoutMs, stopping.signal, () => notified(entry))
      .catch((cause: unknown) => {
        if (!stopping.signal.aborted) options.onWatchFailure(backend.name, cause);
      })
      .finally(() => ended(entry, options.now() - since));
  }

  function ended(entry: Entry, lastedMs: number): void {
    if (entry.stopping.signal.aborted) return;
    entry.watchFailures = lastedMs > LONG_MS ? 1 : entry.watchFailures + 1;
    const wait = Math.min(RETRY_MS * 2 ** Math.min(entry.watchFailures - 1, 16), MAX_WATCH_RETRY_MS);
    entry.callOffWatch = options.later(spread(wait), () => {
      entry.watching = null;
      watch(entry);
      // What changed while nobody listened is not told again.
      notified(entry);
    });
  }

  function notified(entry: Entry): void {
    if (entry.stopping.signal.aborted) return;
    entry.isStale = true;
    if (entry.refreshing === null) schedule(entry);
  }

  function replace(changed: Parameters<Catalog['replace']>[0]): void {
    options = { ...options, ...changed };
    const before = entries;
    entries = new Map();
    for (const backend of options.backends) {
      const kept = before.get(backend.name);
      const same = kept?.backend.settings === backend.settings ? kept : null;
      if (same !== null) before.delete(backend.name);
      entries.set(backend.name, same ?? newEntry(backend));
      if (same === null && isStarted) void refreshEntry(entries.get(backend.name) as Entry);
    }
    for (const entry of before.values()) release(entry);
  }

  function release(entry: Entry): void {
    entry.callOff();
    entry.callOffWatch();
    entry.stopping.abort(new Error('the catalog is stopped'));
    const gone = Promise.all([entry.refreshing, entry.watching]).then(() => void leaving.delete(gone));
    leaving.add(gone);
  }

  return {
    views: (backend) => entries.get(backend)?.view ?? null,
    refresh: async (name) => {
      const asked = [...entries.values()].filter(({ backend }) => name === undefined || backend.name === name);
      await Promise.all(asked.map(refreshEntry));
    },
    start: () => {
      isStarted = true;
      for (const entry of entries.values()) void refreshEntry(entry);
    },
    replace,
    onListChanged: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop: async () => {
      isStarted = false;
      for (const entry of entries.values()) release(entry);
      entries = new Map();
      await Promise.all(leaving);
    },
  };
}

function newEntry(backend: CatalogBackend): Entry {
  return {
    backend,
    stopping: new AbortController(),
    told: null,
    view: null,
    refreshing: null,
    isStale: false,
    failures: 0,
    watching: null,
    watchFailures: 0,
    callOff: () => {},
    callOffWatch: () => {},
  };
}
