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
export function describeEvaluation(evaluation: Evaluation, input: unknown, full: boolean): string[] {
  const { inbound, outbound, data, output, doubts } = evaluation;
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
  const steps = options.full
    ? step.steps
    : withoutRepeats(step.steps.filter((one, at) => isTelling(one, step) && !heldAfterAll(step.steps, at)));
  const below = steps.flatMap((one) => describeStep(one, depth + 1, options));
  if (step.held) return [`${head}  ${step.source}`, ...below];
  if (step.failure === null) return [`${head}  its parameters do not fit`];
  return [head, ...describeFailure(step.failure, pad, isExplained(step, step.failure), options), ...below];
}

/** What an expression asked says more than its own values. */
function isExplained(step: Step, { row }: Failure): boolean {
  return step.steps.some((one) => one.askedAt >= row && !one.held && one.failure !== null);
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
function isTelling(step: Step, parent: Step): boolean {
  if (parent.held) return step.held;
  if (parent.failure === null || step.askedAt < parent.failure.row) return false;
  return parent.failure.shown.startsWith('it holds: ') ? step.held : !step.held && step.failure !== null;
}

/** Whether another body of the same rule held in its place. */
function heldAfterAll(steps: readonly Step[], at: number): boolean {
  const step = steps[at] as Step;
  const next = steps[at + 1];
  if (step.held || next === undefined || next.rule !== step.rule || next.askedAt !== step.askedAt) return false;
  return next.held || heldAfterAll(steps, at + 1);
}

function withoutRepeats(steps: readonly Step[]): Step[] {
  const key = ({ rule, row, held, failure }: Step): string => JSON.stringify([rule, row, held, failure?.row, failure?.shown]);
  return [...new Map(steps.map((step) => [key(step), step])).values()];
}

function valueText(value: unknown): string {
  return value === undefined ? 'undefined' : cut(JSON.stringify(value));
}
