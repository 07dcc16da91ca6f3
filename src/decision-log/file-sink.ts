/**
 * Lines into a file that grows. What a write did not take waits in memory and is tried again every second, from the very byte at
 * which it stopped: a disk that was full costs no line, and leaves no half of one behind.
 */
import { inTime } from '../deadline.ts';
import { createIntake } from './intake.ts';
import type { LogSink, OnLost } from './sink.ts';

export interface FileSinkOptions {
  readonly file: GrowingFile;
  /** It ends in the midst of a line, which is given an end. */
  readonly isTorn?: boolean | undefined;
  /** Characters that may wait for the file. */
  readonly maxBufferedBytes: number;
  readonly onLost?: OnLost | undefined;
  /** A write failed, the first or one more: Checks are refused until what waits is written. */
  readonly onFailure?: ((cause: unknown) => void) | undefined;
  readonly onMended?: (() => void) | undefined;
  readonly retryMs?: number | undefined;
}

/** Opened to append: of Node's FileHandle what is needed here. */
export interface GrowingFile {
  /** Resolves to how many bytes from `offset` on were written, which may be fewer than there are. */
  readonly write: (bytes: Uint8Array, offset: number) => Promise<{ readonly bytesWritten: number }>;
  readonly close: () => Promise<void>;
}

export function createFileSink({ file, isTorn = false, maxBufferedBytes, onLost, ...retrying }: FileSinkOptions): LogSink {
  /** What belongs before the next line. */
  let head = isTorn ? '\n' : '';
  /** Bytes of the lines under way that are in the file already: those lines come again, perhaps with more behind them. */
  let written = 0;

  async function append(lines: readonly string[]): Promise<void> {
    const bytes = Buffer.from(`${head}${lines.join('\n')}\n`);
    while (written < bytes.length) {
      const { bytesWritten } = await file.write(bytes, written);
      if (bytesWritten === 0) throw new Error('the file takes no more bytes');
      written += bytesWritten;
    }
    written = 0;
    head = '';
  }

  const intake = createIntake({ append, ...retrying });

  function lose(reason: 'broken' | 'stopped', count: number): void {
    if (count > 0) onLost?.('file', reason, count);
  }

  async function take(lines: readonly string[], must: boolean): Promise<boolean> {
    // Others may record what comes meanwhile; here it has a bound.
    if (intake.isFailing() && !must && intake.characters() > maxBufferedBytes) {
      lose('broken', lines.length);
      return false;
    }
    await intake.take(lines);
    return true;
  }

  async function close(withinMs: number): Promise<void> {
    const finish = async (): Promise<void> => {
      lose('broken', (await intake.close()).length);
      await file.close().catch((cause: unknown) => retrying.onFailure?.(cause));
    };
    await inTime(finish(), withinMs, () => lose('stopped', intake.count()));
  }

  return {
    name: 'file',
    hasRoom: (characters) => !intake.isFailing() && intake.characters() + characters <= maxBufferedBytes,
    buffered: intake.characters,
    isBroken: intake.isFailing,
    take,
    close,
  };
}
