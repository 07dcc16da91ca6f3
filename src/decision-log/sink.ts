/** Where lines go. The log does not know which kinds there are. */

export type SinkName = 'file' | 'upload' | 'otlp';

/** Why a sink did not record a line. */
export type LossReason = 'full' | 'broken' | 'refused' | 'damaged' | 'stopped';

export interface LogSink {
  readonly name: SinkName;
  /** Whether it takes lines of this length beside those it has. */
  readonly hasRoom: (characters: number) => boolean;
  /** What waits, in bytes. */
  readonly buffered: () => number;
  /** It takes nothing: for good, or until it has succeeded again. */
  readonly isBroken: () => boolean;
  /** Resolves to whether it has all of them, recorded or to be tried again; with `must` it does not look at its bound. Never rejects. */
  readonly take: (lines: readonly string[], must: boolean) => Promise<boolean>;
  /** Resolves when what it took has left the process, or cannot within this time. */
  readonly close: (withinMs: number) => Promise<void>;
}

/** Told of lines that a sink had to give up. */
export type OnLost = (sink: SinkName, reason: LossReason, count: number) => void;
