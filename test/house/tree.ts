/** The files of the repository, as tests of the house look at them: what is committed, and what is about to be. */
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

const BINARY = /\.(gz|zst|png|ico|wasm)$/;
const SKIPPED = /^(node_modules|dist|coverage|\.git|\.cache|\.lab)(\/|$)/;

/** Relative paths of all text files, sorted. */
export const files: readonly string[] = list().filter((file) => !BINARY.test(file) && existsSync(join(root, file)));

function list(): string[] {
  try {
    const options: ExecFileSyncOptionsWithStringEncoding = { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
    return execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], options)
      .split('\n')
      .filter(Boolean)
      .sort();
  } catch {
    // Not a clone, such as an unpacked archive.
    return globSync('**/*', { cwd: root, exclude: (name) => SKIPPED.test(name) })
      .filter((name) => statSync(join(root, name)).isFile())
      .sort();
  }
}

export function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

export const documents: readonly string[] = files.filter((file) => file.endsWith('.md'));

/** Markdown without what stands in fences: there, brackets are no links and hashes no headings. */
export function prose(file: string): string {
  return read(file).replace(/^ *```[\s\S]*?^ *```$/gm, '');
}

export interface Block {
  readonly file: string;
  /** What follows the language in the opening fence. */
  readonly label: string;
  readonly text: string;
}

/** Fenced blocks of a language that carry a label, in all documents. */
export function labelledBlocks(language: string): Block[] {
  return documents.flatMap((file) =>
    [...read(file).matchAll(new RegExp(`^\`\`\`${language} (\\S+)\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
      ([, label = '', text = '']): Block => ({ file, label, text }),
    ),
  );
}

/** The anchor that a heading gets. */
export function slug(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}

export function headings(file: string): { readonly level: number; readonly text: string }[] {
  return [...prose(file).matchAll(/^(#{1,6}) (.+)$/gm)].map(([, marks = '', text = '']) => ({ level: marks.length, text }));
}
