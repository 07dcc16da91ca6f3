/**
 * OPA's trace, thousands of events, as a person asks of it: which rules were tried, which held, and of each that did not the
 * expression that kept it from it, with values. What stands below a rule are the rules that it asked, in order.
 */
import type { TraceEvent } from '../opa/requests.ts';
import type { Files } from './source-folder.ts';
import { createFrame, cut, type Frame, type Places, splitEquation } from './trace-frame.ts';
import { longestPaths, type Path } from './trace-refs.ts';

export interface Failure {
  readonly row: number;
  /** The line of the source. */
  readonly source: string;
  /** The expression with values for variables. */
  readonly shown: string;
  /** What it refers to. */
  readonly paths: readonly Path[];
}

/** One body of a rule that was tried. */
export interface Step {
  readonly rule: string;
  readonly file: string;
  readonly row: number;
  readonly source: string;
  /** The row from which it was asked. */
  readonly askedAt: number;
  held: boolean;
  failure: Failure | null;
  readonly steps: Step[];
}

export interface Trace {
  readonly steps: readonly Step[];
  /** Places in `data` that were read, but for rules. */
  readonly data: readonly Path[];
  /** There was more than OPA's trace keeps. */
  readonly isCut: boolean;
}

/** What compiler/eval.go gives at the most. */
const MAX_EVENTS = 10_000;

interface Open {
  /** Of a body that is no rule's own, such as that of `not` and `every`: the rule it stands in. */
  readonly step: Step;
  readonly isOwn: boolean;
  readonly frame: Frame;
  row: number;
}

export function readTrace(events: readonly TraceEvent[], files: Files): Trace {
  const places: Places = { byText: new Map(), byRule: new Map(), returned: new Map(), isRule: rulesOf(files) };
  const root = newStep('', '', 0, '', 0);
  const open: Open[] = [{ step: root, isOwn: true, frame: createFrame(places), row: 0 }];
  const data: Path[] = [];
  const lineOf = (file: string, row: number): string => files[file]?.split('\n')[row - 1]?.trim() ?? '';

  function enter(event: TraceEvent, before: TraceEvent | undefined): void {
    const parent = open[event.depth - 1] ?? (open[0] as Open);
    const { file = '', row = 0 } = event;
    const isOwn = file !== '' && isRuleName(event.node) && !isBodyOf(event, before);
    const step = isOwn ? newStep(event.node, file, row, lineOf(file, row), parent.row) : parent.step;
    if (isOwn) parent.step.steps.push(step);
    // The body of a `not` sees the variables around it.
    open[event.depth] = { step, isOwn, frame: isOwn ? createFrame(places) : parent.frame, row };
    open.length = event.depth + 1;
  }

  function fail(event: TraceEvent, { step, isOwn, frame }: Open, before: TraceEvent | undefined): void {
    const { row = 0, file = '' } = event;
    if (!isOwn || step.held || file !== step.file || (step.failure !== null && step.failure.row >= row)) return;
    const unified = before?.op === 'Unify' && before.row === row && before.depth === event.depth ? before.node : null;
    step.failure = {
      row,
      source: lineOf(file, row),
      shown: describeFailure(event.node, unified, frame),
      paths: longestPaths(frame.pathsOf(event.node)),
    };
  }

  for (const [index, event] of events.entries()) {
    const before = events[index - 1];
    if (event.op === 'Enter') enter(event, before);
    const at = open[event.depth];
    if (at === undefined) continue;
    if (event.op === 'Eval') {
      at.row = event.row ?? 0;
      data.push(...at.frame.pathsOf(event.node).filter(({ root: top }) => top === 'data'));
    } else if (event.op === 'Unify') at.frame.bind(event.node);
    else if (event.op === 'Exit' && event.node === at.step.rule && event.row === at.step.row) at.step.held = true;
    else if (event.op === 'Fail') fail(event, at, before);
  }
  return { steps: root.steps, data: longestPaths(data), isCut: events.length >= MAX_EVENTS };
}

function newStep(rule: string, file: string, row: number, source: string, askedAt: number): Step {
  return { rule, file, row, source, askedAt, held: false, failure: null, steps: [] };
}

function isRuleName(node: string): boolean {
  return /^data(\.[A-Za-z_]\w*|\["[^"]*"\])+$/.test(node);
}

/** `not data.a.b` and `[x | data.a.b]` enter a body that reads like the name of a rule. */
function isBodyOf({ node, depth }: TraceEvent, before: TraceEvent | undefined): boolean {
  return before?.op === 'Eval' && before.depth === depth - 1 && (before.node === `not ${node}` || before.node.includes(' | '));
}

function describeFailure(node: string, unified: string | null, frame: Frame): string {
  if (node.startsWith('not ')) return `it holds: ${simplify(frame.plug(node.slice(4)))}`;
  if (unified !== null && unified !== node) {
    const [left, right] = splitEquation(frame.plug(unified));
    return right === '_' ? `it is ${left}` : `${cut(left)} == ${cut(right)}`;
  }
  const [left, right] = splitEquation(node);
  if (/^__local\d+__$/.test(left) && right !== '') return `${simplify(frame.plug(right))} is undefined`;
  const shown = simplify(frame.plug(node));
  return /^(input|data)[\w.[\]"]*$/.test(shown) ? `${shown} is undefined` : shown;
}

const INFIX: Readonly<Record<string, string>> = {
  lt: '<',
  lte: '<=',
  gt: '>',
  gte: '>=',
  equal: '==',
  eq: '==',
  neq: '!=',
  'internal.member_2': 'in',
};

/** `lte(3, 2)` as it was written, and rules without the path of their package. */
function simplify(expression: string): string {
  const call = /^([a-z_.0-9]+)\((.*)\)$/s.exec(expression);
  const operator = call === null ? undefined : INFIX[call[1] as string];
  const operands = call === null ? [] : splitArguments(call[2] as string);
  const text = operator !== undefined && operands.length === 2 ? operands.join(` ${operator} `) : expression;
  return text.replace(/\bdata\.(?:\w+\.)+(\w+)\(/g, '$1(');
}

/** At commas outside of strings and brackets. */
function splitArguments(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\](){},]/g)) {
    if ('[({'.includes(token)) depth++;
    else if ('])}'.includes(token)) depth--;
    else if (token === ',' && depth === 0) {
      parts.push(text.slice(from, index).trim());
      from = index + 1;
    }
  }
  return [...parts, text.slice(from).trim()];
}

/** Rules by the names that stand at the beginning of lines: enough to tell them from data. */
function rulesOf(files: Files): (path: Path) => boolean {
  const names = new Set<string>();
  for (const [file, text] of Object.entries(files)) {
    const name = file.endsWith('.rego') ? /^package\s+([\w.]+)/m.exec(text)?.[1] : undefined;
    if (name === undefined) continue;
    for (const [, rule] of text.matchAll(/^(?:default\s+)?([A-Za-z_]\w*)/gm)) names.add(`${name}.${rule}`);
  }
  return ({ root, segments }) =>
    root === 'data' && segments.some((_, index) => names.has(segments.slice(0, index + 1).join('.')));
}
