/** A bundle in a file, read again when the file is another: by time, size and inode. */
import { readFile, stat } from 'node:fs/promises';
import { PolicyRefused } from './refusal.ts';

/** What a file looked like; null before anything was seen. */
export type FileMark = string | null;

export interface FileSeen {
  /** Null where it is the file that was seen before. */
  readonly archive: Uint8Array | null;
  readonly mark: FileMark;
}

/** Rejects with PolicyRefused: too_large, or download_failed where it cannot be read or is being written. */
export async function readBundleFile(file: string, before: FileMark, maxBytes: number): Promise<FileSeen> {
  try {
    const [mark, size, isFolder] = await look(file);
    if (isFolder)
      throw new PolicyRefused('download_failed', `the bundle is a folder, and must be an archive: ${howToPack(file)}`);
    if (mark === before) return { archive: null, mark };
    if (size > maxBytes) throw new PolicyRefused('too_large', `the bundle is larger than ${maxBytes} bytes`);
    const archive = await readFile(file);
    const [after] = await look(file);
    if (after !== mark)
      throw new PolicyRefused('download_failed', 'the bundle changed while it was read: put it there with a rename');
    return { archive, mark };
  } catch (cause) {
    if (cause instanceof PolicyRefused) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new PolicyRefused('download_failed', `the bundle cannot be read: ${file}: ${code}`, { cause });
  }
}

async function look(file: string): Promise<[mark: string, size: number, isFolder: boolean]> {
  const seen = await stat(file, { bigint: true });
  return [`${seen.mtimeNs} ${seen.size} ${seen.ino}`, Number(seen.size), seen.isDirectory()];
}

function howToPack(folder: string): string {
  return `tar czf bundle.tar.gz -C ${folder} . makes one, and so does mcp-ext-authz policy build`;
}
