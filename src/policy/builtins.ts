/** Placeholder until the families are assembled. */
export const suppliedByTheSdk: readonly string[] = [];
export function createBuiltins(_now: () => number): Record<string, (...args: unknown[]) => unknown> {
  return {};
}
