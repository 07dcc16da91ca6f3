/** Lines into a stream of the process. What fails once is broken until the process starts again. */
import type { Writable } from 'node:stream';
import type { LogSink, OnLost } from './sink.ts';

export interface StreamSinkOptions {
  readonly sink: Writable;
  /** Characters that may wait for the stream. */
  readonly maxBufferedBytes: number;
  readonly onLost?: OnLost;
  /** The stream failed: nothing is written any more. */
  readonly onBroken?: (cause: unknown) => void;
}

export function createStreamSink({ sink, maxBufferedBytes, onLost, onBroken }: StreamSinkOptions): LogSink {
  let broken = false;
  sink.on('error', (cause) => {
    if (!broken) onBroken?.(cause);
    broken = true;
  });

  function take(lines: readonly string[]): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (isWritten: boolean): void => {
        if (!isWritten) onLost?.('file', 'broken', lines.length);
        resolve(isWritten);
      };
      if (broken) settle(false);
      else sink.write(`${lines.join('\n')}\n`, (failure) => settle(!failure));
    });
  }

  return {
    name: 'file',
    hasRoom: (characters) => !broken && sink.writableLength + characters <= maxBufferedBytes,
    buffered: () => sink.writableLength,
    isBroken: () => broken,
    take,
    // The stream is not ours to end.
    close: async () => {},
  };
}
