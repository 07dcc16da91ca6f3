/**
 * What `opa build`, `check`, `test` and `eval` do, by the OPA in compiler/: as far as scripts/policies.ts asks for it. A program of
 * its own, so that it can be called as `opa` is; `opa fmt` is not in it.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { openOpa } from '../src/opa/opa.ts';
import type { OpaProblem } from '../src/opa/requests.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    bundle: { type: 'string', multiple: true, short: 'b' },
    ignore: { type: 'string', multiple: true },
    entrypoint: { type: 'string', multiple: true },
    strict: { type: 'boolean' },
    coverage: { type: 'boolean', default: false },
    schema: { type: 'string' },
    target: { type: 'string' },
    revision: { type: 'string' },
    output: { type: 'string' },
    format: { type: 'string' },
  },
});
const [verb = '', ...named] = positionals;
const query = verb === 'eval' ? named.pop() : undefined;
const files = { ...(values.bundle ?? []).reduce(readFolder, {}), ...named.reduce(readFolder, {}) };
const opa = openOpa();

try {
  process.exitCode = await run();
} finally {
  await opa.close();
}

async function run(): Promise<number> {
  if (verb === 'check') {
    const schemas = values.schema === undefined ? {} : { schemas: readSchemas(values.schema) };
    return fail((await opa.ask({ command: 'check', files, ...schemas })).errors ?? []);
  }
  if (verb === 'test') return test();
  if (verb === 'build') {
    const [entrypoints, revision] = [values.entrypoint ?? [], values.revision ?? ''];
    const { result, errors = [] } = await opa.ask({
      command: 'build',
      target: 'wasm',
      files,
      entrypoints,
      revision,
      as_bundle: true,
    });
    if (result !== undefined) writeFileSync(values.output ?? 'bundle.tar.gz', Buffer.from(result.bundle, 'base64'));
    return fail(errors);
  }
  const { result, errors = [] } = await opa.ask({ command: 'eval', files, query: query ?? '' });
  if (result !== undefined) console.log(JSON.stringify(result.value));
  return fail(errors);
}

async function test(): Promise<number> {
  const { result, errors = [] } = await opa.ask({ command: 'test', files, coverage: values.coverage });
  const failed = (result?.tests ?? []).filter(({ outcome }) => outcome === 'failed' || outcome === 'error');
  for (const one of failed) {
    console.error(`${one.file}:${one.row}: ${one.package}.${one.name}: ${one.message ?? 'not true'}`);
    for (const line of [...(one.values ?? []), one.output ?? '']) if (line !== '') console.error(`  ${line}`);
  }
  if (result !== undefined && failed.length === 0) {
    console.log(values.coverage ? JSON.stringify(result.coverage) : `PASS: ${result.tests.length}/${result.tests.length}`);
  }
  return failed.length > 0 ? 1 : fail(errors);
}

function fail(problems: readonly OpaProblem[]): number {
  for (const { file, row, message } of problems) console.error(file === undefined ? message : `${file}:${row}: ${message}`);
  return problems.length === 0 ? 0 : 1;
}

/** Of a folder other than the current one data counts from there. */
function readFolder(found: Record<string, string>, folder: string): Record<string, string> {
  const isIgnored = (name: string) =>
    (values.ignore ?? []).some((pattern) =>
      pattern.startsWith('*') ? basename(name).endsWith(pattern.slice(1)) : name.split('/').includes(pattern),
    );
  for (const path of globSync('**/{*.rego,data.json,data.yaml,.manifest}', { cwd: folder })) {
    const name = path.replaceAll('\\', '/');
    if (isIgnored(name)) continue;
    const isRego = name.endsWith('.rego') && folder !== '.';
    // What stands beside the current folder has a name below it: OPA has no file system to climb.
    found[isRego ? `${folder.replaceAll('../', '')}/${name}` : name] = readFileSync(`${folder}/${path}`, 'utf8');
  }
  return found;
}

function readSchemas(folder: string): Record<string, unknown> {
  const names = globSync('*.json', { cwd: folder });
  return Object.fromEntries(
    names.map((name) => [basename(name, '.json'), JSON.parse(readFileSync(`${folder}/${name}`, 'utf8'))]),
  );
}
