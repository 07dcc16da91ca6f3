/**
 * `mcp-ext-authz policy VERB …` and `mcp-ext-authz audit verify …`: which file a verb is in, its help, its exit code. A file is
 * loaded when its verb is asked for: whoever serves Checks has none of them.
 */
import { ConfigError } from '../config.ts';
import { describeCause } from '../telemetry/redact.ts';
import { threadUrl } from '../thread-url.ts';
import { EXIT, type Io, ToolError, UsageError, type Verb } from './io.ts';

interface Listed {
  readonly usage: string;
  readonly summary: string;
  /** In this folder, without extension. */
  readonly file: string;
}

type Table = Readonly<Record<string, Listed>>;

const POLICY: Table = {
  init: { usage: '[DIR]', summary: 'a policy to begin with: rules, data, tests, a workflow for CI', file: 'init' },
  check: { usage: '[DIR]', summary: 'finds mistakes: names that input does not have, arguments no tool has', file: 'check' },
  test: { usage: '[DIR]', summary: 'runs the tests, and says what they do not reach', file: 'test' },
  build: {
    usage: '[DIR] -o BUNDLE',
    summary: 'makes a bundle, perhaps signed, after loading it as the sidecar does',
    file: 'build',
  },
  bench: { usage: '[BUNDLE|DIR]', summary: 'how long an evaluation takes', file: 'bench' },
  eval: { usage: '[BUNDLE|DIR] --as USER --tool NAME --args JSON', summary: 'what would be decided, and why', file: 'eval' },
  explain: { usage: 'DECISION_ID', summary: 'why a decision of the log came out as it did', file: 'explain' },
  replay: { usage: '--bundle BUNDLE FILE', summary: 'which recorded decisions another policy would change', file: 'replay' },
  accept: { usage: '--config FILE REVISION', summary: 'lets an older revision replace a newer one, once', file: 'accept' },
  promote: { usage: '--config FILE --revision REVISION', summary: 'makes the shadow policy the live one', file: 'promote' },
};

const AUDIT: Table = {
  verify: { usage: 'FILE…', summary: 'whether a decision log is whole and unchanged', file: 'audit-verify' },
};

const COMMANDS = { policy: POLICY, audit: AUDIT } as const;

export type Command = keyof typeof COMMANDS;

/** One line for each verb. */
export function describeCommand(command: Command): string {
  return Object.entries(COMMANDS[command])
    .map(([verb, { usage, summary }]) => `  mcp-ext-authz ${command} ${verb} ${usage}\n      ${summary}\n`)
    .join('');
}

export function runPolicy(verb: string | undefined, args: readonly string[], io: Io): Promise<number> {
  return runVerb('policy', verb, args, io);
}

/** The exit code. */
export async function runVerb(command: Command, verb: string | undefined, args: readonly string[], io: Io): Promise<number> {
  const asksHelp = (word: string | undefined): boolean => word === '--help' || word === '-h';
  if (asksHelp(verb)) {
    io.out.write(usageOf(command));
    return EXIT.fine;
  }
  const table: Table = COMMANDS[command];
  const listed = verb !== undefined && Object.hasOwn(table, verb) ? table[verb] : undefined;
  if (listed === undefined) {
    io.err.write(verb === undefined ? usageOf(command) : `there is no verb "${verb}"\n\n${usageOf(command)}`);
    return EXIT.unable;
  }
  try {
    const loaded = (await import(threadUrl(listed.file, import.meta.url).href)) as Verb;
    if (loaded.HELP !== undefined && args.some(asksHelp)) {
      io.out.write(loaded.HELP);
      return EXIT.fine;
    }
    return await loaded.run(args, io);
  } catch (cause) {
    io.err.write(`${describe(cause)}\n`);
    if (cause instanceof UsageError) io.err.write(`\`mcp-ext-authz ${command} ${verb} --help\` says how it is used.\n`);
    return cause instanceof ToolError ? cause.exitCode : EXIT.unable;
  }
}

function describe(cause: unknown): string {
  if (cause instanceof ToolError) return cause.message;
  return cause instanceof ConfigError ? cause.problems.join('\n') : describeCause(cause);
}

function usageOf(command: Command): string {
  return `mcp-ext-authz ${command} VERB, each with --help:\n\n${describeCommand(command)}`;
}
