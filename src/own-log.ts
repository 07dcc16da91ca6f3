/** The decision log of a command: its requests to backends are written where those of the sidecar are. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import type { OwnFetchOptions } from './catalog/own-fetch.ts';
import type { Config } from './config.ts';
import { decisionRecord } from './record.ts';
import { createDecisionLog } from './telemetry/decision-log.ts';
import { VERSION } from './version.ts';

export interface OwnLog {
  readonly observe: OwnFetchOptions['observe'];
  readonly close: () => Promise<void>;
}

/** Standard output is the command's answer, so `-` is standard error here. */
export async function openOwnLog({ decisionLog: { file, maxBufferedBytes } }: Config): Promise<OwnLog> {
  const sink: Writable = file === '-' ? process.stderr : createWriteStream(file, { flags: 'a', mode: 0o640 });
  if (file !== '-') await once(sink, 'open');
  const log = createDecisionLog({ sink, maxBufferedBytes, labels: { id: randomUUID(), version: VERSION } });
  return {
    observe: (verdict, elapsedMs) => log.write(verdict, decisionRecord(verdict), elapsedMs, false),
    close: async () => {
      await log.flush();
      if (file === '-') return;
      sink.end();
      await once(sink, 'close');
    },
  };
}
