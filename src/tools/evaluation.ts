/** One input put to a policy: the verdict by the sidecar's engine, the reasons for it by OPA's trace of the sources. */
import type { Opa } from '../opa/opa.ts';
import { ENTRYPOINTS, type Entrypoint } from '../policy/engine.ts';
import type { Judge, Judged } from './judge.ts';
import { askOpa, problemsFound } from './loading.ts';
import { readTrace, type Step } from './trace.ts';
import { pathText, valueAt } from './trace-refs.ts';

/** A place in `data` and what stands there. */
export interface Datum {
  readonly path: string;
  readonly value: unknown;
}

export interface Evaluation {
  /** As policy saw it: without the arguments that it does not declare. */
  readonly input: unknown;
  readonly judged: Judged;
  /** What was tried. Null where the sources are not there, outbound also where it was not asked. */
  readonly inbound: readonly Step[] | null;
  readonly outbound: readonly Step[] | null;
  /** What was read of `data`, by both. */
  readonly data: readonly Datum[];
  /** What `print` said. */
  readonly output: string;
  /** Why there is no trace, or why it may mislead. */
  readonly doubts: readonly string[];
}

const NO_SOURCES =
  'no trace: the bundle has no Rego of its entry points (`opa build -t wasm` leaves it out); give the folder of the sources';
const CUT = 'the trace is cut: only its first 10,000 events are kept';

/** @param sources whose Rego is traced, where that is not the one who decides. */
export async function evaluate(
  judge: Judge,
  opa: Opa,
  given: unknown,
  atMs: number,
  sources: Judge = judge,
): Promise<Evaluation> {
  const input = judge.pare(given);
  const judged = await judge.askInTime(JSON.stringify(input), atMs);
  const untraced = { input, judged, inbound: null, outbound: null, data: [], output: '', doubts: [NO_SOURCES] };
  if (!hasEntryPoints(sources)) return untraced;
  const ended = endOf(judged);
  if (ended !== null)
    return { ...untraced, doubts: [`no trace: the evaluation had to be ended (${ended}), and OPA's would be longer`] };

  const rules: readonly Entrypoint[] = judged.outbound === null ? ['inbound'] : ['inbound', 'outbound'];
  const query = queryOf(rules, sources, atMs);
  const { result, errors } = await askOpa(opa, { command: 'eval', files: sources.files, query, input, trace: true });
  // The verdict is known all the same.
  if (errors !== undefined) {
    const said = problemsFound(errors, { ...sources, schemas: {} }).message;
    return { ...untraced, doubts: [`no trace: OPA's evaluation ended with\n${said}`] };
  }
  const values = (result.value ?? []) as unknown[][];
  if (values[0]?.length === 0 && !sources.isFolder && judged.inbound.reason !== 'policy_undefined') return untraced;

  const { steps, data, isCut } = readTrace(result.trace ?? [], sources.files);
  const stepsOf = (rule: Entrypoint) => steps.filter((step) => isPartOf(step.rule, nameOf(rule)));
  const doubts = [isCut ? CUT : null, disagreement(judged, values)];
  return {
    input,
    judged,
    inbound: stepsOf('inbound'),
    outbound: judged.outbound === null ? null : stepsOf('outbound'),
    data: data.map((path) => ({ path: pathText(path), value: valueAt(sources.data, path.segments) })),
    output: result.output ?? '',
    doubts: doubts.filter((doubt) => doubt !== null),
  };
}

/** Why it did not come to an end by itself. */
function endOf({ inbound, outbound }: Judged): string | null {
  const said = [inbound, outbound].find((one) => one?.reason === 'policy_timeout' || one?.reason === 'policy_memory');
  return said?.reason ?? null;
}

/** Of a bundle that was made for wasm the packages are there, and their `decision` is not. */
function hasEntryPoints({ files }: Judge): boolean {
  const modules = Object.entries(files).flatMap(([name, text]) => (name.endsWith('.rego') ? [text] : []));
  const inbound = modules.filter((text) => /^package\s+mcp\.inbound\s*$/m.test(text));
  return modules.length > 0 && (inbound.length === 0 || inbound.some((text) => /^(default\s+)?decision\b/m.test(text)));
}

function nameOf(rule: Entrypoint): string {
  return `data.${ENTRYPOINTS[rule].replaceAll('/', '.')}`;
}

/** `decision.allow := …` are rules of their own, and together the decision. */
function isPartOf(rule: string, name: string): boolean {
  return rule === name || rule.startsWith(`${name}.`) || rule.startsWith(`${name}[`);
}

/** Each in a list of its own: one that is undefined would make the whole query so. */
function queryOf(rules: readonly Entrypoint[], { files }: Judge, atMs: number): string {
  const usesTime = Object.values(files).some((text) => text.includes('time.now_ns'));
  const clock = usesTime ? ` with time.now_ns as ${BigInt(Math.round(atMs)) * 1_000_000n}` : '';
  return `[${rules.map((rule) => `[x | x := ${nameOf(rule)}${clock}]`).join(', ')}]`;
}

/** The two should never differ: where they do, it is to be known. */
function disagreement({ inbound, outbound }: Judged, values: readonly (readonly unknown[])[]): string | null {
  for (const [index, said] of [inbound, outbound].entries()) {
    if (said === null || said.cause !== undefined) continue;
    const value = values[index]?.[0] as { reason?: unknown } | undefined;
    const traced = value === undefined ? 'policy_undefined' : value.reason;
    if (traced !== said.reason)
      return `the trace is of sources that say ${String(traced)}, the policy that was asked says ${said.reason}: they are not the same`;
  }
  return null;
}
