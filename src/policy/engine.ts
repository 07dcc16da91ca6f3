/**
 * One OPA policy, compiled to WebAssembly, with bounded memory. The only file that knows opa-wasm, whose errors are strings.
 * A policy that needs a built-in we do not supply is refused here, when it is loaded, and not when a call comes.
 */
import * as sdk from '@open-policy-agent/opa-wasm';
import { PolicyRefused } from '../bundle/refusal.ts';
import { deny, ok, type Result } from '../result.ts';
import { builtinsOf, evaluate, evaluateEach, parseInput } from './abi.ts';
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
  /** The data document of the bundle; as an ArrayBuffer its JSON text. */
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
  /**
   * The inbound rule for many inputs that differ in `members` alone, one after the other. What they share is read once: a
   * thousand questions about one caller cost a third less.
   * @param input JSON text of an object that has all of `members`.
   * @param each for each question the JSON texts of these members.
   */
  readonly takeEach: (input: string, members: readonly string[], each: Iterable<readonly string[]>) => Result<string[]>;
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

  /** The instance is in no known state now: whatever is asked next is asked of a new one. */
  function broken(thrown: unknown): Result<never> {
    policy = null;
    const cause = describe(thrown);
    return deny({ reason: OUT_OF_MEMORY.test(cause) ? 'policy_memory' : 'policy_failed', cause });
  }

  function take(input: string): Evaluation {
    let taken: Taken | null = null;

    return (entrypoint) => {
      try {
        policy ??= instantiate(module, memory, options);
        if (taken === null || taken !== resident || taken.policy !== policy) {
          taken = { policy, address: parseInput(policy, input) };
          resident = taken;
        }
        return ok(evaluate(taken.policy, taken.address, ENTRYPOINTS[entrypoint]));
      } catch (thrown) {
        return broken(thrown);
      }
    };
  }

  function takeEach(input: string, members: readonly string[], each: Iterable<readonly string[]>): Result<string[]> {
    resident = null;
    try {
      policy ??= instantiate(module, memory, options);
      return ok(evaluateEach(policy, ENTRYPOINTS.inbound, input, members, each));
    } catch (thrown) {
      return broken(thrown);
    }
  }

  return { take, takeEach };
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
    throw new PolicyRefused('wasm_invalid', 'policy.wasm is not WebAssembly', { cause });
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
    throw new PolicyRefused('wasm_invalid', `policy.wasm cannot be loaded: ${describe(thrown)}`);
  }
  if (lacking.length > 0)
    throw new PolicyRefused('builtin_missing', `the policy needs built-ins that are not supplied: ${lacking.join(', ')}`);
  const missing = Object.values(ENTRYPOINTS).filter((name) => !Object.hasOwn(policy.entrypoints, name));
  if (missing.length > 0)
    throw new PolicyRefused('entrypoint_missing', `the policy lacks the entry points ${missing.join(', ')}`);
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
  const supplied = createBuiltins(now);
  return builtinsOf(policy).filter((name) => !Object.hasOwn(supplied, name) && !suppliedByTheSdk.includes(name));
}

/** opa-wasm throws strings and plain objects as well as errors. */
function describe(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  const message = (thrown as { message?: unknown } | null)?.message;
  return typeof message === 'string' ? message : 'unknown failure';
}
