/** Where a decision log goes that is no service: a file that grows, or a stream of the process. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import type { Config } from '../config.ts';
import type { ChainEnd } from '../decision-log/chain.ts';
import { readChainEnd } from '../decision-log/chain-end.ts';
import type { VerifyCheckpoint } from '../decision-log/checkpoint-keys.ts';
import type { LogSink, OnLost } from '../decision-log/sink.ts';
import { createStreamSink } from '../decision-log/stream-sink.ts';
import { describeCause } from '../telemetry/redact.ts';
import type { DecisionLogParts } from './decision-log.ts';

export interface LogFile {
  readonly sink: LogSink;
  /** How the file ended before. */
  readonly before: ChainEnd | null;
}

/** Null for `none`. */
export async function openLogFile(
  { file, maxBufferedBytes, requireRecord }: Config['decisionLog'],
  { log, standard, verify }: Pick<DecisionLogParts, 'log' | 'standard'> & { readonly verify?: VerifyCheckpoint | undefined },
  onLost?: OnLost,
): Promise<LogFile | null> {
  const onBroken = (cause: unknown): void => {
    const what = requireRecord ? 'Checks are refused unless another sink records them' : 'every Check is refused';
    log('error', `the decision log is broken: ${what}`, { cause: describeCause(cause) });
  };
  const options = { maxBufferedBytes, onBroken, ...(onLost && { onLost }) };
  if (file === 'none') return null;
  if (file === '-') return { sink: createStreamSink({ ...options, sink: standard }), before: null };
  const stream = createWriteStream(file, { flags: 'a', mode: 0o640 });
  await once(stream, 'open');
  const before = await readChainEnd(file, verify);
  const end = async (): Promise<void> => {
    stream.end();
    await finished(stream);
  };
  const sink = createStreamSink({ ...options, sink: stream, end });
  // Half a line, of a process that was killed, would spoil the one after it.
  if (before?.torn) stream.write('\n');
  return { sink, before };
}
