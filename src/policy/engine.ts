/**
 * One OPA policy, compiled to WebAssembly, with bounded memory. The only file that knows opa-wasm, whose errors are strings.
 * A policy that needs a built-in we do not supply is refused here, when it is loaded, and not when a call comes.
 */
import * as sdk from '@open-policy-agent/opa-wasm';
import { deny, ok, type Result } from '../result.ts';
import { createBuiltins, suppliedByTheSdk } from './builtins.ts';

/** The SDK's types name exports that its ES module has only as members of a default export. */
const opa = (sdk as unknown as { default: typeof sdk }).default;

/** Node's own types leave WebAssembly to the DOM's. */
declare const WebAssembly: { compile(bytes: Uint8Array): Promise<WasmModule> };
type WasmModule = Parameters<typeof sdk.loadPolicy>[0];

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

export interface Engine {
  /** The value of an entry point, undefined where the rule is. `input` is JSON text. */
  readonly evaluate: (entrypoint: keyof typeof ENTRYPOINTS, input: ArrayBuffer) => Result<unknown>;
}

/** The policy cannot be used; `message` says why. */
export class PolicyRefused extends Error {
  override name = 'PolicyRefused';
}

const PAGE_BYTES = 65536;
const INITIAL_PAGES = 5;

export async function loadEngine(options: EngineOptions): Promise<Engine> {
  const module = await compile(options.wasm);
  let policy = await instantiate(module, options);

  function evaluate(entrypoint: keyof typeof ENTRYPOINTS, input: ArrayBuffer): Result<unknown> {
    try {
      const results: unknown = policy.evaluate(input, policy.entrypoints[ENTRYPOINTS[entrypoint]]);
      const first: unknown = Array.isArray(results) && results.length === 1 ? results[0] : undefined;
      return ok((first as { result?: unknown } | undefined)?.result);
    } catch (thrown) {
      policy = renew();
      const cause = describe(thrown);
      return deny({ reason: OUT_OF_MEMORY.test(cause) ? 'policy_memory' : 'policy_failed', cause });
    }
  }

  /** After a trap the instance's memory is in no known state: the next evaluation gets a new one. */
  function renew(): LoadedPolicy {
    const fresh = opa.loadPolicySync(module, memory(options), createBuiltins(options.now));
    fresh.setData(options.data);
    return fresh;
  }

  return { evaluate };
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

async function instantiate(module: WasmModule, options: EngineOptions): Promise<LoadedPolicy> {
  const builtins = createBuiltins(options.now);
  let policy: LoadedPolicy;
  try {
    policy = await opa.loadPolicy(module, memory(options), builtins);
    policy.setData(options.data);
  } catch (thrown) {
    throw new PolicyRefused(`policy.wasm cannot be loaded: ${describe(thrown)}`);
  }
  const lacking = neededBuiltins(policy).filter((name) => !Object.hasOwn(builtins, name) && !suppliedByTheSdk.includes(name));
  if (lacking.length > 0) throw new PolicyRefused(`the policy needs built-ins that are not supplied: ${lacking.join(', ')}`);
  const missing = Object.values(ENTRYPOINTS).filter((name) => !Object.hasOwn(policy.entrypoints, name));
  if (missing.length > 0) throw new PolicyRefused(`the policy lacks the entry points ${missing.join(', ')}`);
  return policy;
}

function memory({ maxMemoryBytes }: EngineOptions): { initial: number; maximum: number } {
  return { initial: INITIAL_PAGES, maximum: Math.max(INITIAL_PAGES, Math.floor(maxMemoryBytes / PAGE_BYTES)) };
}

/** Names of the built-ins that the policy asks its host for, out of the module's own table. */
function neededBuiltins(policy: LoadedPolicy): string[] {
  const { exports } = policy.wasmInstance as { exports: Record<string, (...args: number[]) => number> };
  const address = exports.opa_json_dump?.(exports.builtins?.() ?? 0) ?? 0;
  const bytes = new Uint8Array(policy.mem.buffer);
  const text = Buffer.from(bytes.subarray(address, bytes.indexOf(0, address))).toString('utf8');
  return Object.keys(JSON.parse(text) as object);
}

/** opa-wasm throws strings and plain objects as well as errors. */
function describe(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  const message = (thrown as { message?: unknown } | null)?.message;
  return typeof message === 'string' ? message : 'unknown failure';
}
