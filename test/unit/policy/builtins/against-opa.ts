/**
 * Runs calls of built-ins twice: through OPA itself, and through a policy that OPA compiled to wasm with
 * our functions as its host. One OPA process each way for a whole table. The answers must be the same,
 * digit for digit, undefined where OPA's is.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import * as sdk from '@open-policy-agent/opa-wasm';
import fc from 'fast-check';
import { connectBuiltins, createBuiltins } from '../../../../src/policy/builtins.ts';

/** A built-in and its arguments, which reach Rego as input (JSON.rawJSON keeps digits), or an expression. */
export type Call = readonly [builtin: string, ...args: unknown[]] | string;

/** What came of a call; a set is sorted, and a number has its digits beside it. */
export interface Outcome {
  readonly call: string;
  readonly value?: unknown;
  readonly digits?: string;
  readonly thrown?: string;
}

interface Evaluated {
  readonly value: unknown;
  readonly set: boolean;
  readonly digits: readonly string[];
}

const opaSdk = (sdk as unknown as { default: typeof sdk }).default;
const opaBinary = findOpa();
const skip = opaBinary === undefined ? 'no opa binary on PATH or in ~/go/bin' : false;

/** A test that both agree on every call. */
export function agreesWithOpa(name: string, calls: readonly Call[]): void {
  test(`OPA agrees: ${name}`, { skip }, () => {
    const { opa, ours } = compare(calls);
    const differing = opa.flatMap((outcome, i) => (isDeepStrictEqual(outcome, ours[i]) ? [] : [i]));
    assert.deepEqual(
      differing.map((i) => ours[i]),
      differing.map((i) => opa[i]),
    );
  });
}

/** The same for calls drawn at random, the same ones on every run. */
export function agreesOnSamples(name: string, calls: fc.Arbitrary<Call>, numRuns = 200): void {
  agreesWithOpa(`${name}, ${numRuns} samples`, fc.sample(calls, { numRuns, seed: 20260101 }));
}

/** Calls of a built-in with arguments drawn at random. */
export function callsOf(builtin: string, ...args: readonly fc.Arbitrary<unknown>[]): fc.Arbitrary<Call> {
  return fc.tuple(fc.constant(builtin), ...args) as unknown as fc.Arbitrary<Call>;
}

/** Texts put together from the given pieces. */
export function textOf(pieces: readonly string[], maxLength = 8): fc.Arbitrary<string> {
  return fc.array(fc.constantFrom(...pieces), { maxLength }).map((parts) => parts.join(''));
}

/** A test that needs OPA to compile the policy, with what our host makes of the calls. */
export function throughWasm(
  name: string,
  calls: readonly Call[],
  check: (outcomes: readonly Outcome[]) => void,
  connect = true,
): void {
  test(name, { skip }, () => {
    withPolicy(calls, (directory) => check(evaluateOurs(directory, calls, connect)));
  });
}

export function compare(calls: readonly Call[]): { opa: Outcome[]; ours: Outcome[] } {
  return withPolicy(calls, (directory) => {
    const evaluated = evaluateOpa(directory) as Readonly<Record<string, Evaluated>>;
    const opa = calls.map((call, i) => outcome(call, evaluated[`c${i}`]));
    return { opa, ours: evaluateOurs(directory, calls, true) };
  });
}

