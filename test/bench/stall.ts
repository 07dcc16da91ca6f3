/**
 * One caller sends what makes policy slowest, without a pause; what do the others notice, and does the event loop? The policy is
 * the tests' `heavy` one: cubic, and endless, in what the caller sends. Straight at the sidecar, without Envoy.
 */
import { fileURLToPath } from 'node:url';
import { Client, credentials } from '@grpc/grpc-js';
import { bold, dim } from '../../examples/reference/paint.ts';
import { ask } from './ask.ts';
import { type Run, readMetric, type Subject } from './run.ts';
import { type Call, toCheckRequest } from './world.ts';

export const HEAVY = fileURLToPath(new URL('../fixtures/policies/heavy.tar.gz', import.meta.url));

/** Of the caller who means ill. */
const AT_ONCE = 8;
const EVERY_MS = 5;
const WORST: Readonly<Record<string, object>> = {
  'nothing else': {},
  cubic: { cubic: Array.from({ length: 200 }, (_, at) => at) },
  endless: { loop: Array.from({ length: 1000 }, (_, at) => at) },
};

export interface StallOptions extends Run {
  readonly subject: Subject;
  readonly calls: readonly Call[];
}

interface Row {
  /** Longest time that the event loop did nothing else. */
  readonly stall: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly refused: number;
  readonly worst: Readonly<Record<string, number>>;
}

export async function measureStall(options: StallOptions): Promise<Record<string, Row>> {
  const { subject, calls, quick, say, progress } = options;
  const seconds = quick ? 5 : 20;
  const client = new Client(subject.ready.target, credentials.createInsecure());
  const rows: Record<string, Row> = {};
  say(
    `\n${bold('A caller who asks the worst there is')}${dim(`  (ms; ${AT_ONCE} such calls at once, other callers ${1000 / EVERY_MS} a second, ${seconds} s)`)}`,
  );
  say(
    `  ${'what'.padEnd(14)}${'stall'.padStart(8)}${'p50'.padStart(8)}${'p99'.padStart(8)}${'max'.padStart(8)}${'refused'.padStart(9)}`,
  );
  try {
    await playOne({}, 1, client, calls);
    for (const [name, args] of Object.entries(WORST)) {
      progress(`stall: ${name} …`);
      await readStall(subject);
      const played = await playOne(args, seconds, client, calls);
      const row = { stall: await readStall(subject), ...played };
      progress('');
      rows[name] = row;
      const worst = Object.entries(row.worst).map(([reason, count]) => `${count} ${reason}`);
      say(
        `  ${name.padEnd(14)}${[row.stall, row.p50, row.p99, row.max].map((ms) => ms.toFixed(1).padStart(8)).join('')}${String(row.refused).padStart(9)}  ${dim(worst.join(', '))}`,
      );
    }
  } finally {
    client.close();
  }
  return rows;
}

async function playOne(args: object, seconds: number, client: Client, calls: readonly Call[]): Promise<Omit<Row, 'stall'>> {
  const [first, ...others] = calls as [Call, ...Call[]];
  const innocent = others.filter(({ token }) => token !== first.token).map((call) => toCheckRequest(call, 0));
  const params = { name: 'getBalance', arguments: args };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
  const bad = toCheckRequest({ ...first, body }, 0);
  const until = performance.now() + seconds * 1000;
  const worst: Record<string, number> = {};
  const isAttack = Object.keys(args).length > 0;

  async function attack(): Promise<void> {
    while (isAttack && performance.now() < until) {
      const reason = await ask(client, bad);
      worst[reason] = (worst[reason] ?? 0) + 1;
    }
  }

  const attacks = Array.from({ length: AT_ONCE }, attack);
  const times: number[] = [];
  let refused = 0;
  const asked: Promise<void>[] = [];
  for (let at = 0, due = performance.now(); due < until; at++, due += EVERY_MS) {
    while (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, 1));
    const dueAt = due;
    asked.push(
      ask(client, innocent[at % innocent.length] as object).then((reason) => {
        times.push(performance.now() - dueAt);
        if (reason !== 'allowed') refused++;
      }),
    );
  }
  await Promise.all([...asked, ...attacks]);
  times.sort((a, b) => a - b);
  const at = (part: number): number => times[Math.min(times.length - 1, Math.floor(times.length * part))] as number;
  return { p50: at(0.5), p99: at(0.99), max: at(1), refused, worst };
}

/** Since it was read last. */
async function readStall(subject: Subject): Promise<number> {
  return (await readMetric(subject, 'nodejs_eventloop_lag_max_seconds')) * 1000;
}
