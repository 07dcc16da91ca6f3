/**
 * The backends as the sidecar itself reaches them: its catalog, tied to the configuration in force, to log and metrics,
 * and the approved tools. It outlives a reload, and what is known of a backend whose settings did not change too.
 */
import { readFile } from 'node:fs/promises';
import { type Approvals, parseApprovals } from '../catalog/approvals.ts';
import { type Catalog, type CatalogBackend, createCatalog } from '../catalog/catalog.ts';
import { OUTCOMES, type Outcome } from '../catalog/outcome.ts';
import { createOwnFetch, type OwnFetchOptions, type OwnWorld } from '../catalog/own-fetch.ts';
import type { Config } from '../config.ts';
import { describeCause } from '../telemetry/redact.ts';
import type { Known, Live, Observers } from './ports.ts';

export interface Backends {
  readonly known: Known;
  readonly catalog: Catalog;
  /** Puts another configuration in force, with the approvals that were read for it. */
  readonly apply: (config: Config, approvals: Approvals | null) => void;
}

export interface BackendsOptions extends Observers {
  readonly config: Config;
  readonly approvals: Approvals | null;
  readonly live: () => Live;
  readonly observe: OwnFetchOptions['observe'];
}

/** Of all the answers of one backend to one refresh. */
export const MAX_CATALOG_BYTES = 16 * 1024 * 1024;

/** Null where tools are not pinned. Rejects where the file cannot be used, and says why. */
export async function readApprovals({ catalog }: Config): Promise<Approvals | null> {
  if (catalog.pinning === undefined) return null;
  const { file } = catalog.pinning;
  try {
    return parseApprovals(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new Error(`the approved tools cannot be used: ${file}: ${(cause as Error).message}`, { cause });
  }
}

export function createBackends({ config, approvals, live, observe, metrics, log }: BackendsOptions): Backends {
  let inForce = config;
  let approved = approvals;
  const catalog = createCatalog({
    ...settingsOf(config),
    maxBytes: MAX_CATALOG_BYTES,
    now: () => performance.now(),
    later: (ms, work) => {
      const timer = setTimeout(work, ms).unref();
      return () => clearTimeout(timer);
    },
    random: Math.random,
    onRefresh: (backend, outcome, told, cause) => {
      metrics.catalogRefreshes.inc({ backend, outcome });
      if (outcome === 'ok' || outcome === 'unreachable') metrics.backendUp.set({ backend }, outcome === 'ok' ? 1 : 0);
      for (const [list, count] of Object.entries(told?.counts ?? {})) metrics.catalogItems.set({ backend, list }, count);
      if (outcome !== 'ok') warn(backend, outcome, cause);
      void readAgain();
    },
    onWatchFailure: (backend, cause) =>
      log('warn', 'a backend cannot tell of changes for now', { backend, cause: describeCause(cause) }),
  });

  function warn(backend: string, outcome: Outcome, cause: unknown): void {
    log('warn', 'the lists of a backend could not be had', { backend, outcome, cause: describeCause(cause) });
  }

  /** Whoever approves a tool need not also send a signal. */
  async function readAgain(): Promise<void> {
    const readFor = inForce;
    try {
      const fresh = await readApprovals(readFor);
      if (readFor === inForce) approved = fresh;
    } catch (cause) {
      log('warn', 'the approved tools stay as they were', { cause: describeCause(cause) });
    }
  }

  function settingsOf(next: Config) {
    const { refreshMs, timeoutMs, maxItems } = next.catalog;
    for (const { name, url } of next.resources) {
      if (url === undefined) continue;
      metrics.backendUp.inc({ backend: name }, 0);
      for (const outcome of OUTCOMES) metrics.catalogRefreshes.inc({ backend: name, outcome }, 0);
    }
    return { backends: backendsOf(next, { live, observe }), refreshMs, timeoutMs, maxItems };
  }

  return {
    known: { views: catalog.views, approvals: () => approved },
    catalog,
    apply: (next, nextApprovals) => {
      inForce = next;
      approved = nextApprovals;
      catalog.replace(settingsOf(next));
    },
  };
}

/** Those that a configuration lets the sidecar reach. */
export function backendsOf(
  { resources, catalog, delegation }: Config,
  { live, observe }: Pick<BackendsOptions, 'live' | 'observe'>,
): CatalogBackend[] {
  return resources.flatMap(({ name, url, delegation: mode = delegation.mode }) => {
    if (url === undefined) return [];
    const fetch = createOwnFetch({ world: () => worldOf(live(), name), observe, timeoutMs: catalog.timeoutMs });
    return [{ name, settings: JSON.stringify([url, mode, catalog.timeoutMs]), connect: () => ({ url, fetch }) }];
  });
}

function worldOf({ ports, identify, stream }: Live, name: string): OwnWorld | null {
  const resource = ports.resources.all.find((one) => one.name === name);
  return resource === undefined ? null : { ports, resource, identify, stream };
}
