/**
 * One OPA policy, compiled to WebAssembly, with bounded memory. The only file that knows opa-wasm, whose errors are strings.
 * A policy that needs a built-in we do not supply is refused here, when it is loaded, and not when a call comes.
 */
import * as sdk from '@open-policy-agent/opa-wasm';
import { PolicyRefused } from '../bundle/refusal.ts';
import { deny, ok, type Result } from '../result.ts';
import { builtinsOf, evaluate, evaluateEach, findForeign, type ModulePart, parseInput } from './abi.ts';
import { connectBuiltins, createBuiltins, suppliedByTheSdk } from './builtins.ts';

/** The SDK's types name exports that its ES module has only as members of a default export. */
const opa = (sdk as unknown as { default: typeof sdk }).default;

/** Node's own types leave WebAssembly to the DOM's. */
declare const WebAssembly: {
  compile(bytes: Uint8Array): Promise<WasmModule>;
  Memory: new (size: { initial: number; maximum: number }) => WasmMemory;
  Module: { exports(module: WasmModule): ModulePart[]; imports(module: WasmModule): ModulePart[] };
};
export type WasmModule = Parameters<typeof sdk.loadPolicy>[0];
type WasmMemory = sdk.LoadedPolicy['mem'];

/** A policy as it is loaded. */
interface Load {
  readonly module: WasmModule;
  /** The data document of the bundle; as an ArrayBuffer its JSON text. */
  readonly data: object;
  /** What module and data may occupy. */
  readonly maxDataMemoryBytes?: number | undefined;
  /** Epoch milliseconds, for `time.now_ns`. */
  readonly now: () => number;
}

export interface EngineOptions extends Load {
  /** What one evaluation may use, beside what module and data occupy. */
  readonly maxMemoryBytes: number;
  /** What they occupy, where that is known; else they are loaded once more, to measure it. */
  readonly dataPages?: number;
}

/** The rules a bundle must have as entry points. */
export const ENTRYPOINTS = { inbound: 'mcp/inbound/decision', outbound: 'mcp/outbound/decision' } as const;

export type Entrypoint = keyof typeof ENTRYPOINTS;

/** One input, read once; for each entry point asked for the result set, as JSON text. */
export type Evaluation = (entrypoint: string) => Result<string>;

export interface Engine {
  readonly entrypoints: readonly string[];
  /** @param input JSON text. */
  readonly take: (input: string) => Evaluation;
  /**
   * The inbound rule for many inputs that differ in `members` alone, one after the other. What they share is read once: a
   * thousand questions about one caller cost a third less.
   * @param input JSON text of an object that has all of `members`.
   * @param each for each question the JSON texts of these members.
   */
  readonly takeEach: (input: string, members: readonly string[], each: Iterable<readonly string[]>) => Result<string[]>;
  /** A new instance where the last evaluation broke the one there was, now rather than with the next question. */
  readonly restore: () => void;
}

const PAGE_BYTES = 65536;
/** Room for the data segments of a large policy; a smaller memory would refuse it when it is loaded. */
const INITIAL_PAGES = 64;
/** All that 32 bits can address. */
const MOST_PAGES = 65536;

/** Enough for the data of usual bundles as large as bundles may be; docs/bundles.md has the measures. */
export const MAX_DATA_MEMORY_BYTES = 512 * 1024 * 1024;

/** Rejects with PolicyRefused. */
export async function compileModule(wasm: Uint8Array): Promise<WasmModule> {
  try {
    return await WebAssembly.compile(wasm);
  } catch (cause) {
    throw new PolicyRefused('wasm_invalid', 'policy.wasm is not WebAssembly', { cause });
  }
}

/** Throws PolicyRefused. */
export function createEngine(options: EngineOptions): Engine {
  const { module, maxMemoryBytes, dataPages = measurePages(options) } = options;
  const memory = allocate(dataPages + pagesIn(maxMemoryBytes));
  let policy: LoadedPolicy | null = prepare(module, memory, options);
  const entrypoints = Object.keys(policy.entrypoints);
  /** The input that stands in the instance's memory; there is room for one. */
  let resident: Taken | null = null;

  /** The instance is in no known state now: whatever is asked next is asked of a new one. */
  function broken(thrown: unknown): Result<never> {
    policy = null;
    const cause = describe(thrown);
    return deny({ reason: OUT_OF_MEMORY.test(cause) ? 'policy_memory' : 'policy_failed', cause });
  }

  function restore(): LoadedPolicy {
    policy ??= instantiate(module, memory, options);
    return policy;
  }

  function take(input: string): Evaluation {
    let taken: Taken | null = null;

    return (entrypoint) => {
      try {
        const asked = restore();
        if (!Object.hasOwn(asked.entrypoints, entrypoint)) return deny({ reason: 'policy_undefined' });
        if (taken === null || taken !== resident || taken.policy !== asked) {
          taken = { policy: asked, address: parseInput(asked, input) };
          resident = taken;
        }
        return ok(evaluate(taken.policy, taken.address, entrypoint));
      } catch (thrown) {
        return broken(thrown);
      }
    };
  }

  function takeEach(input: string, members: readonly string[], each: Iterable<readonly string[]>): Result<string[]> {
    resident = null;
    try {
      return ok(evaluateEach(restore(), ENTRYPOINTS.inbound, input, members, each));
    } catch (thrown) {
      return broken(thrown);
    }
  }

  return { entrypoints, take, takeEach, restore };
}

