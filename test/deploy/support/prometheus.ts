/** A real Prometheus on a free port, with our rules loaded, scraping one target as often as it can. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { RULES_FILE } from './queries.ts';

/** Why a test cannot run here, or false: the value of node:test's `skip`. */
export function missing(program: 'prometheus' | 'promtool'): string | false {
  return spawnSync(program, ['--version']).error === undefined ? false : `${program} is not installed`;
}

export interface Prometheus {
  /** The `data` of its answer. */
  readonly get: <T>(path: string, query?: Readonly<Record<string, string>>) => Promise<T>;
  readonly stop: () => Promise<void>;
}

const INTERVAL = '250ms';
const START_MS = 60_000;
const STOP_MS = 5000;

export async function startPrometheus(metricsUrl: string): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'prometheus-'));
  const config = join(folder, 'prometheus.yaml');
  await writeFile(config, stringify(configuration(new URL(metricsUrl))));
  const child = spawn(
    'prometheus',
    [`--config.file=${config}`, `--storage.tsdb.path=${join(folder, 'data')}`, '--web.listen-address=127.0.0.1:0'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const exited = once(child, 'exit');

  async function stop(): Promise<void> {
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await exited;
    clearTimeout(killer);
    await rm(folder, { recursive: true, force: true });
  }

  const address = await ready(child.stderr, exited).catch(async (cause: unknown) => {
    await stop();
    throw cause;
  });

  async function get<T>(path: string, query: Readonly<Record<string, string>> = {}): Promise<T> {
    const response = await fetch(`http://${address}/api/v1/${path}?${new URLSearchParams(query)}`);
    const body = (await response.json()) as { status: string; error?: string; data: T };
    if (body.status !== 'success') throw new Error(`prometheus: ${body.error} (${path} ${JSON.stringify(query)})`);
    return body.data;
  }

  return { get, stop };
}

/** The address it listens on, once it answers queries; read from its log. */
function ready(stderr: Readable, exited: Promise<unknown>): Promise<string> {
  return new Promise((resolve, reject) => {
    const lines: string[] = [];
    let address = '';
    const fail = (what: string) => () => reject(new Error(`prometheus ${what}:\n${lines.join('\n')}`));
    const timer = setTimeout(fail('is not ready'), START_MS);
    createInterface(stderr).on('line', (line) => {
      lines.push(line);
      address = /"Listening on".* address=(\S+)/.exec(line)?.[1] ?? address;
      if (!line.includes('ready to receive web requests')) return;
      clearTimeout(timer);
      resolve(address);
    });
    exited.then(fail('ended'), reject).finally(() => clearTimeout(timer));
  });
}

function configuration({ protocol, host, pathname }: URL): object {
  return {
    global: { scrape_interval: INTERVAL, scrape_timeout: INTERVAL, evaluation_interval: INTERVAL },
    rule_files: [fileURLToPath(RULES_FILE)],
    scrape_configs: [
      {
        job_name: 'mcp-ext-authz',
        scheme: protocol.slice(0, -1),
        metrics_path: pathname,
        static_configs: [{ targets: [host] }],
      },
    ],
  };
}
