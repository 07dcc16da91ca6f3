/** Where archives come from: a file or a bundle server, and what is remembered of it so that nothing is read twice. */
import { resolve } from 'node:path';
import { download, NO_VALIDATORS, type Validators } from '../../bundle/download.ts';
import { readBundleFile } from '../../bundle/file-source.ts';
import type { Service } from '../../services/service.ts';

export interface SupplySettings {
  readonly bundleFile?: string | undefined;
  readonly bundle?: { readonly resource: string } | undefined;
  readonly polling: { readonly longPollingTimeoutMs?: number | undefined };
  readonly maxBundleBytes: number;
}

export interface Found {
  /** Null where it is still what was remembered. */
  readonly archive: Uint8Array | null;
  readonly validators: Validators;
  /** Whether the next request can be made at once: the server answers it when there is something new. */
  readonly canWait: boolean;
  /** This is known now: nothing is sent until there is another. */
  readonly remember: () => void;
}

export interface Supply {
  /** For people, and to tell what is persisted of one server from that of another. */
  readonly source: string;
  readonly isFile: boolean;
  /** Rejects with PolicyRefused. */
  readonly fetch: (signal: AbortSignal) => Promise<Found>;
  /** Starts from what the server said when the persisted bundle came. */
  readonly recall: (validators: Validators) => void;
  /** The next fetch brings all of it again. */
  readonly forget: () => void;
  /** Without waiting, the next time. */
  readonly hurry: () => void;
  readonly close: () => Promise<void>;
}

/** What the service itself may take, beside the time that it was asked to wait. */
export interface SupplyService {
  readonly service: Service;
  readonly url: string;
  readonly timeoutMs: number;
}

/** Exactly one of `bundleFile` and `service` is there. */
export function openSupply(settings: SupplySettings, from: SupplyService | null): Supply {
  const { bundleFile, bundle } = settings;
  if (bundleFile !== undefined) return openFileSupply(resolve(bundleFile), settings);
  if (bundle === undefined || from === null) throw new TypeError('a policy comes from a file or from a service');
  return openServerSupply(bundle.resource, settings, from);
}

function openFileSupply(file: string, { maxBundleBytes }: SupplySettings): Supply {
  let known: string | null = null;

  async function fetch(): Promise<Found> {
    const { archive, mark } = await readBundleFile(file, known, maxBundleBytes);
    const remember = (): void => {
      known = mark;
    };
    return { archive, validators: NO_VALIDATORS, canWait: false, remember };
  }

  const forget = (): void => {
    known = null;
  };
  return { source: file, isFile: true, fetch, recall: () => {}, forget, hurry: () => {}, close: async () => {} };
}

/** What says "nothing new" sooner than this did not wait: it is asked again after the usual while. */
const WAITED_MS = 500;

function openServerSupply(
  resource: string,
  { polling, maxBundleBytes }: SupplySettings,
  { service, url, timeoutMs }: SupplyService,
): Supply {
  const { longPollingTimeoutMs } = polling;
  const waitSeconds = longPollingTimeoutMs === undefined ? null : Math.ceil(longPollingTimeoutMs / 1000);
  let known = NO_VALIDATORS;
  let serverWaits = true;
  let inHurry = true;

  async function fetch(signal: AbortSignal): Promise<Found> {
    const asksToWait = waitSeconds !== null && serverWaits && !inHurry;
    inHurry = false;
    const began = performance.now();
    const { archive, validators, longPolling } = await download(service, {
      resource,
      validators: known,
      waitSeconds: asksToWait ? waitSeconds : null,
      timeoutMs,
      maxBytes: maxBundleBytes,
      signal,
    });
    // An answer that something is unchanged often has no type.
    if (longPolling !== null) serverWaits = longPolling;
    const waited = archive !== null || !asksToWait || performance.now() - began >= WAITED_MS;
    const remember = (): void => {
      known = validators;
    };
    return { archive, validators, canWait: waitSeconds !== null && serverWaits && waited, remember };
  }

  return {
    source: `${url.replace(/\/+$/, '')}/${resource.replace(/^\/+/, '').split('?', 1)[0]}`,
    isFile: false,
    fetch,
    recall: (validators) => {
      known = validators;
    },
    forget: () => {
      known = NO_VALIDATORS;
    },
    hurry: () => {
      inHurry = true;
    },
    close: service.close,
  };
}
