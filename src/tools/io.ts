/** What a tool of the command line writes to, how its arguments and files are read, and what ends it. */
import { readFile, stat } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { describeCause } from '../telemetry/redact.ts';

/** A stream that may be a terminal. */
export type Output = Writable & { readonly isTTY?: boolean };

export interface Io {
  readonly out: Output;
  readonly err: Output;
}

/** What a file of a verb exports. */
export interface Verb {
  /** What `--help` says; without it the verb answers `--help` itself. */
  readonly HELP?: string;
  readonly run: (args: readonly string[], io: Io) => Promise<number>;
}

export const EXIT = {
  fine: 0,
  /** Failed tests, decisions that flip, errors in a policy. */
  found: 1,
  /** It was not used as it should be, or cannot do its work. */
  unable: 2,
} as const;

/** Ends a tool; the message is all that is shown, and says what to do. */
export class ToolError extends Error {
  override name = 'ToolError';
  readonly exitCode: number;
  constructor(message: string, exitCode: number = EXIT.unable) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The command line is not what the verb takes. */
export class UsageError extends ToolError {
  override name = 'UsageError';
}

/** Options and positionals, at most `most` of these. Throws UsageError. */
export function readArguments<const O extends ParseArgsOptionsConfig>(args: readonly string[], options: O, most: number) {
  const parsed = parse(args, options);
  const surplus = parsed.positionals[most];
  if (surplus !== undefined) throw new UsageError(`"${surplus}" is one argument too many`);
  return parsed;
}

function parse<const O extends ParseArgsOptionsConfig>(args: readonly string[], options: O) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, strict: true, options });
  } catch (cause) {
    throw new UsageError((cause as Error).message.split('. ', 1)[0] as string);
  }
}

interface NumberRange {
  readonly least?: number;
  readonly most?: number;
  readonly whole?: boolean;
}

/** The number that an option has; throws UsageError for anything else. */
export function readNumber(
  option: string,
  text: string,
  { least = 0, most = Number.MAX_SAFE_INTEGER, whole = false }: NumberRange = {},
): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= least && value <= most) || (whole && !Number.isInteger(value)))
    throw new UsageError(`${option} ${text}: give a ${whole ? 'whole ' : ''}number from ${least} to ${most}`);
  return value;
}

const PATIENCE_MS = 2000;
const REPAINT_MS = 250;

/** While `work` lasts, a terminal is told so after two seconds; a pipe never is. */
export async function showProgress<T>(what: string, { err }: Io, work: () => Promise<T>): Promise<T> {
  if (err.isTTY !== true) return work();
  const begun = performance.now();
  let shown = false;
  const timer = setInterval(() => {
    const elapsed = performance.now() - begun;
    if (elapsed < PATIENCE_MS) return;
    shown = true;
    err.write(`\r${what} … ${Math.floor(elapsed / 1000)} s`);
  }, REPAINT_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (shown) err.write('\r\u001b[K');
  }
}

/** Rejects with ToolError where there is nothing. */
export async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch((cause: unknown) => {
    throw describeFileProblem(path, cause);
  });
  return found.isDirectory();
}

/** The text of a file; rejects with ToolError. */
export async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw describeFileProblem(path, cause);
  });
}

/** Of a file that cannot be read or written; what else is wrong is passed on. */
export function describeFileProblem(path: string, cause: unknown): ToolError {
  const code = (cause as NodeJS.ErrnoException | null)?.code;
  const said: Readonly<Record<string, string>> = {
    ENOENT: 'there is no such file or folder',
    EACCES: 'may not be read or written',
    EISDIR: 'is a folder',
    ENOTDIR: 'is not a folder',
  };
  return new ToolError(`${path}: ${said[code ?? ''] ?? describeCause(cause)}`);
}
