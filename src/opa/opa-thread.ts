/** The thread of opa.ts: one instance for each request, so that none finds what another left behind. */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { zstdDecompressSync } from 'node:zlib';
import { File, OpenFile, WASI } from '@bjorn3/browser_wasi_shim';
import { boundMemory } from './bound-memory.ts';
import type { OpaReply } from './opa.ts';

/** Node's own types leave WebAssembly to the DOM's. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => WasiInstance;
};
type WasiInstance = Parameters<WASI['start']>[0];

const FILE = new URL('../../compiler/opa.wasm.zst', import.meta.url);

const { maxMemoryBytes } = workerData as { readonly maxMemoryBytes: number };
const module = new WebAssembly.Module(boundMemory(zstdDecompressSync(readFileSync(FILE)), maxMemoryBytes));

parentPort?.on('message', (request: string) => {
  parentPort?.postMessage(answer(request));
});

function answer(request: string): OpaReply {
  const input = new OpenFile(new File(new TextEncoder().encode(request)));
  const output = new OpenFile(new File([]));
  const errors = new OpenFile(new File([]));
  const wasi = new WASI(['opa'], [], [input, output, errors], { debug: false });
  try {
    const instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi.wasiImport });
    if (wasi.start(instance) === 0) return { answer: textOf(output) };
  } catch (thrown) {
    return failure(`${textOf(errors)} ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
  return failure(textOf(errors));
}

function failure(said: string): OpaReply {
  const message = said.slice(0, 500);
  return /out of memory|cannot allocate|RangeError|Maximum/i.test(said)
    ? { failed: 'memory', message: `OPA needs more than ${maxMemoryBytes} bytes` }
    : { failed: 'failed', message: `OPA failed: ${message}` };
}

function textOf({ file }: OpenFile): string {
  return new TextDecoder().decode(file.data);
}
