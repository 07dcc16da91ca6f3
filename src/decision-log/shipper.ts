/**
 * A sink that sends lines to an HTTP service: they wait in a buffer, go in chunks, one request at a time, and are forgotten
 * once the service has taken them. While it does not, they wait and the pauses get longer; when the buffer is full they are
 * lost here, and counted, or the log is full, by `requireRecord`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { inTime } from '../deadline.ts';
import type { Service, ServiceResponse } from '../services/service.ts';
import { type Chunk, createChunker } from './chunk.ts';
import { type LineBuffer, lengthOf } from './line-buffer.ts';
import type { LogSink, LossReason, OnLost, SinkName } from './sink.ts';

export interface ShipperOptions {
  readonly name: SinkName;
  readonly service: Pick<Service, 'send'>;
  readonly resource: string;
  readonly buffer: LineBuffer;
  readonly maxBufferBytes: number;
  /** Packed. */
  readonly maxChunkBytes: number;
  /** Between requests: something in between, so that replicas do not come together. */
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  /** Makes one JSON document of lines. */
  readonly wrap: (lines: readonly string[]) => string;
  /** What became of a chunk, by the answer. */
  readonly judge: (response: ServiceResponse, count: number) => Receipt;
  readonly onUpload?: (outcome: 'ok' | 'failed' | 'refused', cause?: unknown) => void;
  readonly onLost?: OnLost;
  readonly now?: () => number;
  readonly random?: () => number;
}

export type Receipt =
  | { readonly taken: true; readonly refused: number }
  /** Sent again later. */
  | { readonly taken: false; readonly cause: string }
  /** Sent again in smaller pieces; one line that is too large alone is given up. */
  | { readonly taken: 'too_large' }
  /** Never sent again. */
  | { readonly taken: 'never'; readonly cause: string };

const FIRST_RETRY_MS = 100;
/** After the buffer failed: until it is tried again. */
const RESPITE_MS = 1000;

export function createShipper(options: ShipperOptions): LogSink {
  const { name, service, resource, buffer, maxBufferBytes, onUpload, onLost } = options;
  const { now = Date.now, random = Math.random } = options;
  const chunker = createChunker(options.maxChunkBytes, options.wrap);
  const stopping = new AbortController();
  const sending = new AbortController();
  let unusableUntil = 0;
  const running = run();

  function lose(reason: LossReason, count: number): void {
    if (count > 0) onLost?.(name, reason, count);
  }

  const hasRoom = (characters: number): boolean => now() >= unusableUntil && buffer.bytes() + characters <= maxBufferBytes;

  async function take(lines: readonly string[], must: boolean): Promise<boolean> {
    if (!must && !hasRoom(lengthOf(lines))) {
      lose(now() < unusableUntil ? 'broken' : 'full', lines.length);
      return false;
    }
    try {
      await buffer.append(lines);
      return true;
    } catch (cause) {
      unusableUntil = now() + RESPITE_MS;
      onUpload?.('failed', cause);
      lose('broken', lines.length);
      return false;
    }
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      const { minDelayMs, maxDelayMs } = options;
      const pause = minDelayMs + random() * (maxDelayMs - minDelayMs);
      const backOff = Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), maxDelayMs) * (0.5 + random() / 2);
      await delay(failures === 0 ? pause : backOff, null, { signal: stopping.signal }).catch(() => {});
      if (!stopping.signal.aborted) failures = (await shipAll()) ? 0 : failures + 1;
    }
  }

  /** Until nothing is left; false where the service or the buffer fails. */
  async function shipAll(): Promise<boolean> {
    try {
      for (;;) {
        const lines = await buffer.peek(chunker.fits());
        if (lines.length === 0) return true;
        await ship(await chunker.chunkOf(lines), lines);
      }
    } catch (cause) {
      onUpload?.('failed', cause);
      return false;
    }
  }

  async function ship({ body, count }: Chunk, lines: readonly string[]): Promise<void> {
    const response = await service.send(resource, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body,
      signal: sending.signal,
    });
    const receipt = options.judge(response, count);
    if (receipt.taken === false) throw new Error(receipt.cause);
    if (receipt.taken === 'too_large' && count > 1) {
      chunker.shrink(lines.slice(0, count));
      return;
    }
    const refused = receipt.taken === true ? receipt.refused : count;
    lose('refused', refused);
    onUpload?.(refused === 0 ? 'ok' : 'refused', receipt.taken === 'never' ? receipt.cause : undefined);
    await buffer.forget(count);
  }

  /** One more try for what is left. */
  async function close(withinMs: number): Promise<void> {
    stopping.abort();
    await inTime(
      running.then(() => shipAll()),
      withinMs,
      () => false,
    );
    sending.abort();
    lose('stopped', await buffer.close());
  }

  return { name, hasRoom, buffered: buffer.bytes, isBroken: () => false, take, close };
}
