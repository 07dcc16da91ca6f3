/**
 * Keeps OPA's compiled code while a test file runs: V8 gives every thread of a process the code of a module that one of them
 * holds. Without it each of the many threads that tests start compiles the same again.
 */
import { readFileSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';
import { boundMemory } from '../../src/opa/bound-memory.ts';

declare const WebAssembly: { Module: new (bytes: Uint8Array) => object };

const kept = new Map<number, object>();

/** @param maxMemoryBytes as OPA is opened with; with another limit the module is another. */
export function keepOpa({ maxMemoryBytes }: { readonly maxMemoryBytes: number }): void {
  if (kept.has(maxMemoryBytes)) return;
  const packed = readFileSync(new URL('../../compiler/opa.wasm.zst', import.meta.url));
  kept.set(maxMemoryBytes, new WebAssembly.Module(boundMemory(zstdDecompressSync(packed), maxMemoryBytes)));
}
