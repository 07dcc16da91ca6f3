/**
 * `mcp-ext-authz policy explain DECISION_ID`: finds the line of a decision in the log, puts what policy saw to the same revision
 * again, and says which rules decided, by which data, and whether it comes out as recorded.
 */
import { readConfigFile } from '../app/config-file.ts';
import { openStore, type Persisted } from '../bundle/store.ts';
import type { Config } from '../config.ts';
import { describeCause } from '../telemetry/redact.ts';
import { evaluate } from './evaluation.ts';
import { type Explained, explainJson, explainText } from './explanation.ts';
import { EXIT, type Io, readArguments, showProgress, ToolError, UsageError } from './io.ts';
import { type Judge, MOST_TTL_SECONDS, openJudge } from './judge.ts';
import { openToolOpa } from './loading.ts';
import { readEvents } from './log-events.ts';
import { erasedOfInput, type Recorded, readRecorded } from './recorded.ts';

export const HELP = `mcp-ext-authz policy explain DECISION_ID --log FILE… [--bundle FILE] [--policy DIR] [--config FILE]

Why a decision of the log came out as it did: which rules, which data, why.

  --log FILE       a decision log, NDJSON or OPA's arrays, gzipped or not; may be given again. - is standard input
  --bundle FILE    the bundle that decided
  --policy DIR     its sources: a bundle made for wasm has no Rego of its entry points, and no trace without it
  --config FILE    takes the log and the bundle, also the persisted one, of this configuration
  --trace          everything that was tried, not only what led to the answer
  --json           for programs

Exits with 1 where it does not come out as recorded, unless the log has erased part of what policy saw.
`;

const OPTIONS = {
  log: { type: 'string', multiple: true },
  bundle: { type: 'string' },
  policy: { type: 'string' },
  config: { type: 'string' },
  trace: { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS, 1);
  const [id] = positionals;
  if (id === undefined) throw new UsageError('a DECISION_ID is needed');
  const config = values.config === undefined ? null : await readConfigFile(values.config);
  const logs = values.log ?? (config === null || config.decisionLog.file === '-' ? [] : [config.decisionLog.file]);
  if (logs.length === 0) throw new UsageError('--log FILE is needed: where the decision is recorded');
  const { recorded, unreadable } = await showProgress('looking for it', io, () => findLine(logs, id));
  if (recorded === null) throw new ToolError(`${id} is not in ${logs.join(', ')}${describeUnreadable(unreadable)}`);

  const kept = config === null ? null : await findBundle(config.policy);
  const bundle = values.bundle === undefined ? kept : { path: values.bundle };
  const explained = await showProgress('asking OPA', io, () => explain(recorded, bundle, values.policy ?? null));
  io.out.write(
    values.json ? `${JSON.stringify(explainJson(explained), null, 2)}\n` : explainText(explained, values.trace ?? false),
  );
  // Asked for without a policy it is half an answer, and must not pass for a whole one.
  if (explained.problem !== null) return EXIT.unable;
  return explained.agreement?.outcome === 'otherwise' ? EXIT.found : EXIT.fine;
}

interface Found {
  readonly recorded: Recorded | null;
  readonly unreadable: number;
}

async function findLine(logs: readonly string[], id: string): Promise<Found> {
  let unreadable = 0;
  for (const log of logs) {
    for await (const event of readEvents(log)) {
      const found = 'text' in event ? readLine(event.text, id) : 'unreadable';
      if (found === 'unreadable') unreadable++;
      else if (found !== null) return { recorded: found, unreadable };
    }
  }
  return { recorded: null, unreadable };
}

/** Most lines are not even parsed. */
function readLine(text: string, id: string): Recorded | 'unreadable' | null {
  if (!text.includes(id)) return null;
  const recorded = readRecorded(text);
  if (recorded === null) return isJson(text) ? null : 'unreadable';
  return recorded.id === id ? recorded : null;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function describeUnreadable(count: number): string {
  if (count === 0) return '';
  return `, as far as it can be read: ${count === 1 ? '1 line cannot, and may be the one' : `${count} lines cannot, and it may be one of them`}`;
}

async function explain(recorded: Recorded, bundle: Given | null, folder: string | null): Promise<Explained> {
  const nothing = { recorded, evaluation: null, judge: null, sources: null, agreement: null };
  if (recorded.input === null) return { ...nothing, problem: null };
  if (bundle === null && folder === null)
    return { ...nothing, problem: 'give --bundle FILE, --policy DIR or --config FILE to see which rules decided' };
  const opa = openToolOpa();
  try {
    const options = { maxTtlSeconds: MOST_TTL_SECONDS };
    const judge = await (bundle === null
      ? openJudge(folder as string, opa, options)
      : openJudge(bundle.path, opa, options, bundle.archive));
    const sources: Judge = folder === null || bundle === null ? judge : await openJudge(folder, opa, options);
    const evaluation = await evaluate(judge, opa, recorded.input, recorded.atMs, sources);
    return { recorded, evaluation, judge, sources, agreement: agreementOf(recorded, evaluation.judged), problem: null };
  } finally {
    await opa.close();
  }
}

function agreementOf(recorded: Recorded, judged: NonNullable<Explained['evaluation']>['judged']): Explained['agreement'] {
  const { inbound, outbound } = recorded;
  if (inbound === null) return null;
  const isSame = (was: typeof inbound, is: typeof inbound | null): boolean => was.allow === is?.allow && was.reason === is.reason;
  const agrees = isSame(inbound, judged.inbound) && (outbound === null || isSame(outbound, judged.outbound));
  return { outcome: agrees ? 'same' : erasedOfInput(recorded).length > 0 ? 'unknown' : 'otherwise' };
}

interface Given {
  readonly path: string;
  /** Without it `path` is read. */
  readonly archive?: Uint8Array;
}

/** The last good bundle that was kept, or the file that is configured. */
async function findBundle({ persistDirectory, bundleFile, maxBundleBytes }: Config['policy']): Promise<Given | null> {
  if (persistDirectory !== undefined) {
    const kept = await readKept(persistDirectory, maxBundleBytes);
    if (kept !== null) return { path: `the bundle kept in ${persistDirectory}`, archive: kept.archive };
  }
  return bundleFile === undefined ? null : { path: bundleFile };
}

async function readKept(directory: string, maxBytes: number): Promise<Persisted | null> {
  try {
    return await openStore(directory, 'policy', maxBytes).readBundle();
  } catch (cause) {
    throw new ToolError(`${directory}: ${describeCause(cause)}`);
  }
}
