/**
 * The functions of a module compiled by OPA, called by hand (OPA documentation, "Wasm: ABI"): the SDK's own `evaluate` reads
 * the input anew for each question, which is most of the cost of a small policy. Numbers are addresses in its memory.
 */

/** What the SDK makes of a module, as far as it is used here. */
export interface Instance {
  readonly mem: { readonly buffer: ArrayBufferLike };
  readonly wasmInstance: object;
  /** Where the memory begins that an evaluation may use. */
  readonly dataHeapPtr: number;
  readonly dataAddr: number;
  /** Numbers of the entry points by their names. */
  readonly entrypoints: Readonly<Record<string, number>>;
}

/** What a module compiled by OPA exports, as far as it is used here or by the SDK. */
const FUNCTIONS = [
  'builtins',
  'entrypoints',
  'eval',
  'opa_eval_ctx_get_result',
  'opa_eval_ctx_new',
  'opa_eval_ctx_set_data',
  'opa_eval_ctx_set_entrypoint',
  'opa_eval_ctx_set_input',
  'opa_heap_ptr_get',
  'opa_heap_ptr_set',
  'opa_json_dump',
  'opa_json_parse',
  'opa_malloc',
  'opa_value_add_path',
] as const;

const GLOBALS = ['opa_wasm_abi_version', 'opa_wasm_abi_minor_version'];

/** What it is given. Not `opa_println`: no policy needs it, and it would write past the log. */
const IMPORTS = /^(memory|opa_abort|opa_builtin[0-4])$/;

type WasmAbi = Record<(typeof FUNCTIONS)[number], (...args: number[]) => number>;

/** A thing that a module exports or imports. */
export interface ModulePart {
  readonly name: string;
  readonly kind: string;
}

/** What tells a module from those that OPA makes; null where nothing does. The SDK would print what it misses. */
export function findForeign(exports: readonly ModulePart[], imports: readonly ModulePart[]): string | null {
  const has = (name: string, kind: string): boolean => exports.some((one) => one.name === name && one.kind === kind);
  const missing = [
    ...FUNCTIONS.filter((name) => !has(name, 'function')),
    ...GLOBALS.filter((name) => !has(name, 'global')),
    ...(imports.some(({ kind }) => kind === 'memory') ? [] : ['an imported memory']),
  ];
  if (missing.length > 0) return `it lacks ${missing.join(', ')}`;
  const unknown = imports.filter(({ name }) => !IMPORTS.test(name));
  return unknown.length > 0 ? `it asks for ${unknown.map(({ name }) => name).join(', ')}` : null;
}

function abiOf({ wasmInstance }: Instance): WasmAbi {
  return (wasmInstance as { exports: WasmAbi }).exports;
}

/** Forgets the input before and reads this one. */
export function parseInput(instance: Instance, input: string): number {
  abiOf(instance).opa_heap_ptr_set(instance.dataHeapPtr);
  return parseJson(instance, input);
}

function parseJson(instance: Instance, text: string): number {
  const abi = abiOf(instance);
  const length = Buffer.byteLength(text);
  const address = abi.opa_malloc(length);
  memoryOf(instance).write(text, address);
  const parsed = abi.opa_json_parse(address, length);
  if (parsed === 0) throw new Error('the input is not JSON');
  return parsed;
}

/** Of the instance's memory, what questions may leave behind before it is cleared and the input read again. */
const LEFT_BEHIND_BYTES = 512 * 1024;

/** Memory cannot be cleared after each: the object that takes the members may have moved beyond the input. */
export function evaluateEach(
  instance: Instance,
  entrypoint: string,
  input: string,
  members: readonly string[],
  each: Iterable<readonly string[]>,
): string[] {
  const abi = abiOf(instance);
  const results: string[] = [];
  let address = 0;
  let paths: number[] = [];
  let full = 0;
  for (const texts of each) {
    if (abi.opa_heap_ptr_get() >= full) {
      address = parseInput(instance, input);
      paths = members.map((member) => parseJson(instance, JSON.stringify([member])));
      full = abi.opa_heap_ptr_get() + LEFT_BEHIND_BYTES;
    }
    for (const [index, path] of paths.entries()) {
      if (abi.opa_value_add_path(address, path, parseJson(instance, texts[index] as string)) !== 0)
        throw new Error('a member cannot be put into the input');
    }
    results.push(evaluate(instance, address, entrypoint));
  }
  return results;
}

/** The result set of an entry point for an input that was read, as JSON text. */
export function evaluate(instance: Instance, address: number, entrypoint: string): string {
  const abi = abiOf(instance);
  const context = abi.opa_eval_ctx_new();
  abi.opa_eval_ctx_set_input(context, address);
  abi.opa_eval_ctx_set_data(context, instance.dataAddr);
  abi.opa_eval_ctx_set_entrypoint(context, instance.entrypoints[entrypoint] as number);
  abi.eval(context);
  return textAt(instance, abi.opa_json_dump(abi.opa_eval_ctx_get_result(context)));
}

/** Names of the built-ins that a module asks its host for, out of its own table. */
export function builtinsOf(instance: Instance): string[] {
  const abi = abiOf(instance);
  return Object.keys(JSON.parse(textAt(instance, abi.opa_json_dump(abi.builtins()))) as object);
}

/** Its memory as a buffer; growing replaces the one underneath. */
function memoryOf({ mem }: Instance): Buffer {
  const known = memories.get(mem);
  if (known !== undefined && known.buffer === mem.buffer) return known;
  const memory = Buffer.from(mem.buffer);
  memories.set(mem, memory);
  return memory;
}

const memories = new WeakMap<object, Buffer>();

/** Text that ends with a zero byte, in the instance's memory. */
function textAt(instance: Instance, address: number): string {
  const memory = memoryOf(instance);
  return memory.toString('utf8', address, memory.indexOf(0, address));
}
