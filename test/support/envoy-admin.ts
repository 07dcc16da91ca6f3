/** What tests read from Envoy's admin interface. */
import { adminText } from '../../examples/reference/envoy-admin.ts';

export async function configDump(socketPath: string): Promise<any> {
  return JSON.parse(await adminText(socketPath, '/config_dump'));
}

/** Counters and gauges by name. */
export async function stats(socketPath: string, filter: string): Promise<Map<string, number>> {
  const text = await adminText(socketPath, `/stats?filter=${encodeURIComponent(filter)}`);
  return new Map(text.split('\n').flatMap((line) => readStat(line)));
}

function readStat(line: string): [string, number][] {
  const found = /^(\S+): (\d+)$/.exec(line);
  return found === null ? [] : [[found[1] as string, Number(found[2])]];
}
