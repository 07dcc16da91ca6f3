/** The decision log of a command: its requests to backends are written where those of the sidecar are. */
import type { OwnFetchOptions } from '../catalog/own-fetch.ts';
import { decisionRecord } from '../check/record.ts';
import type { Config } from '../config.ts';
import type { MaskPolicy } from '../decision-log/masking.ts';
import type { Log } from '../telemetry/log.ts';
import { openDecisionLog } from './decision-log.ts';

export interface OwnLog {
  readonly observe: OwnFetchOptions['observe'];
  readonly close: () => Promise<void>;
}

/** Standard output is the command's answer, so `-` is standard error here. */
export async function openOwnLog(config: Config, log: Log, policy: () => MaskPolicy | null): Promise<OwnLog> {
  const { write, end } = await openDecisionLog(config, { log, metrics: null, policy, standard: process.stderr });
  return { observe: (verdict, elapsedMs) => write(verdict, decisionRecord(verdict), elapsedMs, false), close: end };
}
