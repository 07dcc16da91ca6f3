/** A WebAssembly module with a limit to its memory, which Go's linker leaves open (WebAssembly specification, "Binary Format"). */

const MEMORY_SECTION = 5;
const HEADER_BYTES = 8;
const PAGE_BYTES = 65_536;

/** Throws where the module has no memory of its own, or one that begins larger. */
export function boundMemory(wasm: Uint8Array, maxBytes: number): Uint8Array {
  const maximum = Math.floor(maxBytes / PAGE_BYTES);
  let at = HEADER_BYTES;
  while (at < wasm.length) {
    const size = readUnsigned(wasm, at + 1);
    if (wasm[at] === MEMORY_SECTION) return replaceSection(wasm, at, size.next + size.value, limits(wasm, size.next, maximum));
    at = size.next + size.value;
  }
  throw new Error('the module has no memory of its own');
}

/** One memory: flags 1, least and greatest number of pages. */
function limits(wasm: Uint8Array, at: number, maximum: number): number[] {
  const least = readUnsigned(wasm, at + 2).value;
  if (wasm[at] !== 1 || least > maximum) throw new Error(`the module needs ${least} pages of memory, ${maximum} are given`);
  return [1, 1, ...unsigned(least), ...unsigned(maximum)];
}

function replaceSection(wasm: Uint8Array, start: number, end: number, content: readonly number[]): Uint8Array {
  const section = Buffer.from([MEMORY_SECTION, ...unsigned(content.length), ...content]);
  return Buffer.concat([wasm.subarray(0, start), section, wasm.subarray(end)]);
}

/** LEB128. */
function readUnsigned(bytes: Uint8Array, at: number): { readonly value: number; readonly next: number } {
  let value = 0;
  let scale = 1;
  for (let next = at; ; next++) {
    const byte = bytes[next];
    if (byte === undefined) throw new Error('the module ends too early');
    value += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) return { value, next: next + 1 };
  }
}

function unsigned(value: number): number[] {
  const low = value & 0x7f;
  return value < 0x80 ? [low] : [low | 0x80, ...unsigned(Math.floor(value / 128))];
}
