/** Where a decision log goes that is no service: a file that grows, or a stream of the process. */
import { open } from 'node:fs/promises';
import type { Config } from '../config.ts';
import type { ChainEnd } from '../decision-log/chain.ts';
import { readChainEnd } from '../decision-log/chain-end.ts';
import type { VerifyCheckpoint } from '../decision-log/checkpoint-keys.ts';
import { createFileSink } from '../decision-log/file-sink.ts';
import type { LogSink, OnLost } from '../decision-log/sink.ts';
import { createStreamSink } from '../decision-log/stream-sink.ts';
import type { DecisionLogParts } from './decision-log.ts';
import type { Tell } from './told-log.ts';

export interface LogFile {
  readonly sink: LogSink;
  /** How the file ended before. */
  readonly before: ChainEnd | null;
}

export interface LogFileParts extends Pick<DecisionLogParts, 'standard'> {
  readonly tell: Tell;
  readonly onLost: OnLost;
  readonly verify?: VerifyCheckpoint | undefined;
}

/** Null for `none`. */
export async function openLogFile(
  { file, maxBufferedBytes, requireRecord }: Config['decisionLog'],
  { tell, standard, onLost, verify }: LogFileParts,
): Promise<LogFile | null> {
  if (file === 'none') return null;
  const what = requireRecord ? 'Checks are refused unless another sink records them' : 'every Check is refused';
  const onFailure = (cause: unknown): void => tell({ level: 'error', message: `the decision log is broken: ${what}`, cause });
  const onMended = (): void => tell({ level: 'info', message: 'the decision log is whole again' });
  const options = { maxBufferedBytes, onLost };
  if (file === '-') return { sink: createStreamSink({ ...options, sink: standard, onBroken: onFailure }), before: null };
  const before = await readChainEnd(file, verify);
  // Half a line, of a process that was killed, would spoil the one after it.
  const isTorn = before !== null && before.torn !== null;
  const handle = await open(file, 'a', 0o640);
  return { sink: createFileSink({ ...options, file: handle, isTorn, onFailure, onMended }), before };
}