/** Names of the built-ins a policy with this rule would ask its host for. */
export function hostNeeds(rego: string): readonly string[] {
  const directory = mkdtempSync(join(tmpdir(), 'builtins-'));
  try {
    writeFileSync(join(directory, 'policy.rego'), `package needs\n${rego}`);
    const policy = instantiate(build(directory, ['needs']), false);
    const { exports } = policy.wasmInstance as { exports: Record<string, (at?: number) => number> };
    const at = exports.opa_json_dump?.(exports.builtins?.()) ?? 0;
    const memory = Buffer.from(policy.mem.buffer);
    return Object.keys(JSON.parse(memory.toString('utf8', at, memory.indexOf(0, at))) as object);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export { opaBinary, skip };

function findOpa(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), join(homedir(), 'go', 'bin')];
  return folders
    .map((folder) => join(folder, 'opa'))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function withPolicy<T>(calls: readonly Call[], use: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'builtins-'));
  try {
    const rules = calls.map((call, i) => {
      const expression = typeof call === 'string' ? call : callOf(call, i);
      const digits = '[json.marshal(x) | is_number(x)]';
      return `c${i} := {"value": x, "set": is_set(x), "digits": ${digits}} if x := ${expression}`;
    });
    writeFileSync(join(directory, 'policy.rego'), ['package calls', ...rules].join('\n'));
    writeFileSync(join(directory, 'input.json'), JSON.stringify({ calls: calls.map(argumentsOf) }));
    return use(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function callOf([builtin, ...args]: readonly unknown[], row: number): string {
  return `${builtin}(${args.map((_, column) => `input.calls[${row}][${column}]`).join(', ')})`;
}

function argumentsOf(call: Call): readonly unknown[] {
  return typeof call === 'string' ? [] : call.slice(1);
}

function runOpa(directory: string, ...args: readonly string[]): string {
  const options = { cwd: directory, encoding: 'utf8', maxBuffer: 2 ** 28, timeout: 300_000 } as const;
  const { status, stdout, stderr } = spawnSync(opaBinary ?? 'opa', args, options);
  if (status !== 0) throw new Error(`opa ${args[0]}: ${(stdout + stderr).slice(0, 500)}`);
  return stdout;
}

function evaluateOpa(directory: string): unknown {
  const args = ['--data', 'policy.rego', '--input', 'input.json', '--format', 'json'];
  const output = runOpa(directory, 'eval', ...args, 'data.calls');
  const { result } = JSON.parse(output) as { result: [{ expressions: [{ value: unknown }] }] };
  return result[0].expressions[0].value;
}

function build(directory: string, entrypoints: readonly string[]): Buffer {
  const flags = entrypoints.flatMap((entrypoint) => ['--entrypoint', entrypoint]);
  runOpa(directory, 'build', '--target', 'wasm', ...flags, '--output', 'b.tar.gz', 'policy.rego');
  execFileSync('tar', ['-xzf', 'b.tar.gz', '/policy.wasm'], { cwd: directory, stdio: 'pipe' });
  return readFileSync(join(directory, 'policy.wasm'));
}

/** Each call in its own evaluation, and after a throw in a new instance. */
function evaluateOurs(directory: string, calls: readonly Call[], connect: boolean): Outcome[] {
  const wasm = build(
    directory,
    calls.map((_, i) => `calls/c${i}`),
  );
  const input = new Uint8Array(readFileSync(join(directory, 'input.json'))).buffer;
  let policy = instantiate(wasm, connect);
  return calls.map((call, i) => {
    try {
      const [found] = policy.evaluate(input, `calls/c${i}`) as [{ result: Evaluated }?];
      return outcome(call, found?.result);
    } catch (thrown) {
      policy = instantiate(wasm, connect);
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      return { ...outcome(call, undefined), thrown: message };
    }
  });
}

function instantiate(wasm: Buffer, connect: boolean): sdk.LoadedPolicy {
  const builtins = createBuiltins(() => 1_700_000_000_123);
  const policy = opaSdk.loadPolicySync(wasm, { initial: 64 }, builtins);
  if (connect) connectBuiltins(builtins, policy.wasmInstance as { exports: unknown });
  return policy;
}

function outcome(call: Call, found: Evaluated | undefined): Outcome {
  const named = { call: JSON.stringify(call) };
  if (found === undefined) return named;
  const value = found.set ? sortJson(found.value as unknown[]) : found.value;
  return { ...named, value, ...(found.digits[0] && { digits: found.digits[0] }) };
}

function sortJson(items: readonly unknown[]): unknown[] {
  return items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}
