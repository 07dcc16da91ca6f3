/** How many recorded decisions a second `policy replay` puts to the reference policies, both rules of each, and in how much memory. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { bold, dim } from '../../examples/reference/paint.ts';
import { createFlips } from '../../src/tools/flips.ts';
import { openJudge } from '../../src/tools/judge.ts';
import { openToolOpa } from '../../src/tools/loading.ts';
import { readEvents } from '../../src/tools/log-events.ts';
import { createReplay, replayAll } from '../../src/tools/replay-run.ts';
import { morning, POLICIES, recordedLine } from '../support/decision-lines.ts';
import type { Run } from './run.ts';

export async function measureReplay({ dir, quick, say, progress }: Run): Promise<Record<string, number>> {
  const opa = openToolOpa();
  const judge = await openJudge(join(POLICIES, 'bundle.tar.gz'), opa, { maxTtlSeconds: 5 });
  await opa.close();
  const count = quick ? 20_000 : 200_000;
  const file = join(dir, 'decisions.ndjson');
  progress(`recording ${count} decisions …`);
  const sink = createWriteStream(file);
  for (const [index, asked] of morning(count).entries()) {
    if (!sink.write(`${recordedLine(judge, asked, index)}\n`)) await once(sink, 'drain');
  }
  sink.end();
  await once(sink, 'close');

  progress('replaying …');
  const flips = createFlips(3);
  const timed = await judge.openTimed(1000);
  const replay = createReplay(timed.ask, null, flips);
  const { totals } = replay;
  const before = process.memoryUsage().rss;
  const cpu = process.cpuUsage();
  const begun = performance.now();
  await replayAll(readEvents(file), replay, Number.POSITIVE_INFINITY, async () => undefined);
  const seconds = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await timed.close();
  progress('');
  if (totals.replayed !== count || flips.groups().length > 0)
    throw new Error('the policy that recorded does not agree with itself');
  const figures = {
    decisions: count,
    perSecond: Math.round(count / seconds),
    cpuMicros: Math.round((user + system) / count),
    growthMiB: Math.round((process.memoryUsage().rss - before) / 1048576),
  };
  say(
    `\n${bold('Replay')}  ${figures.perSecond} decisions per second, ${figures.cpuMicros} µs CPU each, RSS ${figures.growthMiB < 0 ? '' : '+'}${figures.growthMiB} MiB ${dim(`(${count} decisions, both rules, one thread that evaluates)`)}`,
  );
  return figures;
}
