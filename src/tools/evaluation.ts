/** One input put to a policy: the verdict by the sidecar's engine, the reasons for it by OPA's trace of the sources. */
import { type Opa, OpaFailed } from '../opa/opa.ts';
import { ENTRYPOINTS, type Entrypoint } from '../policy/engine.ts';
import { ToolError } from './io.ts';
import type { Judge, Judged } from './judge.ts';
import { describeProblems } from './policy-files.ts';
import { readTrace, type Trace } from './trace.ts';
import { type Path, pathText } from './trace-refs.ts';

/** A place in `data` and what stands there. */
export interface Datum {
  readonly path: string;
  readonly value: unknown;
}

export interface Traced {
  readonly trace: Trace;
  readonly value: unknown;
  /** What `print` said. */
  readonly output: string;
}

export interface Evaluation {
  readonly judged: Judged;
  /** Null where the sources are not there, outbound also where it was not asked. */
  readonly inbound: Traced | null;
  readonly outbound: Traced | null;
  /** What was read of `data`, of both. */
  readonly data: readonly Datum[];
  /** Why there is no trace, or why it may mislead; null where all is well. */
  readonly doubt: string | null;
}

const NO_SOURCES =
  'no trace: the bundle has no Rego of its entry points (`opa build -t wasm` leaves it out); give the folder of the sources';

/** @param sources whose Rego is traced, where that is not the one who decides. */
export async function evaluate(
  judge: Judge,
  opa: Opa,
  input: unknown,
  atMs: number,
  sources: Judge = judge,
): Promise<Evaluation> {
  const judged = judge.ask(JSON.stringify(input), atMs);
  const inbound = await traceRule('inbound', sources, opa, input, atMs);
  if (inbound === null || (inbound.value === undefined && !sources.isFolder && judged.inbound.reason !== 'policy_undefined'))
    return { judged, inbound: null, outbound: null, data: [], doubt: NO_SOURCES };
  const outbound = judged.outbound === null ? null : await traceRule('outbound', sources, opa, input, atMs);
  const paths = [...inbound.trace.data, ...(outbound?.trace.data ?? [])];
  return {
    judged,
    inbound,
    outbound,
    data: await readData(paths, sources, opa),
    doubt: disagreement(judged, inbound.value, outbound?.value),
  };
}

async function traceRule(
  rule: Entrypoint,
  { files, path }: Judge,
  opa: Opa,
  input: unknown,
  atMs: number,
): Promise<Traced | null> {
  if (!Object.keys(files).some((name) => name.endsWith('.rego'))) return null;
  const usesTime = Object.values(files).some((text) => text.includes('time.now_ns'));
  const name = `data.${ENTRYPOINTS[rule].replaceAll('/', '.')}`;
  const query = usesTime ? `${name} with time.now_ns as ${BigInt(Math.round(atMs)) * 1_000_000n}` : name;
  const { result, errors } = await askOpa(opa, { command: 'eval', files, query, input, trace: true });
  if (errors !== undefined) throw new ToolError(`${path}: ${describeProblems(errors)}`);
  return { trace: readTrace(result.trace ?? [], files), value: result.value, output: result.output ?? '' };
}

async function readData(paths: readonly Path[], { files }: Judge, opa: Opa): Promise<Datum[]> {
  const names = [...new Set(paths.map(pathText))];
  if (names.length === 0) return [];
  // Each in a list of its own: one that is undefined would make the whole query so.
  const query = `[${names.map((name) => `[x | x := ${name}]`).join(', ')}]`;
  const { result } = await askOpa(opa, { command: 'eval', files, query });
  const values = (result?.value ?? []) as unknown[][];
  return names.map((path, index) => ({ path, value: values[index]?.[0] }));
}

async function askOpa(
  opa: Opa,
  request: Parameters<
    typeof opa.ask<{ command: 'eval'; files: Judge['files']; query: string; input?: unknown; trace?: boolean }>
  >[0],
) {
  try {
    return await opa.ask(request);
  } catch (cause) {
    throw cause instanceof OpaFailed ? new ToolError(cause.message) : cause;
  }
}

/** The two should never differ: where they do, it is to be known. */
function disagreement({ inbound, outbound }: Judged, ...values: readonly unknown[]): string | null {
  for (const [index, said] of [inbound, outbound].entries()) {
    const value = values[index] as { reason?: unknown } | undefined;
    if (said === null || said.cause !== undefined) continue;
    const traced = value === undefined ? 'policy_undefined' : value.reason;
    if (traced !== said.reason)
      return `the trace is of sources that say ${String(traced)}, the compiled policy says ${said.reason}: are they the same?`;
  }
  return null;
}
