/**
 * One OPA policy, compiled to WebAssembly, with bounded memory. The only file that knows opa-wasm, whose errors are strings.
 * A policy that needs a built-in we do not supply is refused here, when it is loaded, and not when a call comes.
 */
import * as sdk from '@open-policy-agent/opa-wasm';
import { deny, ok, type Result } from '../result.ts';
import { connectBuiltins, createBuiltins, suppliedByTheSdk } from './builtins.ts';

/** The SDK's types name exports that its ES module has only as members of a default export. */
const opa = (sdk as unknown as { default: typeof sdk }).default;

/** Node's own types leave WebAssembly to the DOM's. */
declare const WebAssembly: {
  compile(bytes: Uint8Array): Promise<WasmModule>;
  Memory: new (size: { initial: number; maximum: number }) => WasmMemory;
};
type WasmModule = Parameters<typeof sdk.loadPolicy>[0];
type WasmMemory = sdk.LoadedPolicy['mem'];

export interface EngineOptions {
  readonly wasm: Uint8Array;
  /** The data document of the bundle. */
  readonly data: object;
  readonly maxMemoryBytes: number;
  /** Epoch milliseconds, for `time.now_ns`. */
  readonly now: () => number;
}

/** The rules a bundle must have as entry points. */
export const ENTRYPOINTS = { inbound: 'mcp/inbound/decision', outbound: 'mcp/outbound/decision' } as const;

export type Entrypoint = keyof typeof ENTRYPOINTS;

/** One input, read once; for each entry point asked for the result set, as JSON text. */
export type Evaluation = (entrypoint: Entrypoint) => Result<string>;

export interface Engine {
  /** @param input JSON text. */
  readonly take: (input: string) => Evaluation;
}

/** The policy cannot be used; `message` says why. */
export class PolicyRefused extends Error {
  override name = 'PolicyRefused';
}

const PAGE_BYTES = 65536;
/** Room for the data segments of a large policy; a smaller memory would refuse it when it is loaded. */
const INITIAL_PAGES = 64;

export async function loadEngine(options: EngineOptions): Promise<Engine> {
  const module = await compile(options.wasm);
  const memory = allocate(options);
  let policy: LoadedPolicy | null = prepare(module, memory, options);
  /** The input that stands in the instance's memory; there is room for one. */
  let resident: Taken | null = null;

  /**
   * The SDK's own `evaluate` reads the input anew for each entry point, which is most of the cost of a small policy. So
   * the input goes into the instance once, by the functions of the wasm ABI (OPA documentation, "Wasm: ABI").
   */
  function take(input: string): Evaluation {
    let taken: Taken | null = null;

    return (entrypoint) => {
      try {
        policy ??= instantiate(module, memory, options);
        if (taken === null || taken !== resident || taken.policy !== policy) {
          taken = { policy, address: parseInput(policy, input) };
          resident = taken;
        }
        return ok(evaluate(taken, entrypoint));
      } catch (thrown) {
        // The instance is in no known state now: whatever is asked next is asked of a new one.
        policy = null;
        const cause = describe(thrown);
        return deny({ reason: OUT_OF_MEMORY.test(cause) ? 'policy_memory' : 'policy_failed', cause });
      }
    };
  }

  return { take };
}

/** An input in an instance's memory. */
interface Taken {
  readonly policy: LoadedPolicy;
  readonly address: number;
}

type LoadedPolicy = sdk.LoadedPolicy;

const OUT_OF_MEMORY = /opa_malloc|memory|Maximum/i;

async function compile(wasm: Uint8Array): Promise<WasmModule> {
  try {
    return await WebAssembly.compile(wasm);
  } catch (cause) {
    throw new PolicyRefused('policy.wasm is not WebAssembly', { cause });
  }
}

/** The first instance, once it is sure that calls can be answered with it. */
function prepare(module: WasmModule, memory: WasmMemory, options: EngineOptions): LoadedPolicy {
  let policy: LoadedPolicy;
  let lacking: string[];
  try {
    policy = instantiate(module, memory, options);
    lacking = lackingBuiltins(policy, options);
  } catch (thrown) {
    throw new PolicyRefused(`policy.wasm cannot be loaded: ${describe(thrown)}`);
  }
  if (lacking.length > 0) throw new PolicyRefused(`the policy needs built-ins that are not supplied: ${lacking.join(', ')}`);
  const missing = Object.values(ENTRYPOINTS).filter((name) => !Object.hasOwn(policy.entrypoints, name));
  if (missing.length > 0) throw new PolicyRefused(`the policy lacks the entry points ${missing.join(', ')}`);
  return policy;
}

