/** A trace as text: `+` before a rule that held, `-` before one that did not, with the line that kept it from it and its values. */
import type { Evaluation } from './evaluation.ts';
import type { Failure, Step } from './trace.ts';
import { cut } from './trace-frame.ts';
import { pathText, valueAt } from './trace-refs.ts';

interface TraceTextOptions {
  /** Everything that was tried, and not only what led to the answer. */
  readonly full: boolean;
  readonly input: unknown;
  readonly data: Evaluation['data'];
}

/** Lines: doubts, what each rule tried, what was read. */
export function describeEvaluation(evaluation: Evaluation, full: boolean): string[] {
  const { input, inbound, outbound, data, output, doubts } = evaluation;
  const options = { full, input, data };
  const describe = (title: string, steps: readonly Step[] | null): string[] =>
    steps === null ? [] : ['', title, ...steps.flatMap((step) => describeStep(step, 1, options))];
  return [
    ...doubts.flatMap((doubt) => ['', doubt]),
    ...describe('inbound', inbound),
    ...describe('outbound', outbound),
    ...(output === ''
      ? []
      : [
          '',
          'print said',
          ...output
            .trimEnd()
            .split('\n')
            .map((line) => `  ${line}`),
        ]),
    ...(data.length === 0 ? [] : ['', 'data that was read', ...describeData(data)]),
  ];
}

function describeData(data: Evaluation['data']): string[] {
  return data.map(({ path, value }) => `  ${path} = ${valueText(value)}`);
}

function describeStep(step: Step, depth: number, options: TraceTextOptions): string[] {
  const name = step.rule.replace(/^data\..*\.(?=\w+$)/, '');
  const pad = '  '.repeat(depth);
  const head = `${pad}${step.held ? '+' : '-'} ${name}  ${step.file}:${step.row}`;
  const telling = tellingSteps(step);
  const below = (options.full ? step.steps : telling).flatMap((one) => describeStep(one, depth + 1, options));
  if (step.held) return [`${head}  ${step.source}`, ...below];
  if (step.failure === null) return [`${head}  its parameters do not fit`];
  // What an expression asked says more than its own values.
  const isExplained = telling.some(({ held, failure }) => !held && failure !== null);
  return [head, ...describeFailure(step.failure, pad, isExplained, options), ...below];
}

function describeFailure(
  { row, source, shown, paths }: Failure,
  pad: string,
  brief: boolean,
  options: TraceTextOptions,
): string[] {
  const lines = [`${pad}    ${row} | ${source}`];
  if (brief) return lines;
  const values = paths.flatMap((path) => {
    const text = pathText(path);
    const known = options.data.find((datum) => datum.path === text);
    if (path.root === 'data' && known === undefined) return [];
    return `${text} = ${valueText(path.root === 'input' ? valueAt(options.input, path.segments) : known?.value)}`;
  });
  const margin = ' '.repeat(String(row).length);
  return [...lines, ...[...new Set([shown, ...values])].map((text) => `${pad}    ${margin} | ${text}`)];
}

/** Of a rule that held what held in it; of one that did not, what the expression asked that failed. */
function tellingSteps(parent: Step): Step[] {
  const { held, failure } = parent;
  if (held) return withoutRepeats(parent.steps.filter((step) => step.held));
  if (failure === null) return [];
  const asked = callsOf(parent.steps.filter((step) => step.askedAt >= failure.row));
  if (failure.shown.startsWith('it holds: ')) return withoutRepeats(asked.flat().filter((step) => step.held));
  const failed = asked.filter((bodies) => bodies.every((step) => !step.held));
  return withoutRepeats(failed.flat().filter((step) => step.failure !== null));
}

/** The bodies of one rule are tried one after the other, from the first on: where it begins anew it was asked again. */
function callsOf(steps: readonly Step[]): Step[][] {
  const calls: Step[][] = [];
  let last: Step | null = null;
  for (const step of steps) {
    const goesOn = last !== null && last.rule === step.rule && last.askedAt === step.askedAt && last.row < step.row;
    if (goesOn) calls.at(-1)?.push(step);
    else calls.push([step]);
    last = step;
  }
  return calls;
}

function withoutRepeats(steps: readonly Step[]): Step[] {
  const key = ({ rule, row, held, failure }: Step): string => JSON.stringify([rule, row, held, failure?.row, failure?.shown]);
  return [...new Map(steps.map((step) => [key(step), step])).values()];
}

function valueText(value: unknown): string {
  return value === undefined ? 'undefined' : cut(JSON.stringify(value));
}
