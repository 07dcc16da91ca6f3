/** `npm run conformance`: the official suite with and without the gateway, and in what the two differ. */
import { bold, dim, wrong, yes } from '../../examples/reference/paint.ts';
import type { Summary } from './comparison.ts';
import { type ConformanceReport, checkConformance } from './conformance.ts';

const say = (line = ''): void => void process.stdout.write(`${line}\n`);
const startedAt = performance.now();
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort(new Error(`ended by ${signal}`)));

try {
  const report = await checkConformance({ say, progress: (line) => say(dim(`  ${line}`)), signal: stopping.signal });
  const complaints = tellReport(report);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  if (complaints === 0) say(yes(`With and without the gateway, the suite says the same. ${seconds} s.`));
  else say(wrong(`${complaints} ${complaints === 1 ? 'complaint' : 'complaints'}, see above. ${seconds} s.`));
  process.exitCode = complaints === 0 ? 0 : 1;
} catch (error) {
  process.stderr.write(`${wrong('Conformance was not checked:')} ${(error as Error).message}\n`);
  process.exitCode = stopping.signal.aborted ? 130 : 1;
}

/** Tells all that is to be told, and how many complaints there were. */
function tellReport({ revisions, headers, decisions }: ConformanceReport): number {
  say();
  say(bold('requirement set   run                   scenarios   passed   failed   warnings'));
  for (const { revision, direct, through, unscored } of revisions) {
    say(row(revision, 'direct', direct));
    say(row(revision, 'through the gateway', through));
    for (const failure of unscored) say(dim(`  not counted, fails direct: ${failure}`));
  }
  say(row('headers only', 'direct, careless', headers.direct));
  say(row('headers only', 'through the gateway', headers.through));
  say(`The sidecar decided ${decisions.allowed + decisions.refused} requests: ${decisions.refused} refused.`);
  say();
  const complaints = [
    ...revisions.flatMap(({ revision, faults, differences }) => [
      ...faults.map((fault) => `${revision} ${fault}`),
      ...differences.map((difference) => `${revision} differs: ${difference}`),
    ]),
    ...headers.faults.map((fault) => `headers: ${fault}`),
  ];
  for (const complaint of complaints) say(`${wrong('✗')} ${complaint}`);
  return complaints.length;
}

function row(set: string, run: string, { scenarios, passed, failed, warned }: Summary): string {
  const figures = [
    String(scenarios).padStart(9),
    String(passed).padStart(8),
    String(failed).padStart(8),
    String(warned).padStart(10),
  ];
  return `${set.padEnd(18)}${run.padEnd(22)}${figures.join(' ')}`;
}
