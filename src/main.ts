#!/usr/bin/env node
/** The command line: `serve`, `config check`, `catalog`, and the tools of tools/. Arguments, signals and exit codes; nothing else. */
import { parseArgs } from 'node:util';
import { type CatalogVerb, isCatalogVerb, runCatalog } from './app/catalog-command.ts';
import { readConfigFile } from './app/config-file.ts';
import { startApp } from './app.ts';
import { ConfigError } from './config.ts';
import { createLog } from './telemetry/log.ts';
import { describeCause } from './telemetry/redact.ts';
import { VERSION } from './version.ts';

const USAGE = `mcp-ext-authz ${VERSION}: an Envoy external-authorization sidecar for MCP servers

  mcp-ext-authz serve --config FILE    answer Envoy's Checks until SIGTERM; SIGHUP reads FILE again
  mcp-ext-authz config check FILE      say what is wrong with a configuration, or that nothing is
  mcp-ext-authz catalog show --config FILE [--json]    what each backend offers: tools, annotations, arguments
  mcp-ext-authz catalog diff --config FILE    what changed since it was approved; exits with 1 where anything did
  mcp-ext-authz catalog approve --config FILE [BACKEND[:TOOL]…]    approves what is offered now
  mcp-ext-authz policy VERB            for those who write the policy: init, check, test, build, bench, eval, explain, replay;
                                       for those who run it: accept, promote
  mcp-ext-authz audit verify FILE…     whether a decision log is whole and unchanged
  mcp-ext-authz --version

Whose output is not read to its end, as by \`| head\`, ends with 141, and with 2 where it cannot be written; but for serve.
`;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** As a shell has it for whom SIGPIPE ended: no verdict, and no failure. */
const EXIT_UNREAD = 141;

const log = createLog(process.stderr);

async function main(): Promise<number> {
  const [word = '', ...others] = process.argv.slice(2);
  if (word === 'policy' || word === 'audit') return useTool(word, others);
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      config: { type: 'string', short: 'c' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean' },
    },
  });
  const [command, subcommand = '', file, ...rest] = positionals;
  // The sidecar outlives whoever reads what it says.
  if (command !== 'serve') endWithReader();
  if (values.version) return say(`${VERSION}\n`);
  if (values.help) return say(USAGE);
  if (command === 'catalog' && isCatalogVerb(subcommand) && values.config && (subcommand === 'show' || !values.json)) {
    return useCatalog(subcommand, values.config, positionals.slice(2), values.json);
  }
  if (values.json) return misused();
  if (command === 'serve' && positionals.length === 1 && values.config) return serve(values.config);
  if (command === 'config' && subcommand === 'check' && file && rest.length === 0) return checkConfig(file);
  return misused();
}

/** Without this a reader that goes away is an exception, and its exit code that of a finding. */
function endWithReader(): void {
  process.stdout.on('error', (cause: NodeJS.ErrnoException) => {
    if (cause.code === 'EPIPE') process.exit(EXIT_UNREAD);
    process.stderr.write(`standard output: ${describeCause(cause)}\n`, () => process.exit(EXIT_USAGE));
  });
  process.stderr.on('error', ({ code }: NodeJS.ErrnoException) => process.exit(code === 'EPIPE' ? EXIT_UNREAD : EXIT_USAGE));
}

function misused(): number {
  process.stderr.write(USAGE);
  return EXIT_USAGE;
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

async function checkConfig(file: string): Promise<number> {
  await readConfigFile(file);
  return say(`${file}: nothing wrong\n`);
}

/** 1 is kept for differences. */
async function useCatalog(verb: CatalogVerb, file: string, names: readonly string[], json: boolean): Promise<number> {
  try {
    return await runCatalog(verb, await readConfigFile(file), names, { out: process.stdout, log, json });
  } catch (cause) {
    report(cause);
    return EXIT_USAGE;
  }
}

/** Loaded only now: whoever serves does without them. */
async function useTool(command: 'policy' | 'audit', [verb, ...args]: readonly string[]): Promise<number> {
  endWithReader();
  const { runVerb } = await import('./tools/policy-command.ts');
  return runVerb(command, verb, args, { out: process.stdout, err: process.stderr });
}

async function serve(file: string): Promise<number> {
  const stopped = untilStopped();
  const starting = readConfigFile(file).then((config) => startApp(config, log));
  // From the first moment on: a hang-up would end the process otherwise.
  process.on('SIGHUP', () => {
    starting.then(({ reload }) => reload(() => readConfigFile(file))).catch(reportReload);
  });
  const app = await starting;
  log('info', `mcp-ext-authz ${VERSION} answers Envoy`, { target: app.target, admin: app.adminUrl });
  await stopped;
  log('info', 'stopping: calls under way are answered first');
  await app.stop();
  log('info', 'stopped');
  return 0;
}

/** A second signal ends the process at once. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      process.off('SIGTERM', stop);
      process.off('SIGINT', stop);
      resolve();
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
}

/** While it serves, standard error is a log. */
function reportReload(cause: unknown): void {
  const problems = cause instanceof ConfigError ? cause.problems.join('; ') : describeCause(cause);
  log('error', 'the configuration was not reloaded', { problems });
}

function report(cause: unknown): void {
  if (cause instanceof ConfigError) process.stderr.write(`${cause.problems.join('\n')}\n`);
  else log('error', describeCause(cause));
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (cause: unknown) => {
    report(cause);
    process.exitCode =
      cause instanceof TypeError && 'code' in cause && String(cause.code).startsWith('ERR_PARSE_ARGS') ? EXIT_USAGE : EXIT_FAILED;
  },
);
