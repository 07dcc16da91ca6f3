/**
 * Checks, tests, formats and builds policies/: `node scripts/policies.ts check | test | fmt | build`.
 * What each verb does is said in policies/README.md, and by the verb itself while it works.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { type BundleRules, readBundle as readPolicy } from '../src/bundle/bundle.ts';
import { PolicyRefused } from '../src/bundle/refusal.ts';
import { OPA_DEFAULTS } from '../src/opa/opa.ts';
import { loadPolicy } from '../src/policy/policy.ts';
import { OPA_VERSION, searchOpa } from './opa.ts';

export const POLICIES = fileURLToPath(new URL('../policies/', import.meta.url));
export const BUNDLE = 'bundle.tar.gz';
const ENTRYPOINTS = ['mcp/inbound/decision', 'mcp/outbound/decision'];
const REGO = ['mcp', 'permissions', 'library'];
const EXAMPLES = '../examples/policies';
/** The reference policy alone: it uses no module of the library. */
const ALONE = ['--bundle', '.', '--ignore', 'library'];
const TABLE = 'permissions/data.yaml';
const TABLE_SCHEMA = 'schemas/permissions.v1.json';

/** A failure that is the editor's to mend; its message is all that is shown. */
class Refusal extends Error {}

/** The command; where there is none (null), the OPA in compiler/, which is slower to begin and does not format. */
interface Opa {
  readonly path: string | null;
  readonly version: string;
}

const OPA_COMMAND = fileURLToPath(new URL('opa-command.ts', import.meta.url));

/** Shape, format, strict compilation and the types of `input`. */
export function check(opa: Opa, folder: string = POLICIES): void {
  checkTable(opa, folder);
  say(opa.path === null ? 'Rego: format is not looked at, that needs opa' : 'Rego: format');
  const paths = [...REGO, ...examplesBeside(folder)];
  if (opa.path !== null)
    run(opa, ['fmt', '--list', '--fail', ...paths], folder, 'not formatted, `node scripts/policies.ts fmt` does it:');
  say('Rego: strict compilation, and every reference to input against schemas/input.v1.json');
  run(opa, ['check', '--strict', '--schema', 'schemas', ...ALONE], folder, 'the policies do not compile');
  for (const paths of libraryAndExamples(folder)) {
    run(opa, ['check', '--strict', '--schema', 'schemas', ...paths], folder, 'the library does not compile');
  }
}

/** All tests; then every line of the policies must have been reached by one. */
export function test(opa: Opa, folder: string = POLICIES): void {
  say('Rego: tests');
  for (const paths of [ALONE, ...libraryAndExamples(folder)]) {
    say(run(opa, ['test', ...paths], folder, 'a policy test failed').trimEnd());
    const report: unknown = JSON.parse(run(opa, ['test', '--coverage', ...paths], folder, 'a policy test failed'));
    const missed = uncovered(report);
    if (missed.length > 0) throw new Refusal(`no test reaches ${missed.join(', ')}`);
  }
  say('Rego: every line is reached by a test');
}

/** Each example is a policy of its own, with the library beside it. */
function libraryAndExamples(folder: string): string[][] {
  return [['library'], ...examplesBeside(folder).map((example) => ['library', example])];
}

/** None beside a copy of the folder. */
function examplesBeside(folder: string): string[] {
  return folder === POLICIES ? globSync(`${EXAMPLES}/*`, { cwd: folder }).sort() : [];
}

export function format(opa: Opa, folder: string = POLICIES): void {
  say('Rego: formatting');
  run(opa, ['fmt', '--write', ...REGO, ...examplesBeside(folder)], folder, 'the policies cannot be formatted');
}

/** Compiles the policies and the table into one bundle; returns its revision. */
export async function build(opa: Opa, output: string = join(POLICIES, BUNDLE), folder: string = POLICIES): Promise<string> {
  checkTable(opa, folder);
  const revision = revisionOf(opa.version, folder);
  say(`Bundle: compiling revision ${revision}`);
  if (opa.version !== OPA_VERSION) {
    say(`Bundle: opa ${opa.version} may give other bytes than ${OPA_VERSION}, which the committed bundle is compared with`);
  }
  const fresh = `${output}.new`;
  try {
    const entrypoints = ENTRYPOINTS.flatMap((path) => ['--entrypoint', path]);
    const options = [...entrypoints, '--ignore', '*_test.rego', '--revision', revision, '--output', fresh];
    run(opa, ['build', '--target', 'wasm', ...options, ...ALONE], folder, 'the policies do not compile');
    say('Bundle: loading it as the sidecar does');
    await load(readFileSync(fresh));
    renameSync(fresh, output);
  } finally {
    rmSync(fresh, { force: true });
  }
  say(`Bundle: written to ${output}`);
  return revision;
}