/** An input in an instance's memory. */
interface Taken {
  readonly policy: LoadedPolicy;
  readonly address: number;
}

type LoadedPolicy = sdk.LoadedPolicy;

const OUT_OF_MEMORY = /opa_malloc|memory|Maximum/i;

/** The first instance, once it is sure that calls can be answered with it. */
function prepare(module: WasmModule, memory: WasmMemory, options: Load): LoadedPolicy {
  const foreign = findForeign(WebAssembly.Module.exports(module), WebAssembly.Module.imports(module));
  if (foreign !== null) throw new PolicyRefused('wasm_invalid', `policy.wasm is not what OPA compiles: ${foreign}`);
  let policy: LoadedPolicy;
  let lacking: string[];
  try {
    policy = instantiate(module, memory, options);
    lacking = lackingBuiltins(policy, options);
  } catch (thrown) {
    if (thrown instanceof PolicyRefused) throw thrown;
    throw new PolicyRefused('wasm_invalid', `policy.wasm cannot be loaded: ${describe(thrown)}`);
  }
  if (lacking.length > 0)
    throw new PolicyRefused('builtin_missing', `the policy needs built-ins that are not supplied: ${lacking.join(', ')}`);
  const missing = Object.values(ENTRYPOINTS).filter((name) => !Object.hasOwn(policy.entrypoints, name));
  if (missing.length > 0)
    throw new PolicyRefused('entrypoint_missing', `the policy lacks the entry points ${missing.join(', ')}`);
  return policy;
}

function instantiate(module: WasmModule, memory: WasmMemory, options: Load): LoadedPolicy {
  const builtins = createBuiltins(options.now);
  new Uint8Array(memory.buffer).fill(0);
  const policy = inMemory(memory, () => opa.loadPolicySync(module, {}, builtins));
  putData(policy, options);
  connectBuiltins(builtins, policy.wasmInstance);
  return policy;
}

function putData(policy: LoadedPolicy, { data, maxDataMemoryBytes = MAX_DATA_MEMORY_BYTES }: Load): void {
  try {
    policy.setData(data);
  } catch (thrown) {
    if (!(thrown instanceof RangeError) && !OUT_OF_MEMORY.test(describe(thrown))) throw thrown;
    const size = data instanceof ArrayBuffer ? `, ${data.byteLength} bytes of JSON,` : '';
    const limit = `the ${maxDataMemoryBytes} bytes of memory of policy.maxDataMemoryBytes`;
    throw new PolicyRefused('data_too_large', `the data${size} need more than ${limit}`);
  }
}

/** What module and data occupy, by loading them. Throws PolicyRefused. */
export function measurePages(options: Load): number {
  const memory = allocate(pagesIn(options.maxDataMemoryBytes ?? MAX_DATA_MEMORY_BYTES));
  const { dataHeapPtr } = prepare(options.module, memory, options);
  const pages = memory.buffer.byteLength / PAGE_BYTES;
  return pages > INITIAL_PAGES ? pages : Math.ceil(dataHeapPtr / PAGE_BYTES);
}

function pagesIn(bytes: number): number {
  return Math.floor(bytes / PAGE_BYTES);
}

/**
 * One instance after another gets the same memory. Were each to get its own, a caller whose arguments make evaluations fail
 * could fill the host's memory faster than the garbage collector finds it.
 */
function allocate(pages: number): WasmMemory {
  const maximum = Math.min(MOST_PAGES, Math.max(INITIAL_PAGES, pages));
  return new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum });
}

/** The SDK allocates for itself and takes no memory from outside; `make` must not wait for anything. */
function inMemory<T>(memory: WasmMemory, make: () => T): T {
  const { Memory } = WebAssembly;
  WebAssembly.Memory = function given() {
    return memory;
  } as unknown as typeof Memory;
  try {
    return make();
  } finally {
    WebAssembly.Memory = Memory;
  }
}

/** Built-ins that the policy asks its host for, out of the module's own table, and that the host does not have. */
function lackingBuiltins(policy: LoadedPolicy, { now }: Load): string[] {
  const supplied = createBuiltins(now);
  return builtinsOf(policy).filter((name) => !Object.hasOwn(supplied, name) && !suppliedByTheSdk.includes(name));
}

/** opa-wasm throws strings and plain objects as well as errors. */
function describe(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  const message = (thrown as { message?: unknown } | null)?.message;
  return typeof message === 'string' ? message : 'unknown failure';
}
