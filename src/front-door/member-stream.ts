/**
 * One backend's stream within a merged one. It is opened again when it ends, as the client itself would do it, for as long as
 * there is a merged stream: after the time that the backend asks for, and with the last event that came.
 */

import { readEvents, type ServerEvent } from './events.ts';
import { EVENTS_TYPE, mediaType } from './messages.ts';
import { pause } from './stream-life.ts';
import { BackendRefused } from './visit.ts';

export interface MemberStream {
  /** Asks for the stream, from after `lastId` on where there is one. */
  readonly open: (lastId: string | null, signal: AbortSignal) => Promise<globalThis.Response>;
  /** Takes one event; the next is read once it resolves. */
  readonly take: (event: ServerEvent) => Promise<void>;
  readonly onOpen: () => void;
  /** Whether to come again. */
  readonly onEnd: () => boolean;
  /** There is no stream: the status that said so, or null where nothing answered. */
  readonly onNone: (status: number | null) => void;
  readonly onTrouble: (cause: unknown) => void;
  readonly lastId: string | null;
  readonly maxEventBytes: number;
}

const RETRY_MS = 1000;
const MIN_RETRY_MS = 50;
const MAX_RETRY_MS = 30_000;
/** In a row, none of which gave a stream. */
const MAX_FAILURES = 6;
/** A stream that lasted as long was worth its opening, though it may have been silent. */
const WORTHWHILE_MS = 5000;

export interface FollowTimes {
  readonly clock: () => number;
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Resolves once the stream is given up, or `signal` ends it. Never rejects. */
export async function followMember(
  stream: MemberStream,
  signal: AbortSignal,
  { clock, wait }: FollowTimes = { clock: () => performance.now(), wait: pause },
): Promise<void> {
  let lastId = stream.lastId;
  let retryMs = RETRY_MS;
  let failures = 0;
  let fruitless = 0;
  const take = async (event: ServerEvent): Promise<void> => {
    lastId = event.id ?? lastId;
    retryMs = Math.max(event.retry ?? retryMs, MIN_RETRY_MS);
    fruitless = 0;
    await stream.take(event);
  };
  while (!signal.aborted && failures < MAX_FAILURES) {
    const opened = await openMember(stream, lastId, signal);
    if (opened === 'none' || signal.aborted) return;
    failures = opened === 'failed' ? failures + 1 : 0;
    if (opened !== 'failed') {
      const begun = clock();
      stream.onOpen();
      await readMember(stream, opened, take, signal);
      if (!stream.onEnd()) return;
      if (clock() - begun >= WORTHWHILE_MS) fruitless = 0;
    }
    await wait(Math.min(retryMs * 2 ** fruitless, MAX_RETRY_MS), signal);
    fruitless++;
  }
}

/** `none`: there is no stream to be had; `failed`: perhaps later. */
async function openMember(
  stream: MemberStream,
  lastId: string | null,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array> | 'none' | 'failed'> {
  try {
    const response = await stream.open(lastId, signal);
    const { body, status } = response;
    if (status === 200 && body !== null && mediaType(response) === EVENTS_TYPE) return body;
    await body?.cancel().catch(() => {});
    stream.onNone(status);
    if (status < 500) return 'none';
    stream.onTrouble(new Error(`answered ${status} in place of a stream`));
    return 'failed';
  } catch (cause) {
    if (signal.aborted) return 'none';
    stream.onNone(null);
    if (cause instanceof BackendRefused) return 'none';
    stream.onTrouble(cause);
    return 'failed';
  }
}

async function readMember(
  stream: MemberStream,
  body: ReadableStream<Uint8Array>,
  take: (event: ServerEvent) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const event of readEvents(body, stream.maxEventBytes)) {
      if (signal.aborted) break;
      await take(event);
    }
  } catch (cause) {
    if (!signal.aborted) stream.onTrouble(cause);
  } finally {
    await body.cancel().catch(() => {});
  }
}
