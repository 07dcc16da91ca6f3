/** The compiled OPA for what a bundle needs of it: opened where it is needed, and its memory given back at the end. */
import { OpaFailed, openOpa } from '../opa/opa.ts';
import type { OpaAnswer, OpaProblem, OpaRequest } from '../opa/requests.ts';
import type { Members } from './archive.ts';
import { type BundleRefusal, PolicyRefused } from './refusal.ts';

/** For one request. */
export interface CompileLimits {
  readonly timeoutMs: number;
  readonly maxMemoryBytes: number;
}

/** Rejects with PolicyRefused where OPA comes to no answer. */
export type AskOpa = <R extends OpaRequest>(request: R) => Promise<OpaAnswer<R['command']>>;

const REFUSALS = { timeout: 'compile_timeout', memory: 'compile_memory', failed: 'rego_invalid' } as const;
const MAX_PROBLEMS = 5;
const MAX_MESSAGE = 1500;

/** Nothing is started unless `work` asks. */
export async function withOpa<T>(limits: CompileLimits, work: (ask: AskOpa) => Promise<T>): Promise<T> {
  const opa = openOpa(limits);
  try {
    return await work((request) =>
      opa.ask(request).catch((cause: unknown) => {
        throw cause instanceof OpaFailed ? new PolicyRefused(REFUSALS[cause.code], cause.message, { cause }) : cause;
      }),
    );
  } finally {
    await opa.close();
  }
}

export function describeProblems(problems: readonly OpaProblem[]): string {
  const lines = problems.slice(0, MAX_PROBLEMS).map(({ file, row, message }) => {
    const place = file === undefined ? '' : `${file}${row === undefined ? '' : `:${row}`}: `;
    return `${place}${message}`;
  });
  if (problems.length > MAX_PROBLEMS) lines.push(`and ${problems.length - MAX_PROBLEMS} more`);
  return lines.join('; ').slice(0, MAX_MESSAGE);
}

export function decodeText(path: string, members: Members, code: BundleRefusal): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(members.get(path));
  } catch {
    throw new PolicyRefused(code, `${path} is not UTF-8`);
  }
}
