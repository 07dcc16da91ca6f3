/**
 * The public corpora that lie beside the repository and are never copied into it: strict JSON and JOSE.
 * `MCP_EXT_AUTHZ_CORPORA` says where; a suite whose corpus is absent is skipped by name.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = process.env.MCP_EXT_AUTHZ_CORPORA ?? fileURLToPath(new URL('../../../shared/corpora', import.meta.url));

/** Options for a suite that needs these files of the corpora. */
export function needs(...paths: string[]): { skip: string | false } {
  const absent = paths.filter((path) => !existsSync(join(ROOT, path)));
  return { skip: absent.length > 0 && `${absent.join(' and ')} not found in ${ROOT} (set MCP_EXT_AUTHZ_CORPORA)` };
}

export function corpusFile(...path: string[]): Buffer {
  return readFileSync(join(ROOT, ...path));
}

/** A case map: one JSON object in each line. */
export function corpusCases<T>(...path: string[]): T[] {
  const lines = corpusFile(...path)
    .toString('utf8')
    .split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T);
}
