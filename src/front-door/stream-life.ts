/**
 * One event stream to a client, for as long as it may last: until the client leaves, its token expires, or whoever serves it
 * says so. The end is a clean one in every case, since a cut stream makes clients come again with the same token.
 */
import { callAt } from '../deadline.ts';
import type { Reply, ReplyStream } from './handler.ts';
import type { Visit } from './visit.ts';

export type Ending = 'left' | 'expired' | 'ended';

export interface StreamTimes {
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** A comment goes out this often, so that nothing on the way takes a silent stream for a dead one. */
  readonly keepAliveMs: number;
  /** How long the head waits for the first backend. */
  readonly graceMs: number;
}

export const STREAM_TIMES: StreamTimes = { now: Date.now, keepAliveMs: 15_000, graceMs: 1000 };

export interface StreamLife {
  /** Aborts at the end, whatever brings it about. */
  readonly signal: AbortSignal;
  readonly over: Promise<Ending>;
  readonly end: () => void;
  /** Begins the answer. Until then writes wait. */
  readonly begin: () => void;
  /** Resolves when there is room for more; rejects once it is over. */
  readonly write: (text: string) => Promise<void>;
  /** Says a last word, if there still is somebody to hear it, and closes. */
  readonly close: (last?: string) => Promise<void>;
}

export function beginLife(visit: Visit, reply: Reply, { now, keepAliveMs }: StreamTimes): StreamLife {
  const over = Promise.withResolvers<Ending>();
  const begun = Promise.withResolvers<ReplyStream>();
  const ended = new AbortController();
  const finish = (ending: Ending): void => {
    if (ended.signal.aborted) return;
    stopExpiry();
    clearInterval(keepAlive);
    reply.signal.removeEventListener('abort', leave);
    over.resolve(ending);
    begun.reject(new Error(`the stream is over: ${ending}`));
    ended.abort();
  };
  const leave = (): void => finish('left');
  let stream: ReplyStream | null = null;
  let waiting = 0;
  const write = async (text: string): Promise<void> => {
    waiting++;
    try {
      const open = await begun.promise;
      if (ended.signal.aborted) throw new Error('the stream is over');
      await open.write(text);
    } finally {
      waiting--;
    }
  };
  begun.promise.catch(() => {});
  const stopExpiry = callAt(visit.principal.expiresAt * 1000, () => finish('expired'), now);
  const keepAlive = setInterval(() => {
    if (waiting === 0) write(':\n\n').catch(leave);
  }, keepAliveMs);
  reply.signal.addEventListener('abort', leave);
  if (reply.signal.aborted) leave();
  return {
    signal: ended.signal,
    over: over.promise,
    end: () => finish('ended'),
    begin: () => {
      if (ended.signal.aborted && reply.signal.aborted) return;
      stream = reply.stream();
      begun.resolve(stream);
    },
    write,
    close: async (last) => {
      finish('ended');
      if (stream === null || reply.signal.aborted) return;
      if (last !== undefined) stream.write(last).catch(() => {});
      stream.end();
    },
  };
}

/** Waits, but not beyond the end of `signal`. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      resolve();
    };
    const timer = setTimeout(stop, ms);
    signal.addEventListener('abort', stop);
  });
}
