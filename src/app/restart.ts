/** What a reload does not reach: listeners and the file of the log stay as they are until the process is started again. */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config.ts';

const FIXED: Readonly<Record<string, (config: Config) => unknown>> = {
  server: ({ server }) => server,
  admin: ({ admin }) => admin,
  wellKnown: ({ wellKnown }) => wellKnown,
  'frontDoor.listen': ({ frontDoor }) => frontDoor?.listen,
  'processing.maxInFlight': ({ processing }) => processing?.maxInFlight,
  'policy.persistDirectory': ({ policy }) => policy.persistDirectory,
  labels: ({ labels }) => labels,
  decisionLog: ({ decisionLog }) => decisionLog,
  status: ({ status, services }) => status && [status, services.find(({ name }) => name === status.service)],
};

/** The settings of these that differ. */
export function needingRestart(started: Config, next: Config): string[] {
  return Object.entries(FIXED).flatMap(([setting, read]) => (isDeepStrictEqual(read(started), read(next)) ? [] : [setting]));
}
