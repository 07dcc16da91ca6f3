/** Small things that the tools need of what they are given: a folder or a bundle, its name, what is wrong with it. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import type { OpaProblem } from '../opa/requests.ts';
import { describeFileProblem } from './io.ts';
import type { Files } from './source-folder.ts';

export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw describeFileProblem(path, cause);
  }
}

/** What a folder is called where a bundle has its revision. */
export function draftRevision(files: Files): string {
  return `draft-${createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 12)}`;
}

export function describeProblems(problems: readonly OpaProblem[]): string {
  return problems
    .map(({ file, row, col, code, message }) => `${file === undefined ? '' : `${file}:${row}:${col}: `}${code}: ${message}`)
    .join('\n');
}
