/** What OPA finds wrong, in words for whoever has to mend it: where, what, the line itself, and what was perhaps meant. */
import { join } from 'node:path';
import type { OpaProblem } from '../opa/requests.ts';
import type { Files, SourceFolder } from './source-folder.ts';

const WARNINGS = ['tool_unknown', 'backend_unknown'];
const MAX_SHOWN_LINE = 160;

export function isWarning({ code }: OpaProblem): boolean {
  return WARNINGS.includes(code);
}

/** In the order of files and rows, the same thing once. */
export function sortProblems(problems: readonly OpaProblem[]): OpaProblem[] {
  const isSaidBetter = (one: OpaProblem): boolean =>
    problems.some((other) => isSamePlace(one, other) && other.message !== one.message && startsWith(other, one));
  const unique = new Map(problems.map((one) => [JSON.stringify([one.file, one.row, one.col, one.message]), one]));
  return [...unique.values()]
    .filter((one) => !isSaidBetter(one))
    .sort((a, b) => compare(a.file ?? '', b.file ?? '') || (a.row ?? 0) - (b.row ?? 0) || (a.col ?? 0) - (b.col ?? 0));
}

function isSamePlace(one: OpaProblem, other: OpaProblem): boolean {
  return one.file === other.file && one.row === other.row && one.col === other.col;
}

/** Of one mistake OPA's parser may say a second time what it expected. */
function startsWith({ message }: OpaProblem, { message: start }: OpaProblem): boolean {
  return message.startsWith(`${start.split('\n', 1)[0]}:`);
}

/** Several lines, the last with its line break. Files are named as seen from where the tool was started. */
export function describeProblem(problem: OpaProblem, { path, files }: SourceFolder): string {
  const kind = isWarning(problem) ? 'warning: ' : '';
  return `${placeOf(problem, path)}${kind}${sentence(problem)}\n${excerpt(problem, files)}`;
}

function placeOf({ file, row, col }: OpaProblem, path: string): string {
  if (file === undefined || file === '') return '';
  return `${[join(path, file), row, col].filter((part) => part !== undefined).join(':')}: `;
}

function sentence({ code, message, unknown }: OpaProblem): string {
  if (code === 'builtin_missing') {
    return `${message} is a built-in that the sidecar does not have; docs/policy.md#built-ins lists those there are`;
  }
  if (code === 'entrypoint_missing') return `${message}: the sidecar asks it`;
  const [, left, right] = /^match error\nleft\s*: (.*)\nright\s*: (.*)(?:\nhint.*)?$/.exec(message) ?? [];
  if (left !== undefined) return `never true: one side is ${left}, the other ${right}`;
  if (unknown === undefined) return message.replaceAll('\n', '\n    ');
  const { ref, name, names, of } = unknown;
  if (ref === undefined) return `${message}${suggest(name, names)}`;
  const whose = of === undefined ? '' : ` in the arguments of ${of}`;
  const there = names.length === 0 ? '; there are none' : `; there ${names.length === 1 ? 'is' : 'are'} ${names.join(', ')}`;
  return `${ref}: there is no "${name}"${whose}${there}${suggest(name, names)}`;
}

function suggest(name: string, names: readonly string[]): string {
  const meant = nearest(name, names);
  return meant === null ? '' : `. Did you mean ${meant}?`;
}

/** The name that is one or two slips of the hand away. */
export function nearest(name: string, names: readonly string[]): string | null {
  const most = Math.max(1, Math.floor(name.length / 5));
  const distances = names.map((one) => ({ one, slips: distance(name.toLowerCase(), one.toLowerCase()) }));
  const [best] = distances.filter(({ slips }) => slips <= most).sort((a, b) => a.slips - b.slips);
  return best?.one ?? null;
}

/** Of Levenshtein. */
function distance(a: string, b: string): number {
  let before = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [at, letter] of [...a].entries()) {
    const row = [at + 1];
    for (const [index, other] of [...b].entries()) {
      const [left = 0, above = 0, corner = 0] = [row[index], before[index + 1], before[index]];
      row.push(Math.min(left + 1, above + 1, corner + (letter === other ? 0 : 1)));
    }
    before = row;
  }
  return before[b.length] as number;
}

/** The parser shows the line itself. */
function excerpt({ code, file, row, col, unknown }: OpaProblem, files: Files): string {
  const line = files[file ?? '']?.split('\n')[(row ?? 0) - 1];
  if (line === undefined || line.length > MAX_SHOWN_LINE || col === undefined || code === 'rego_parse_error') return '';
  const shown = line.replaceAll('\t', ' ');
  // A name that is no reference stands there in quotes.
  const quotes = unknown === undefined || unknown.ref !== undefined ? 0 : 2;
  const marked = '^'.repeat(Math.max(1, (unknown?.name.length ?? 1) + quotes));
  return `    ${shown}\n    ${' '.repeat(Math.max(0, col - 1))}${marked}\n`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
