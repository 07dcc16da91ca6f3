/** One run of the official suite (@modelcontextprotocol/conformance) as a process, and what its checks said. */
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const home = dirname(fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/package.json')));

export const REVISIONS = ['2025-11-25', '2026-07-28'] as const;

export type Revision = (typeof REVISIONS)[number];

export interface Check {
  readonly id: string;
  readonly name: string;
  readonly status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO';
  readonly errorMessage?: string;
}

export interface SuiteRun {
  readonly exitCode: number | null;
  /** The checks of each scenario, in the order in which they were made. */
  readonly scenarios: ReadonlyMap<string, readonly Check[]>;
  /** The last lines of its output, for when it went wrong. */
  readonly tail: string;
}

export interface SuiteOptions {
  readonly url: string;
  /** Where it leaves its results; a folder of its own. */
  readonly dir: string;
  /** A requirement set, or a single scenario. */
  readonly what: { readonly requirements: Revision } | { readonly scenario: string; readonly revision: Revision };
  readonly signal: AbortSignal;
  readonly onScenario?: (name: string) => void;
}

/** What a requirement set asks of a server, and what it runs beyond that without counting it. */
export async function readRequirements(revision: Revision): Promise<{ scored: string[]; notScored: string[] }> {
  const file = parse(await readFile(join(home, 'requirements', `${revision}.yaml`), 'utf8')) as {
    server: string[];
    not_scored: { scenario: string; leg: string }[];
  };
  const others = file.not_scored.filter(({ leg }) => leg === 'server').map(({ scenario }) => scenario);
  return { scored: file.server, notScored: others };
}

export async function runSuite({ url, dir, what, signal, onScenario }: SuiteOptions): Promise<SuiteRun> {
  const choice =
    'requirements' in what
      ? ['--requirements', what.requirements]
      : ['--scenario', what.scenario, '--spec-version', what.revision];
  const args = [join(home, 'dist/index.js'), 'server', '--url', url, '-o', dir, ...choice];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], signal, killSignal: 'SIGKILL' });
  const tail: string[] = [];
  const read = (line: string) => {
    tail.push(line);
    if (tail.length > 20) tail.shift();
    const [, name] = /^Running client scenario '([^']+)'/.exec(line) ?? [];
    if (name !== undefined) onScenario?.(name);
  };
  createInterface({ input: child.stdout }).on('line', read);
  createInterface({ input: child.stderr }).on('line', read);
  // An abort is told by an error as well, but the process is gone only when it is closed.
  child.on('error', () => {});
  const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
  signal.throwIfAborted();
  return { exitCode, scenarios: await readResults(dir), tail: tail.join('\n') };
}

async function readResults(dir: string): Promise<Map<string, Check[]>> {
  const scenarios = new Map<string, Check[]>();
  for (const folder of await readdir(dir).catch(() => [])) {
    const [, scenario] = /^server-(.+)-\d{4}-\d{2}-\d{2}T[\w-]+$/.exec(folder) ?? [];
    const text = await readFile(join(dir, folder, 'checks.json'), 'utf8').catch(() => undefined);
    if (scenario !== undefined && text !== undefined) scenarios.set(scenario, JSON.parse(text));
  }
  return scenarios;
}
