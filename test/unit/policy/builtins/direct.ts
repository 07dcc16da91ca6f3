/** Calls built-ins as the SDK would, with nothing near: no OPA, no wasm. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBuiltins } from '../../../../src/policy/builtins.ts';

/** What OPA would read: JSON text, or a set literal; undefined where Rego is. */
export function direct(builtin: string, ...args: readonly unknown[]): string | undefined {
  const call = createBuiltins(() => 1_700_000_000_123)[builtin];
  assert.ok(call, `${builtin} is not supplied`);
  const result = call(...args);
  return result instanceof ArrayBuffer ? new TextDecoder().decode(result) : JSON.stringify(result);
}

/** A test of calls and the text of their results. */
export function gives(name: string, rows: readonly (readonly [call: readonly unknown[], result: string | undefined])[]): void {
  test(name, () => {
    for (const [[builtin, ...args], result] of rows) {
      assert.equal(direct(String(builtin), ...args), result, `${builtin} ${JSON.stringify(args)}`);
    }
  });
}

/** A test of calls that end the evaluation, and why. */
export function refuses(name: string, rows: readonly (readonly [call: readonly unknown[], why: string])[]): void {
  test(name, () => {
    for (const [[builtin, ...args], why] of rows) {
      assert.throws(() => direct(String(builtin), ...args), { message: `${builtin}: ${why}` });
    }
  });
}
