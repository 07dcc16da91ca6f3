/** A value or a refusal. Refusing is ordinary work here, so it is a value and not an exception. */
import type { Denial } from './verdict.ts';

export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly denial: Denial };

export function ok<T>(value: T): Result<T> {
  return { ok: true, value };
}

export function deny(denial: Denial): Result<never> {
  return { ok: false, denial };
}
