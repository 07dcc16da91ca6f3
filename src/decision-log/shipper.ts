/**
 * A sink that sends lines to an HTTP service: they wait in a buffer, go in chunks, one request at a time, and are forgotten
 * once the service has taken them. While it does not, they wait and the pauses get longer; when the buffer is full they are
 * lost here, and counted, or the log is full, by `requireRecord`. What a buffer fails to keep waits in memory until it is kept.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { inTime } from '../deadline.ts';
import { AnswerTooLarge } from '../http-client.ts';
import type { Service, ServiceResponse } from '../services/service.ts';
import { type Chunk, createChunker } from './chunk.ts';
import { createIntake } from './intake.ts';
import { createMemoryBuffer, type LineBuffer, lengthOf } from './line-buffer.ts';
import { readRetryAfter } from './retry-after.ts';
import type { LogSink, LossReason, OnLost, SinkName } from './sink.ts';

export interface ShipperOptions {
  readonly name: SinkName;
  readonly service: Pick<Service, 'send'>;
  readonly resource: string;
  readonly buffer: LineBuffer;
  readonly maxBufferBytes: number;
  /** In memory, while the buffer is busy or keeps nothing. */
  readonly maxUnkeptBytes?: number;
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
  /** The buffer did not keep lines: they wait in memory. */
  readonly onUnkept?: (cause: unknown) => void;
  readonly onLost?: OnLost;
  /** Until a buffer that failed is tried again. */
  readonly retryMs?: number;
  readonly now?: () => number;
  readonly random?: () => number;
  /** Rejects when it is no longer to be waited for. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

export type Receipt =
  | { readonly taken: true; readonly refused: number }
  /** Sent again later. */
  | { readonly taken: false; readonly cause: string }
  /** Sent again in smaller pieces; one line that is too large alone is given up. */
  | { readonly taken: 'too_large' }
  /** Never sent again. */
  | { readonly taken: 'never'; readonly cause: string };

/** The service has answered, and not taken the lines, or not all of them. */
export class UploadRefused extends Error {
  override name = 'UploadRefused';
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

const FIRST_RETRY_MS = 100;

export function createShipper(options: ShipperOptions): LogSink {
  const { name, service, resource, buffer, maxBufferBytes, maxUnkeptBytes = maxBufferBytes, onUpload, onLost } = options;
  const { now = Date.now, random = Math.random, wait = (ms, signal) => delay(ms, null, { signal }) } = options;
  const chunker = createChunker(options.maxChunkBytes, options.wrap);
  const intake = createIntake({ append: buffer.append, onFailure: options.onUnkept, retryMs: options.retryMs });
  const stopping = new AbortController();
  const sending = new AbortController();
  /** What the service wants to be left alone for. */
  let restMs = 0;
  const running = run();

  function lose(reason: LossReason, count: number): void {
    if (count > 0) onLost?.(name, reason, count);
  }

  const buffered = (): number => buffer.bytes() + intake.characters();
  const fits = (characters: number): boolean =>
    // What came at once is for the buffer to judge, however much it is.
    (intake.characters() === 0 || intake.characters() + characters <= maxUnkeptBytes) &&
    buffered() + characters <= maxBufferBytes;
  const hasRoom = (characters: number): boolean => !intake.isFailing() && fits(characters);

  async function take(lines: readonly string[], must: boolean): Promise<boolean> {
    if (!must && !fits(lengthOf(lines))) {
      lose(intake.isFailing() ? 'broken' : 'full', lines.length);
      return false;
    }
    await intake.take(lines);
    return true;
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      const { minDelayMs, maxDelayMs } = options;
      const pause = minDelayMs + random() * (maxDelayMs - minDelayMs);
      const backOff = Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), maxDelayMs) * (0.5 + random() / 2);
      await wait(Math.max(failures === 0 ? pause : backOff, restMs), stopping.signal).catch(() => {});
      if (!stopping.signal.aborted) failures = (await shipAll(buffer)) ? 0 : failures + 1;
    }
  }

  /** Until nothing is left; false where the service or the buffer fails. */
  async function shipAll(from: LineBuffer): Promise<boolean> {
    restMs = 0;
    try {
      for (;;) {
        const lines = await from.peek(chunker.fits());
        if (lines.length === 0) return true;
        await from.forget(await ship(await chunker.chunkOf(lines), lines));
      }
    } catch (cause) {
      onUpload?.('failed', cause);
      return false;
    }
  }

  /** Resolves to how many lines need not be sent again. */
  async function ship({ body, count }: Chunk, lines: readonly string[]): Promise<number> {
    const response = await send(body);
    const { status, headers } = response;
    const receipt = options.judge(response, count);
    if (receipt.taken === false) {
      restMs = readRetryAfter(headers['retry-after'], now());
      throw new UploadRefused(receipt.cause, status);
    }
    if (receipt.taken === 'too_large' && count > 1) {
      chunker.shrink(lines.slice(0, count));
      return 0;
    }
    if (receipt.taken === true) chunker.grow();
    const refused = receipt.taken === true ? receipt.refused : count;
    lose('refused', refused);
    if (refused === 0) onUpload?.('ok');
    else onUpload?.('refused', new UploadRefused(causeOf(receipt, refused), status));
    return count;
  }

  async function send(body: Uint8Array): Promise<ServiceResponse> {
    try {
      return await service.send(resource, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
        body,
        signal: sending.signal,
      });
    } catch (cause) {
      const answer = answerOf(cause);
      if (answer === undefined) throw cause;
      return answer;
    }
  }

  /** One more try for what is left; what the buffer did not keep goes past it. */
  async function close(withinMs: number): Promise<void> {
    const unkept = createMemoryBuffer();
    stopping.abort();
    const finish = async (): Promise<void> => {
      await Promise.all([running, intake.close().then(unkept.append)]);
      if (await shipAll(buffer)) await shipAll(unkept);
    };
    await inTime(finish(), withinMs, () => undefined);
    sending.abort();
    lose('stopped', (await buffer.close()) + (await unkept.close()) + intake.count());
  }

  return { name, hasRoom, buffered, isBroken: intake.isFailing, take, close };
}

/** The status says what became of the lines, however much is said besides. */
function answerOf(cause: unknown): ServiceResponse | undefined {
  return cause instanceof AnswerTooLarge ? cause.answer : undefined;
}

function causeOf(receipt: Receipt, refused: number): string {
  if (receipt.taken === 'never') return receipt.cause;
  return receipt.taken === true ? `the service refused ${refused} lines` : 'the service answered 413: one line is too large';
}
