/** How often a property is tried. `FUZZ_TIMES=100` tries each a hundred times as often, for a night. */
const TIMES = Number(process.env.FUZZ_TIMES ?? 1);

export function runs(usual: number): { readonly numRuns: number } {
  return { numRuns: Math.ceil(usual * TIMES) };
}
