/**
 * Uploads what is in force to a service, as OPA's status plugin does: soon after each change and now and then besides.
 * There is no queue. What is sent is how things stand then, so after an outage the service learns the latest at once.
 */
import type { Service } from '../services/service.ts';
import type { Log } from './log.ts';
import { describeCause } from './redact.ts';
import { fingerprint, type StatusFacts, statusUpdate } from './status-update.ts';

export interface StatusOptions {
  readonly send: Service['send'];
  readonly path: string;
  readonly facts: () => StatusFacts;
  /** What goes with them; null: nothing does. A change there is no reason to tell. */
  readonly metrics: () => Promise<Readonly<Record<string, unknown>> | null>;
  /** Also how often it is looked for changes. */
  readonly minIntervalMs: number;
  readonly maxIntervalMs: number;
  readonly log: Log;
  readonly onUpload: (outcome: 'ok' | 'failed') => void;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
}

export interface StatusReporter {
  readonly start: () => void;
  /** Looks once, and sends what there is to say; never rejects. */
  readonly look: () => Promise<void>;
  /** Tells what has not been told, once, and ends. */
  readonly stop: () => Promise<void>;
}

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
const LAST_UPLOAD_MS = 2000;
/** Nobody reads the answer. */
const MAX_ANSWER_BYTES = 64 * 1024;

export function createStatusReporter(options: StatusOptions): StatusReporter {
  const { send, path, facts, metrics, minIntervalMs, maxIntervalMs, log, onUpload, now } = options;
  let told: string | null = null;
  let toldAt = Number.NEGATIVE_INFINITY;
  let pauseMs = 0;
  let pausedUntil = Number.NEGATIVE_INFINITY;
  let sending: Promise<void> | null = null;
  let timer: NodeJS.Timeout | undefined;

  function look(): Promise<void> {
    const at = now();
    const current = facts();
    const isDue = fingerprint(current) !== told || at - toldAt >= maxIntervalMs;
    if (sending !== null || !isDue || at < pausedUntil || at - toldAt < minIntervalMs) return sending ?? Promise.resolve();
    sending = upload(current).finally(() => {
      sending = null;
    });
    return sending;
  }

  async function upload(current: StatusFacts, timeoutMs?: number): Promise<void> {
    try {
      const { status } = await send(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(statusUpdate(current, await metrics())),
        maxBytes: MAX_ANSWER_BYTES,
        timeoutMs,
      });
      if (status < 200 || status > 299) throw new Error(`the service answered ${status}`);
    } catch (cause) {
      onFailure(cause);
      return;
    }
    if (pauseMs > 0) log('info', 'the status was uploaded again');
    told = fingerprint(current);
    toldAt = now();
    pauseMs = 0;
    onUpload('ok');
  }

  /** An outage is told once, not with every attempt. */
  function onFailure(cause: unknown): void {
    if (pauseMs === 0) log('warn', 'the status could not be uploaded; it is tried again', { cause: describeCause(cause) });
    pauseMs = Math.min(Math.max(pauseMs * 2, FIRST_PAUSE_MS), LONGEST_PAUSE_MS);
    pausedUntil = now() + pauseMs;
    onUpload('failed');
  }

  function start(): void {
    timer = setInterval(look, minIntervalMs);
    void look();
  }

  async function stop(): Promise<void> {
    clearInterval(timer);
    await sending;
    const current = facts();
    if (fingerprint(current) !== told) await upload(current, LAST_UPLOAD_MS);
  }

  return { start, look, stop };
}
