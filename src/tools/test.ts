/** `mcp-ext-authz policy test`: the Rego tests of a folder by OPA itself, and the lines that no test reaches. */
import { join } from 'node:path';
import { openOpa } from '../opa/opa.ts';
import type { CoverageReport, FailedCase, OpaProblem, TestResult } from '../opa/requests.ts';
import { EXIT, type Io, readArguments, readNumber, showProgress, ToolError, UsageError } from './io.ts';
import { askOpa, OPA_OPTIONS, problemsFound } from './loading.ts';
import { isTest, readSourceFolder, type SourceFolder } from './source-folder.ts';

/** That of `opa test`. */
const TIMEOUT_S = 5;
/** Below what OPA itself is given, or there would be no answer. */
const MAX_TIMEOUT_S = 240;

export const HELP = `mcp-ext-authz policy test [DIR]

Runs every rule test_… below DIR (here: the current folder), as \`opa test\` does. Of a test that fails it shows where, the
expression that was not true, and what print() said.

  --run RE          only tests whose name (data.package.test_name) matches; RE is read as \`opa test\` reads it
  --timeout SECONDS for each test, which has failed where it takes longer (default ${TIMEOUT_S})
  --coverage        names the lines of the policy that no test reaches
  --threshold N     with coverage of less than N per cent, it has failed
  -v, --verbose     names those that pass, too

Exits with 0 where all is well, 1 where a test fails or too little is covered, 2 where it was not asked as it should be.
`;

const OPTIONS = {
  run: { type: 'string' },
  timeout: { type: 'string', default: String(TIMEOUT_S) },
  coverage: { type: 'boolean', default: false },
  threshold: { type: 'string' },
  verbose: { type: 'boolean', short: 'v', default: false },
} as const;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS, 1);
  const threshold = values.threshold === undefined ? null : readNumber('--threshold', values.threshold, { most: 100 });
  const timeout = readNumber('--timeout', values.timeout, { least: 0.001, most: MAX_TIMEOUT_S });
  const folder = await readSourceFolder(positionals[0] ?? '.');
  const begun = performance.now();
  const opa = openOpa(OPA_OPTIONS);
  try {
    const { result, errors } = await showProgress('testing', io, () =>
      askOpa(opa, {
        command: 'test',
        files: folder.files,
        coverage: values.coverage || threshold !== null,
        timeout_ms: Math.ceil(timeout * 1000),
        ...(values.run === undefined ? {} : { run: values.run }),
      }),
    );
    if (errors !== undefined) throw describeErrors(errors, folder);
    if (result.tests.length === 0) throw noTests(folder.path, values.run);
    const seconds = (performance.now() - begun) / 1000;
    io.out.write(describeTests(result.tests, folder, { seconds, verbose: values.verbose }));
    const covered = result.coverage === undefined ? null : coverageOf(result.coverage, folder);
    if (covered !== null) io.out.write(describeCoverage(covered, threshold));
    const isCovered = covered === null || covered.percent >= (threshold ?? 0);
    return isCovered && result.tests.every(({ outcome }) => isFine(outcome)) ? EXIT.fine : EXIT.found;
  } finally {
    await opa.close();
  }
}

function noTests(path: string, pattern: string | undefined): ToolError {
  return new ToolError(
    pattern === undefined
      ? `${path}: there are no tests; a rule whose name begins with test_ in a file *_test.rego is one`
      : `${path}: no test has a name that matches ${pattern}`,
    EXIT.found,
  );
}

/** The pattern is Go's: OPA alone knows whether it is one. */
function describeErrors(errors: readonly OpaProblem[], folder: SourceFolder): ToolError {
  const invalid = errors.find(({ code }) => code === 'run_invalid');
  return invalid === undefined ? problemsFound(errors, folder) : new UsageError(`--run: ${invalid.message}`);
}

function isFine(outcome: TestResult['outcome']): boolean {
  return outcome === 'passed' || outcome === 'skipped';
}

interface Manner {
  readonly seconds: number;
  readonly verbose: boolean;
}

