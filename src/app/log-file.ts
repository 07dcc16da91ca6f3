/** Where a decision log goes: a file that grows, or a stream of the process. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { DecisionLog } from '../telemetry/decision-log.ts';

export interface LogFile {
  readonly sink: Writable;
  /** Resolves when every line has left the process. */
  readonly end: (log: DecisionLog) => Promise<void>;
}

/** @param standard what `-` means. */
export async function openLogFile(file: string, standard: Writable): Promise<LogFile> {
  if (file === '-') return { sink: standard, end: (log) => log.flush() };
  const sink = createWriteStream(file, { flags: 'a', mode: 0o640 });
  await once(sink, 'open');
  const end = async (log: DecisionLog): Promise<void> => {
    await log.flush();
    sink.end();
    await finished(sink);
  };
  return { sink, end };
}
