/** Envoy's admin interface, over its Unix socket. */
import { request } from 'node:http';

export async function adminText(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, headers: { host: 'admin' } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    });
    call.on('error', reject).end();
  });
}

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