function describeTests(results: readonly TestResult[], { path }: SourceFolder, { seconds, verbose }: Manner): string {
  const tests = [...results].sort((a, b) => (a.file === b.file ? a.row - b.row : a.file < b.file ? -1 : 1));
  const failed = tests.filter(({ outcome }) => !isFine(outcome));
  const count = (wanted: TestResult['outcome']): number => tests.filter(({ outcome }) => outcome === wanted).length;
  const counts = [
    `${count('passed')} passed`,
    ...(failed.length === 0 ? [] : [`${failed.length} failed`]),
    ...(count('skipped') === 0 ? [] : [`${count('skipped')} skipped (todo_)`]),
  ];
  const passed = verbose ? tests.filter(({ outcome }) => isFine(outcome)) : [];
  const listed = passed.map(({ outcome, package: name, name: rule, duration_ns: took }) => {
    return `${outcome === 'passed' ? 'ok     ' : 'skipped'} ${name}.${rule} (${(took / 1e6).toFixed(1)} ms)\n`;
  });
  const separated = failed.length === 0 ? '' : '\n';
  return `${listed.join('')}${failed.map((one) => describeFailure(one, path)).join('')}${separated}${counts.join(', ')} in ${seconds.toFixed(1)} s\n`;
}

function describeFailure(failed: TestResult, path: string): string {
  const { package: name, name: rule, file, row, outcome, output, cases = [] } = failed;
  const wrong = outcome === 'error' ? 'error' : 'not true';
  const told =
    cases.length === 0
      ? [`${join(path, file)}:${row}`, `  ${describeWrong(wrong, failed, '    ')}`]
      : cases.flatMap((one) => [`${one.name}: ${join(path, file)}:${one.row}`, `  ${describeWrong(wrong, one, '    ')}`]);
  const printed = (output ?? '')
    .split('\n')
    .filter(Boolean)
    .map((line) => `    printed: ${line}\n`);
  return `FAILED ${name}.${rule}\n${told.map((line) => `  ${line}\n`).join('')}${printed.join('')}`;
}

function describeWrong(wrong: string, { message = 'the rule itself', values = [] }: TestResult | FailedCase, indent: string) {
  return [`${wrong}: ${message}`, ...values].join('\n').replaceAll('\n', `\n${indent}`);
}

interface Covered {
  readonly percent: number;
  readonly lines: number;
  readonly of: number;
  /** `file:row` or `file:row-row`. */
  readonly missed: readonly string[];
}

/** Of the policy: tests are not there to be tested. */
function coverageOf({ files }: CoverageReport, { path }: SourceFolder): Covered {
  let [lines, of] = [0, 0];
  const missed: string[] = [];
  for (const [file, { covered = [], not_covered: rest = [] }] of Object.entries(files).sort()) {
    if (isTest(file)) continue;
    const reached = rowsOf(covered);
    const unreached = [...rowsOf(rest)].filter((row) => !reached.has(row)).sort((a, b) => a - b);
    lines += reached.size;
    of += reached.size + unreached.length;
    missed.push(...rangesOf(unreached).map((range) => `${join(path, file)}:${range}`));
  }
  return { percent: of === 0 ? 100 : (100 * lines) / of, lines, of, missed };
}

/** Parts of one row are told apart by OPA. */
function rowsOf(
  ranges: readonly { readonly start: { readonly row: number }; readonly end: { readonly row: number } }[],
): Set<number> {
  return new Set(ranges.flatMap(({ start, end }) => Array.from({ length: end.row - start.row + 1 }, (_, at) => start.row + at)));
}

function rangesOf(rows: readonly number[]): string[] {
  const ranges: [number, number][] = [];
  for (const row of rows) {
    const last = ranges.at(-1);
    if (last?.[1] === row - 1) last[1] = row;
    else ranges.push([row, row]);
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`));
}

function describeCoverage({ percent, lines, of, missed }: Covered, threshold: number | null): string {
  const told = missed.length === 0 ? '' : `no test reaches\n${missed.map((place) => `  ${place}\n`).join('')}`;
  // Never rounded up: 100 means all.
  const shown = Math.floor(percent * 10) / 10;
  const below = threshold !== null && percent < threshold ? `, and ${threshold} % are asked for` : '';
  return `${told}coverage: ${shown} % (${lines} of ${of} lines)${below}\n`;
}