/** Names what goes into the bundle and what compiles it, so equal revisions are equal policies. */
export function revisionOf(opaVersion: string, folder: string = POLICIES): string {
  const hash = createHash('sha256').update(`opa ${opaVersion}\n${ENTRYPOINTS.join('\n')}\n`);
  const sources = globSync('{mcp,permissions}/**/*.{rego,yaml}', { cwd: folder }).filter((name) => !name.endsWith('_test.rego'));
  for (const name of sources.map((path) => path.replaceAll('\\', '/')).sort()) {
    const content = readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n');
    hash.update(`${name} ${Buffer.byteLength(content)}\n`).update(content);
  }
  return hash.digest('hex').slice(0, 16);
}

/** The members of a bundle by name, leading slash and all, as opa writes them. */
export function readBundle(bytes: Uint8Array): Map<string, Buffer> {
  const tar = gunzipSync(bytes);
  const members = new Map<string, Buffer>();
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const name = tar.toString('utf8', at, at + 100).replace(/\0.*$/s, '');
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 136), 8);
    members.set(name, tar.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return members;
}

/** A bundle can build well and need a built-in that the sidecar does not have. */
async function load(archive: Uint8Array): Promise<void> {
  const rules: BundleRules = { maxBytes: 1 << 24, signing: null, compile: OPA_DEFAULTS };
  const options = { workers: 1, timeoutMs: 5000, maxMemoryBytes: 1 << 25, maxTtlSeconds: 5, now: Date.now };
  try {
    const policy = await loadPolicy(await readPolicy(archive, rules), options);
    await policy.close();
  } catch (error) {
    if (error instanceof PolicyRefused) throw new Refusal(`the sidecar would not load this bundle: ${error.message}`);
    throw error;
  }
}

/** The table has the shape its schema says, and one meaning. */
function checkTable(opa: Opa, folder: string): void {
  say(`Table: ${TABLE} against ${TABLE_SCHEMA}`);
  let table: unknown;
  try {
    table = parse(readFileSync(join(folder, TABLE), 'utf8'));
  } catch (error) {
    throw new Refusal(`${TABLE}: ${(error as Error).message}`);
  }
  const validate = new Ajv({ allErrors: true }).compile(JSON.parse(readFileSync(join(folder, TABLE_SCHEMA), 'utf8')));
  if (!validate(table)) {
    const problems = validate.errors!.map(
      (error) => `${error.instancePath || '/'} ${error.message} ${JSON.stringify(error.params)}`,
    );
    throw new Refusal(`${TABLE} is not a permissions table:\n  ${[...new Set(problems)].join('\n  ')}`);
  }
  // opa's reader lets the last of two equal keys win and takes 010 for 8; this one refuses the first and reads 10.
  const query = ['eval', '--format', 'raw', ...ALONE, '--ignore', '*.rego', 'data.permissions'];
  const seen = run(opa, query, folder, 'opa cannot read the table');
  if (!isDeepStrictEqual(JSON.parse(seen), table)) {
    throw new Refusal(
      `${TABLE}: opa reads it unlike other YAML readers: write numbers plainly, and quote what is not a plain word`,
    );
  }
}

interface CoverageReport {
  readonly files: Readonly<Record<string, { readonly not_covered?: readonly { readonly start: { readonly row: number } }[] }>>;
}

function uncovered(report: unknown): string[] {
  return Object.entries((report as CoverageReport).files)
    .filter(([file]) => !file.endsWith('_test.rego'))
    .flatMap(([file, { not_covered: ranges = [] }]) => ranges.map(({ start }) => `${file}:${start.row}`));
}

function run(opa: Opa, args: readonly string[], cwd: string, failure: string): string {
  const [command, given] = opa.path === null ? [process.execPath, [OPA_COMMAND, ...args]] : [opa.path, args];
  const { status, stdout, stderr, error } = spawnSync(command, given, { cwd, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (error) throw error;
  if (status !== 0) throw new Refusal(`${failure}\n${stdout}${stderr}`.trimEnd());
  return stdout;
}

function say(text: string): void {
  if (import.meta.main) console.log(text);
}

async function main(verb: string | undefined): Promise<number> {
  const verbs: Record<string, (opa: Opa) => unknown> = {
    check,
    test,
    fmt: (opa) => format(opa),
    build: (opa) => build(opa),
  };
  const act = verbs[verb ?? ''];
  if (act === undefined) {
    console.error(`Usage: node scripts/policies.ts ${Object.keys(verbs).join(' | ')}`);
    return 2;
  }
  const { path, version, problem } = searchOpa();
  if (path === null && verb === 'fmt') {
    console.error(problem);
    return 1;
  }
  try {
    await act({ path, version: version ?? OPA_VERSION });
    return 0;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    console.error(error.message);
    return 1;
  }
}

if (import.meta.main) process.exitCode = await main(process.argv[2]);
