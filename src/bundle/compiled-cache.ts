/** Where compiled policies are kept, by the key that compile.ts gives them: in memory, and in a folder where there is one. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface CompiledCache {
  readonly read: (key: string) => Promise<Uint8Array | null>;
  /** Never rejects: what is not kept is compiled again. */
  readonly write: (key: string, wasm: Uint8Array) => Promise<void>;
}

const MAX_KEPT = 4;
const FILE = /^compiled-[0-9a-f]{64}\.wasm$/;
const DIGEST_BYTES = 32;

export const NO_CACHE: CompiledCache = { read: async () => null, write: async () => {} };

/** The few that were asked for last. */
export function createCompiledMemory(max = MAX_KEPT): CompiledCache {
  const kept = new Map<string, Uint8Array>();

  function keep(key: string, wasm: Uint8Array): void {
    kept.delete(key);
    kept.set(key, wasm);
    const [oldest] = kept.keys();
    if (kept.size > max && oldest !== undefined) kept.delete(oldest);
  }

  return {
    read: async (key) => {
      const wasm = kept.get(key);
      if (wasm !== undefined) keep(key, wasm);
      return wasm ?? null;
    },
    write: async (key, wasm) => keep(key, wasm),
  };
}

/**
 * Files in a folder, each behind its own hash, so that a damaged one counts as none. The hash keeps no one out who may write
 * there: for signed bundles the folder is not used.
 */
export function openCompiledDirectory(folder: string, max = MAX_KEPT): CompiledCache {
  const fileOf = (key: string) => join(folder, `compiled-${key}.wasm`);

  async function read(key: string): Promise<Uint8Array | null> {
    const bytes = await readFile(fileOf(key)).catch(() => null);
    if (bytes === null) return null;
    const wasm = bytes.subarray(DIGEST_BYTES);
    return digest(wasm).equals(bytes.subarray(0, DIGEST_BYTES)) ? wasm : null;
  }

  async function write(key: string, wasm: Uint8Array): Promise<void> {
    const partial = join(folder, `${randomUUID()}.partial`);
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFile(partial, Buffer.concat([digest(wasm), wasm]), { mode: 0o600 });
      await rename(partial, fileOf(key));
      await removeOldest(folder, max);
    } catch {
      await rm(partial, { force: true }).catch(() => {});
    }
  }

  return { read, write };
}

/** What the first does not have is asked of the second, and kept in the first. */
export function layerCaches(first: CompiledCache, second: CompiledCache): CompiledCache {
  return {
    read: async (key) => {
      const near = await first.read(key);
      if (near !== null) return near;
      const far = await second.read(key);
      if (far !== null) await first.write(key, far);
      return far;
    },
    write: async (key, wasm) => {
      await first.write(key, wasm);
      await second.write(key, wasm);
    },
  };
}

function digest(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

async function removeOldest(folder: string, max: number): Promise<void> {
  const names = (await readdir(folder)).filter((name) => FILE.test(name));
  const dated = await Promise.all(names.map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })));
  const old = dated.sort((one, other) => other.at - one.at).slice(max);
  await Promise.all(old.map(({ name }) => rm(join(folder, name), { force: true })));
}
