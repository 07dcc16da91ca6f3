/**
 * `npm run bench`: what a Check costs. CPU time (user + system) of the server process for each Check, beside a no-op server
 * on the same protos; memory after a million Checks; latency that ext_authz adds through a real Envoy, open loop.
 * What it costs to show each caller its own list, how fast recorded decisions are replayed, what all others notice of a
 * caller who asks the worst there is, and how soon a bundle that is published decides. `-- --json FILE` writes the figures,
 * `-- --quick` takes fewer rounds, `-- --only cpu,memory,latency,lists,stall,replay,delivery` chooses.
 */

import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parse, stringify } from 'yaml';
import { bold, dim } from '../../examples/reference/paint.ts';
import { type RunningProcess, startProcess } from '../../examples/reference/process.ts';
import { measureDelivery } from './delivery.ts';
import { measureLatency } from './latency.ts';
import { measureLists } from './lists.ts';
import { createLoad } from './load.ts';
import { measureReplay } from './replay.ts';
import { median, type Run, readMetric, type Subject, type Target } from './run.ts';
import { HEAVY, measureStall } from './stall.ts';
import { createCalls, ORIGIN, toCheckRequest } from './world.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: 'cpu,memory,latency,lists,stall,replay,delivery' },
  },
});
const parts = new Set(values.only.split(','));
/** Many short rounds: a neighbour on the machine then spoils some of them, and not the median. */
const ROUNDS = values.quick ? 7 : 31;
const CHECKS = 4000;
const WARM_UP = 40_000;

type Adjust = (config: Record<string, any>) => void;

const say = (line = '') => process.stdout.write(`${line}\n`);
const progress = (text: string) => process.stdout.isTTY && process.stdout.write(`\r\x1b[K${dim(text)}`);

const dir = await mkdtemp(join(tmpdir(), 'mcp-ext-authz-bench-'));
const run: Run = { dir, quick: values.quick, say, progress };
const running: RunningProcess<unknown>[] = [];
const results: Record<string, unknown> = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length };
try {
  const issuer = await started('the issuer', join(root, 'test/bench/issuer.ts'), [], (line) => {
    const parsed = JSON.parse(line) as { issuer?: string; tokens?: string[] };
    return parsed.tokens === undefined ? undefined : (parsed as { issuer: string; tokens: string[] });
  });
  const calls = createCalls(issuer.ready.tokens);
  const requests = calls.map(toCheckRequest);
  const floor = await started('the floor', join(root, 'test/bench/floor.ts'), [], readTarget);
  const sidecar = async (name: string, delegation: string, adjust: Adjust = () => {}) =>
    started(
      name,
      join(root, 'src/main.ts'),
      ['serve', '--config', await writeConfig(name, delegation, issuer.ready.issuer, adjust)],
      readTarget,
    );
  const subjects: Record<'floor' | 'decision' | 'mint' | 'exchange', Subject> = {
    floor,
    decision: await sidecar('decision', 'none'),
    mint: await sidecar('mint', 'mint'),
    exchange: await sidecar('exchange', 'exchange'),
  };
  if (parts.has('cpu')) results.cpuMicrosPerCheck = await measureCpu(subjects, requests);
  if (parts.has('memory')) results.memory = await measureMemory(await sidecar('memory', 'mint'), requests);
  if (parts.has('latency')) results.latencyMs = await measureLatency({ ...run, subjects, calls });
  if (parts.has('lists')) {
    const [token = ''] = issuer.ready.tokens;
    const unfiltered = await sidecar('unfiltered', 'mint', (config) => {
      delete config.processing;
    });
    results.listsMs = await measureLists({ ...run, filtered: subjects.mint, unfiltered, token });
  }
  if (parts.has('replay')) results.replay = await measureReplay(run);
  if (parts.has('stall')) {
    const heavy = await sidecar('stall', 'none', (config) => {
      config.policy.bundleFile = HEAVY;
    });
    results.stallMs = await measureStall({ ...run, subject: heavy, calls });
  }
  if (parts.has('delivery')) {
    const start = (name: string, adjust: Adjust) => sidecar(name, 'none', adjust);
    results.deliveryMs = await measureDelivery({ ...run, calls, start });
  }
  if (values.json !== undefined) {
    await writeFile(values.json, `${JSON.stringify(results, null, 2)}\n`);
    say(`\nwritten to ${values.json}`);
  }
} catch (error) {
  process.stderr.write(`\nThe benchmark failed: ${(error as Error).message}\n`);
  process.exitCode = 1;
} finally {
  await Promise.all(running.map(({ stop }) => stop()));
  await rm(dir, { recursive: true, force: true });
}

async function started<T>(
  name: string,
  file: string,
  args: string[],
  readyWhen: (line: string) => T | undefined,
): Promise<RunningProcess<T>> {
  const child = await startProcess({ name, command: process.execPath, args: [file, ...args], readyWhen });
  running.push(child);
  return child;
}

