/** `npm run conformance`: the official suite with and without the gateway, and in what the two differ. */
import { bold, dim, wrong, yes } from '../../examples/reference/paint.ts';
import type { Summary } from './comparison.ts';
import { type ConformanceReport, checkConformance, complaintsOf } from './conformance.ts';

const say = (line = ''): void => void process.stdout.write(`${line}\n`);
const startedAt = performance.now();
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopping.abort(new Error(`ended by ${signal}`)));

try {
  const report = await checkConformance({ say, progress: (line) => say(dim(`  ${line}`)), signal: stopping.signal });
  const complaints = complaintsOf(report);
  tellReport(report, complaints);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  if (complaints.length === 0) say(yes(`With and without the gateway, the suite says the same. ${seconds} s.`));
  else say(wrong(`${complaints.length} ${complaints.length === 1 ? 'complaint' : 'complaints'}, see above. ${seconds} s.`));
  process.exitCode = complaints.length === 0 ? 0 : 1;
} catch (error) {
  process.stderr.write(`${wrong('Conformance was not checked:')} ${(error as Error).message}\n`);
  process.exitCode = stopping.signal.aborted ? 130 : 1;
}

function tellReport({ revisions, headers, decisions }: ConformanceReport, complaints: readonly string[]): void {
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
  for (const complaint of complaints) say(`${wrong('✗')} ${complaint}`);
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
