/**
 * What outlives the process, in a folder of its own: the last good bundle with the validators of its server, and the history of
 * revisions. Each file is written whole and then renamed, so a crash leaves the one before. What is read here is no more trusted
 * than what a server sends: the bundle is verified again, and a history that cannot be read stops the start.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Validators } from './download.ts';
import type { Activation, History } from './history.ts';

export interface Persisted {
  readonly archive: Uint8Array;
  readonly validators: Validators;
  /** Where it came from: validators say nothing to another server. */
  readonly source: string;
}

/** Revisions that were in force, and the one that a person lets in although it is older. */
export interface Past {
  readonly history: History;
  readonly accepted: string | null;
}

export interface Store {
  /** Null where nothing was kept. Rejects where it cannot be read. */
  readonly readBundle: () => Promise<Persisted | null>;
  readonly writeBundle: (persisted: Persisted, digest: string) => Promise<void>;
  /** Rejects where it is there and cannot be read: to forget what was in force would let anything in. */
  readonly readPast: () => Promise<Past>;
  readonly writePast: (past: Past) => Promise<void>;
}

const NO_PAST: Past = { history: [], accepted: null };

/** @param slot whose files these are: `policy` or `shadow`. */
export function openStore(directory: string, slot: string, maxBytes: number): Store {
  const at = (name: string): string => join(directory, `${slot}${name}`);

  async function readBundle(): Promise<Persisted | null> {
    const kept = readKept(await readOrNull(at('.json')));
    if (kept === null) return null;
    const archive = await readFile(join(directory, kept.file));
    if (archive.byteLength > maxBytes) throw new Error('the bundle that was kept is too large');
    return { archive, validators: { etag: kept.etag, lastModified: kept.lastModified }, source: kept.source };
  }

  async function writeBundle({ archive, validators, source }: Persisted, digest: string): Promise<void> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const file = `${slot}-${digest.slice(0, 16)}.tar.gz`;
    await writeWhole(directory, file, archive);
    await writeWhole(directory, `${slot}.json`, JSON.stringify({ version: 1, file, source, ...validators }));
    // Only now does nothing name the ones before.
    const left = (await readdir(directory)).filter((name) => name !== file && ARCHIVE.exec(name)?.[1] === slot);
    await Promise.all(left.map((name) => rm(join(directory, name), { force: true })));
  }

  return {
    readBundle,
    writeBundle,
    readPast: async () => {
      const text = await readOrNull(at('-history.json'));
      return text === null ? NO_PAST : readPast(text);
    },
    writePast: async (past) => {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await writeWhole(directory, `${slot}-history.json`, JSON.stringify({ version: 1, ...past }));
    },
  };
}

const ARCHIVE = /^([a-z]+)-[0-9a-f]{16}\.tar\.gz$/;

interface Kept extends Validators {
  readonly file: string;
  readonly source: string;
}

function readKept(text: string | null): Kept | null {
  if (text === null) return null;
  const { version, file, source, etag, lastModified } = JSON.parse(text) as Record<string, unknown>;
  const isText = (value: unknown): value is string | null => value === null || typeof value === 'string';
  if (version !== 1 || typeof file !== 'string' || !ARCHIVE.test(file) || typeof source !== 'string') throw unreadable();
  if (!isText(etag) || !isText(lastModified)) throw unreadable();
  return { file, source, etag, lastModified };
}

function readPast(text: string): Past {
  const { version, history, accepted } = JSON.parse(text) as Record<string, unknown>;
  if (version !== 1 || !Array.isArray(history) || !history.every(isActivation)) throw unreadable();
  if (accepted !== null && typeof accepted !== 'string') throw unreadable();
  return { history, accepted };
}

function isActivation(value: unknown): value is Activation {
  const { revision, digest, contentDigest = '', at } = (value ?? {}) as Record<string, unknown>;
  return [revision, digest, contentDigest].every((text) => typeof text === 'string') && typeof at === 'number';
}

function unreadable(): Error {
  return new Error('a file of persistDirectory has another shape');
}

async function readOrNull(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
}

/** On disk before it has its name, and its name on disk before this resolves. For its owner alone. */
export async function writeWhole(directory: string, name: string, content: Uint8Array | string): Promise<void> {
  const fresh = join(directory, `.${name}.new`);
  const file = await open(fresh, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, join(directory, name));
  const folder = await open(directory, 'r');
  await folder.sync().finally(() => folder.close());
}