function instantiate(module: WasmModule, memory: WasmMemory, options: EngineOptions): LoadedPolicy {
  const builtins = createBuiltins(options.now);
  new Uint8Array(memory.buffer).fill(0);
  const policy = inMemory(memory, () => opa.loadPolicySync(module, {}, builtins));
  policy.setData(options.data);
  connectBuiltins(builtins, policy.wasmInstance);
  return policy;
}

/**
 * One instance after another gets the same memory. Were each to get its own, a caller whose arguments make evaluations fail
 * could fill the host's memory faster than the garbage collector finds it.
 */
function allocate({ maxMemoryBytes }: EngineOptions): WasmMemory {
  const maximum = Math.max(INITIAL_PAGES, Math.floor(maxMemoryBytes / PAGE_BYTES));
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
function lackingBuiltins(policy: LoadedPolicy, { now }: EngineOptions): string[] {
  const abi = abiOf(policy);
  const supplied = createBuiltins(now);
  const needed = Object.keys(JSON.parse(textAt(policy, abi.opa_json_dump(abi.builtins()))) as object);
  return needed.filter((name) => !Object.hasOwn(supplied, name) && !suppliedByTheSdk.includes(name));
}

/** What a module compiled by OPA exports, as far as it is used here; numbers are addresses in its memory. */
type WasmAbi = Record<
  | 'builtins'
  | 'eval'
  | 'opa_eval_ctx_get_result'
  | 'opa_eval_ctx_new'
  | 'opa_eval_ctx_set_data'
  | 'opa_eval_ctx_set_entrypoint'
  | 'opa_eval_ctx_set_input'
  | 'opa_heap_ptr_set'
  | 'opa_json_dump'
  | 'opa_json_parse'
  | 'opa_malloc',
  (...args: number[]) => number
>;

function abiOf({ wasmInstance }: LoadedPolicy): WasmAbi {
  return (wasmInstance as { exports: WasmAbi }).exports;
}

/** Forgets the input before and reads this one. */
function parseInput(policy: LoadedPolicy, input: string): number {
  const abi = abiOf(policy);
  abi.opa_heap_ptr_set(policy.dataHeapPtr);
  const length = Buffer.byteLength(input);
  const address = abi.opa_malloc(length);
  memoryOf(policy).write(input, address);
  const parsed = abi.opa_json_parse(address, length);
  if (parsed === 0) throw new Error('the input is not JSON');
  return parsed;
}

function evaluate({ policy, address }: Taken, entrypoint: Entrypoint): string {
  const abi = abiOf(policy);
  const context = abi.opa_eval_ctx_new();
  abi.opa_eval_ctx_set_input(context, address);
  abi.opa_eval_ctx_set_data(context, policy.dataAddr);
  abi.opa_eval_ctx_set_entrypoint(context, policy.entrypoints[ENTRYPOINTS[entrypoint]]);
  abi.eval(context);
  return textAt(policy, abi.opa_json_dump(abi.opa_eval_ctx_get_result(context)));
}

/** Its memory as a buffer; growing replaces the one underneath. */
function memoryOf({ mem }: LoadedPolicy): Buffer {
  const known = memories.get(mem);
  if (known !== undefined && known.buffer === mem.buffer) return known;
  const memory = Buffer.from(mem.buffer);
  memories.set(mem, memory);
  return memory;
}

const memories = new WeakMap<object, Buffer>();

/** Text that ends with a zero byte, in the instance's memory. */
function textAt(policy: LoadedPolicy, address: number): string {
  const memory = memoryOf(policy);
  return memory.toString('utf8', address, memory.indexOf(0, address));
}

/** opa-wasm throws strings and plain objects as well as errors. */
function describe(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  const message = (thrown as { message?: unknown } | null)?.message;
  return typeof message === 'string' ? message : 'unknown failure';
}
