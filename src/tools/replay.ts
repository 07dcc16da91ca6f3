/**
 * `mcp-ext-authz policy replay`: recorded decisions put to another policy, and every one that would come out otherwise. What is
 * compared is policy's own word: what happened after it, such as an exchange that failed, is no part of a policy.
 */
import { readConfigFile } from '../app/config-file.ts';
import { createFlips, type Flip, type Flips, KINDS } from './flips.ts';
import { EXIT, type Io, readArguments, readNumber, showProgress, ToolError, UsageError } from './io.ts';
import { type Judge, MOST_TTL_SECONDS, openJudge } from './judge.ts';
import { openToolOpa } from './loading.ts';
import { type LogEvent, readEvents } from './log-events.ts';
import { type Replayed, reportJson, reportMarkdown, reportText } from './replay-report.ts';
import { createReplay, isGivenUp, MAX_CUT_SHORT, NOT_REPLAYED, type NotReplayed, replayAll, type Totals } from './replay-run.ts';

export const HELP = `mcp-ext-authz policy replay --bundle NEW [--against OLD] decisions.ndjson…

Puts recorded decisions to another policy and says which would come out otherwise. Files are NDJSON or the arrays that OPA
uploads, gzipped or not; - is standard input.

  --bundle NEW     the candidate: a bundle, or a folder of Rego and data
  --against OLD    compare with what this policy says of the same inputs, and not with what was recorded
  --fail-on WORD   any (default), allow_to_deny, deny_to_allow (or with hyphens) or none: what makes it exit with 1
  --limit N        ends after N decisions that were replayed
  --examples N     decision ids shown of each group (3)
  --config FILE    the sidecar's configuration, for the longest lifetime of a token
  --markdown       to be pasted into a pull request
  --json           one line for every decision that flips, and a last one with the groups

The log may have erased arguments. Against the record such decisions cannot be judged where they come out otherwise: they are
shown apart and do not fail. With --against both policies see the same, and they count.

An evaluation may take a second, or policy.timeoutMs of --config where that is more; else it comes out as policy_timeout. After
${MAX_CUT_SHORT} that took too long or too much memory it ends, and exits with 1 but for --fail-on none.
`;

const OPTIONS = {
  bundle: { type: 'string' },
  against: { type: 'string' },
  'fail-on': { type: 'string' },
  limit: { type: 'string' },
  examples: { type: 'string' },
  config: { type: 'string' },
  markdown: { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof readArguments<typeof OPTIONS>>['values'];

const FAIL_ON = ['any', 'allow_to_deny', 'deny_to_allow', 'none'] as const;
const MAX_EXAMPLES = 100;
/** Of one evaluation, on a machine that may be busy: a sidecar gives less, unless it is told otherwise. */
const TIMEOUT_MS = 1000;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals: files } = readArguments(args, OPTIONS, Number.POSITIVE_INFINITY);
  const { bundle, failOn, limit, examples } = readOptions(values, files);
  const config = values.config === undefined ? null : await readConfigFile(values.config);
  const options = { maxTtlSeconds: config?.delegation.maxTtlSeconds ?? MOST_TTL_SECONDS };

  const { against } = values;
  const [candidate, old] = await showProgress('loading', io, () => openBoth(bundle, against, options));
  const timeoutMs = Math.max(TIMEOUT_MS, config?.policy.timeoutMs ?? 0);
  const flips = createFlips(examples);
  const each = values.json ? (flip: object) => io.out.write(`${JSON.stringify({ type: 'flip', ...flip })}\n`) : () => true;
  const replayed = await showProgress('replaying', io, () =>
    replayFiles(files, candidate, old, { flips, limit, timeoutMs, each, io }),
  );
  if (replayed.totals.replayed === 0) throw new ToolError(`nothing could be replayed: ${whyNothing(replayed.totals)}`);
  if (values.json) io.out.write(`${JSON.stringify(reportJson(replayed))}\n`);
  else io.out.write(values.markdown ? reportMarkdown(replayed) : reportText(replayed));
  return exitCode(failOn, replayed);
}

function readOptions(values: Values, files: readonly string[]) {
  const { bundle, markdown, json } = values;
  const failOn = FAIL_ON.find((word) => word === (values['fail-on'] ?? 'any').replaceAll('-', '_'));
  if (failOn === undefined) throw new UsageError(`--fail-on ${values['fail-on']}: one of ${FAIL_ON.join(', ')}`);
  if (bundle === undefined) throw new UsageError('--bundle NEW is needed: the policy to try');
  if (files.length === 0) throw new UsageError('a file of decisions is needed; - is standard input');
  if (markdown && json) throw new UsageError('--markdown and --json: give one of them');
  const whole = { least: 1, whole: true };
  const limit = values.limit === undefined ? Number.POSITIVE_INFINITY : readNumber('--limit', values.limit, whole);
  const examples = readNumber('--examples', values.examples ?? '3', { ...whole, most: MAX_EXAMPLES });
  return { bundle, failOn, limit, examples };
}

async function openBoth(
  bundle: string,
  against: string | undefined,
  options: Parameters<typeof openJudge>[2],
): Promise<[Judge, Judge | null]> {
  const opa = openToolOpa();
  try {
    return [await openJudge(bundle, opa, options), against === undefined ? null : await openJudge(against, opa, options)];
  } finally {
    await opa.close();
  }
}

interface Run {
  readonly flips: Flips;
  readonly limit: number;
  /** Of one evaluation. */
  readonly timeoutMs: number;
  /** False where the reader does not keep up. */
  readonly each: (flip: object) => boolean;
  readonly io: Io;
}

async function replayFiles(
  files: readonly string[],
  candidate: Judge,
  against: Judge | null,
  { flips, limit, timeoutMs, each, io }: Run,
): Promise<Replayed> {
  const asked = await candidate.openTimed(timeoutMs);
  const old = against === null ? null : await against.openTimed(timeoutMs);
  try {
    const replay = createReplay(asked.ask, old === null ? null : old.ask, flips);
    const begun = performance.now();
    const onFlip = async (flip: Flip): Promise<void> => (each(flip) ? undefined : untilWritten(io));
    await replayAll(readAll(files), replay, limit, onFlip);
    return { candidate, against, totals: replay.totals, flips, seconds: (performance.now() - begun) / 1000 };
  } finally {
    await Promise.all([asked.close(), old?.close()]);
  }
}

async function* readAll(files: readonly string[]): AsyncGenerator<LogEvent> {
  for (const file of files) yield* readEvents(file);
}

/** Who does not read any more is not waited for. */
async function untilWritten({ out }: Io): Promise<void> {
  if (!out.writableNeedDrain) return;
  await new Promise<void>((resolve) => out.once('drain', resolve).once('close', resolve));
}

/** A gate that had nothing to judge must not look like one that found nothing. */
function whyNothing({ lines, notReplayed }: Totals): string {
  const counts = Object.entries(notReplayed).map(([why, count]) => `${count}: ${NOT_REPLAYED[why as NotReplayed]}`);
  return lines === 0 ? 'there is no line in it' : counts.join('; ');
}

function exitCode(failOn: (typeof FAIL_ON)[number], { flips, totals }: Replayed): number {
  if (isGivenUp(totals) && failOn !== 'none') return EXIT.found;
  const kinds = failOn === 'any' ? KINDS : KINDS.filter((kind) => kind === failOn);
  return kinds.some((kind) => flips.count(kind) > 0) ? EXIT.found : EXIT.fine;
}
