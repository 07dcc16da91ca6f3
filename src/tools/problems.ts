/** What OPA finds wrong, in words for whoever has to mend it: where, what, the line itself, and what was perhaps meant. */
import type { OpaProblem } from '../opa/requests.ts';
import type { Files } from './source-folder.ts';

const WARNINGS = ['tool_unknown', 'backend_unknown'];
const MAX_SHOWN_LINE = 160;

export function isWarning({ code }: OpaProblem): boolean {
  return WARNINGS.includes(code);
}

/** In the order of files and rows, the same thing once. */
export function sortProblems(problems: readonly OpaProblem[]): OpaProblem[] {
  const unique = new Map(problems.map((one) => [JSON.stringify([one.file, one.row, one.col, one.message]), one]));
  return [...unique.values()].sort(
    (a, b) => compare(a.file ?? '', b.file ?? '') || (a.row ?? 0) - (b.row ?? 0) || (a.col ?? 0) - (b.col ?? 0),
  );
}

/** Several lines, the last with its line break. */
export function describeProblem(problem: OpaProblem, files: Files): string {
  const { file, row, col } = problem;
  const place = file === undefined || file === '' ? '' : `${file}:${row}:${col}: `;
  const kind = isWarning(problem) ? 'warning: ' : '';
  return `${place}${kind}${sentence(problem)}\n${excerpt(problem, files)}`;
}

function sentence({ code, message, unknown }: OpaProblem): string {
  if (code === 'builtin_missing') {
    return `${message} is a built-in that the sidecar does not have; docs/policy.md#built-ins lists those there are`;
  }
  if (code === 'entrypoint_missing') return `${message}: the sidecar asks it`;
  if (unknown === undefined) return message.replace(/^rego_\w+: /, '');
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
  const most = Math.max(1, Math.floor(name.length / 3));
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

function excerpt({ file, row, col, unknown }: OpaProblem, files: Files): string {
  const line = files[file ?? '']?.split('\n')[(row ?? 0) - 1];
  if (line === undefined || line.length > MAX_SHOWN_LINE || col === undefined) return '';
  const shown = line.replaceAll('\t', ' ');
  const marked = '^'.repeat(Math.max(1, unknown?.name.length ?? 1));
  return `    ${shown}\n    ${' '.repeat(Math.max(0, col - 1))}${marked}\n`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
