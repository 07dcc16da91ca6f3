/** Compiled WebAssembly, kept by what it was compiled from: a bundle in which only the data changed is not compiled again. */
import { webcrypto } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { compileModule, type WasmModule } from './engine.ts';

/** Those in force, those that came just before or come next. */
const MAX_KEPT = 4;

const kept = new LRUCache<string, Promise<WasmModule>>({ max: MAX_KEPT });

/** Off this thread, hash and all. Rejects with PolicyRefused. */
export async function compileOnce(wasm: Uint8Array): Promise<WasmModule> {
  const digest = await webcrypto.subtle.digest('SHA-256', new Uint8Array(wasm));
  const key = Buffer.from(digest).toString('base64url');
  const before = kept.get(key);
  if (before !== undefined) return before;
  const compiling = compileModule(wasm);
  kept.set(key, compiling);
  compiling.catch(() => kept.delete(key));
  return compiling;
}