function readTarget(line: string): Target | undefined {
  if (!line.startsWith('{')) return undefined;
  const { target, admin } = JSON.parse(line) as Partial<Target>;
  return target === undefined || admin === undefined ? undefined : { target, admin };
}

/** The reference configuration with one issuer for everything; decision log to a file, metrics on, nothing switched off. */
async function writeConfig(name: string, delegation: string, issuer: string, adjust: Adjust): Promise<string> {
  const config = parse(await readFile(join(root, 'examples/reference/mcp-ext-authz.yaml'), 'utf8'));
  const keyFile = join(dir, `${name}-key.pem`);
  await writeFile(
    keyFile,
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    { mode: 0o600 },
  );
  config.server = { listen: '127.0.0.1:0' };
  config.admin = { listen: '127.0.0.1:0' };
  config.wellKnown = undefined;
  config.issuers = [{ issuer, clients: ['claude-code'] }];
  for (const resource of config.resources) {
    resource.publicUrls = [`${ORIGIN}${resource.path}`];
    delete resource.url;
  }
  delete config.frontDoor;
  config.processing.keys = [{ file: keyFile }];
  config.policy.bundleFile = join(root, 'policies/bundle.tar.gz');
  config.delegation = {
    actor: 'ai-identity-gateway',
    mode: delegation,
    mint: { issuer: 'https://mint.example', keys: [{ kid: 'bench', keyFile }] },
    exchange: { issuer, clientId: 'ai-identity-gateway', clientAuthentication: { method: 'private_key_jwt', keyFile } },
  };
  config.decisionLog = { file: join(dir, `${name}-decisions.ndjson`) };
  adjust(config);
  const file = join(dir, `${name}.yaml`);
  await writeFile(file, stringify(config));
  return file;
}

/** Rounds alternate between the subjects, so that a change of the machine's speed meets them all. */
async function measureCpu(subjects: Record<string, Subject>, requests: readonly object[]): Promise<Record<string, number>> {
  say(
    bold('CPU of one Check') +
      dim(
        `  (µs, user + system; ${CHECKS} Checks a round, medians of ${ROUNDS} alternating rounds; 16 callers, 2 connections, 100 principals, all tools)`,
      ),
  );
  const loads = Object.entries(subjects).map(([name, subject]) => ({
    name,
    subject,
    load: createLoad(subject.ready.target, requests),
    samples: [] as number[],
  }));
  for (const { name, load } of loads) {
    progress(`warming up ${name} …`);
    await load.run(WARM_UP);
  }
  for (let round = 1; round <= ROUNDS; round++) {
    for (const { name, subject, load, samples } of loads) {
      progress(`round ${round} of ${ROUNDS}: ${name} …`);
      const before = await readMetric(subject, 'process_cpu_seconds_total');
      await load.run(CHECKS);
      samples.push(((await readMetric(subject, 'process_cpu_seconds_total')) - before) * (1e6 / CHECKS));
    }
  }
  progress('');
  const medians = Object.fromEntries(loads.map(({ name, samples }) => [name, round1(median(samples))]));
  say(`  ${'what'.padEnd(12)}${'median'.padStart(9)}${'min'.padStart(9)}${'max'.padStart(9)}${'× floor'.padStart(10)}`);
  for (const { name, samples, load } of loads) {
    const ratio = (medians[name] as number) / (medians.floor as number);
    say(
      `  ${name.padEnd(12)}${String(medians[name]).padStart(9)}${String(round1(Math.min(...samples))).padStart(9)}${String(round1(Math.max(...samples))).padStart(9)}${ratio.toFixed(2).padStart(10)}`,
    );
    load.close();
  }
  return medians;
}

async function measureMemory(subject: Subject, requests: readonly object[]): Promise<Record<string, number>> {
  const total = values.quick ? 200_000 : 1_000_000;
  const first = total / 10;
  const load = createLoad(subject.ready.target, requests);
  const at: number[] = [];
  for (let done = 0; done < total; done += first) {
    progress(`memory: ${done} of ${total} Checks …`);
    await load.run(first);
    at.push((await readMetric(subject, 'process_resident_memory_bytes')) / 1048576);
  }
  load.close();
  progress('');
  const [early = 0] = at;
  const late = at.at(-1) ?? 0;
  say(
    `\n${bold('Memory')}  RSS after ${first} Checks ${early.toFixed(1)} MiB, after ${total} ${late.toFixed(1)} MiB: ${late - early > 0 ? '+' : ''}${(late - early).toFixed(1)} MiB ${dim('(mint)')}`,
  );
  return { checks: total, earlyMiB: round1(early), lateMiB: round1(late), growthMiB: round1(late - early) };
}

function round1(value: number): number {
  return Math.round(value * 10) / 10;
}
