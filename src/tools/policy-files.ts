/** A folder of Rego and data as `opa build --bundle` would take it, without the tests: `data.json` and `data.yaml`, no other YAML. */
import { createHash } from 'node:crypto';
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { OpaProblem } from '../opa/requests.ts';
import { describeFileProblem, ToolError } from './io.ts';

export type PolicyFiles = Readonly<Record<string, string>>;

export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw describeFileProblem(path, cause);
  }
}

/** Text by path below the folder. Throws ToolError where there is no Rego. */
export function readPolicyFolder(folder: string): PolicyFiles {
  const names = globSync(['**/*.rego', '**/data.{json,yaml,yml}', '.manifest'], { cwd: folder, exclude: isSkipped })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => !name.endsWith('_test.rego'))
    .sort();
  if (!names.some((name) => name.endsWith('.rego'))) throw new ToolError(`${folder}: there is no Rego in this folder`);
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

function isSkipped(name: string): boolean {
  return /(^|[\\/])(node_modules|\.git)$/.test(name);
}

/** What a folder is called where a bundle has its revision. */
export function draftRevision(files: PolicyFiles): string {
  return `draft-${createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 12)}`;
}

/** JSON Schemas of `schemas/` by the names that annotations have for them. */
export function readSchemas(folder: string): Record<string, unknown> {
  const names = globSync('schemas/*.json', { cwd: folder });
  return Object.fromEntries(
    names.map((name) => [name.replace(/^schemas[\\/]|\.json$/g, ''), JSON.parse(readFileSync(join(folder, name), 'utf8'))]),
  );
}

export function describeProblems(problems: readonly OpaProblem[]): string {
  return problems
    .map(({ file, row, col, code, message }) => `${file === undefined ? '' : `${file}:${row}:${col}: `}${code}: ${message}`)
    .join('\n');
}
