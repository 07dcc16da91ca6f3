/** The decision log of a command: its requests to backends are written where those of the sidecar are. */
import { randomUUID } from 'node:crypto';
import type { OwnFetchOptions } from '../catalog/own-fetch.ts';
import { decisionRecord } from '../check/record.ts';
import type { Config } from '../config.ts';
import { createDecisionLog } from '../telemetry/decision-log.ts';
import { VERSION } from '../version.ts';
import { openLogFile } from './log-file.ts';

export interface OwnLog {
  readonly observe: OwnFetchOptions['observe'];
  readonly close: () => Promise<void>;
}

/** Standard output is the command's answer, so `-` is standard error here. */
export async function openOwnLog({ decisionLog: { file, maxBufferedBytes } }: Config): Promise<OwnLog> {
  const { sink, end } = await openLogFile(file, process.stderr);
  const log = createDecisionLog({ sink, maxBufferedBytes, labels: { id: randomUUID(), version: VERSION } });
  return {
    observe: (verdict, elapsedMs) => log.write(verdict, decisionRecord(verdict), elapsedMs, false),
    close: () => end(log),
  };
}
