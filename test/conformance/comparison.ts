/** What of a run counts, and in what two runs differ. */
import type { Check, SuiteRun } from './suite.ts';

export interface Summary {
  readonly passed: number;
  readonly failed: number;
  readonly warned: number;
  readonly scenarios: number;
}

export function summarize({ scenarios }: SuiteRun): Summary {
  const checks = [...scenarios.values()].flat();
  const count = (status: Check['status']) => checks.filter((check) => check.status === status).length;
  return { passed: count('SUCCESS'), failed: count('FAILURE'), warned: count('WARNING'), scenarios: scenarios.size };
}

/** What went wrong in one run, in words; nothing, if all is well. */
export function findFaults(run: SuiteRun, expected: { scored: readonly string[]; notScored: readonly string[] }): string[] {
  const missing = [...expected.scored, ...expected.notScored].filter((name) => !run.scenarios.get(name)?.length);
  if (missing.length > 0) return [`no results of ${missing.join(', ')} (exit code ${run.exitCode}): ${run.tail}`];
  const failed = expected.scored.flatMap((name) => failuresOf(name, run.scenarios.get(name) ?? []));
  return failed.length > 0 || run.exitCode === 0 ? failed : [`exit code ${run.exitCode}: ${run.tail}`];
}

export function failuresOf(scenario: string, checks: readonly Check[]): string[] {
  return checks
    .filter(({ status }) => status === 'FAILURE')
    .map(({ id, name, errorMessage = '' }) => `${scenario}: ${id} (${name}): ${errorMessage}`);
}

/** Scenario by scenario and check by check, notes of the suite included; nothing, if both say the same. */
export function compareRuns(direct: SuiteRun, through: SuiteRun): string[] {
  const names = new Set([...direct.scenarios.keys(), ...through.scenarios.keys()]);
  return [...names].sort().flatMap((name) => compareScenario(name, direct.scenarios.get(name), through.scenarios.get(name)));
}

function compareScenario(name: string, direct?: readonly Check[], through?: readonly Check[]): string[] {
  if (direct === undefined) return [`${name}: run through the gateway only`];
  if (through === undefined) return [`${name}: not run through the gateway`];
  const differences: string[] = [];
  for (let index = 0; index < Math.max(direct.length, through.length); index++) {
    const [one, other] = [direct[index], through[index]];
    if (one?.id === other?.id && one?.name === other?.name && one?.status === other?.status) continue;
    differences.push(`${name}: ${tell(one)} direct, ${tell(other)} through the gateway`);
  }
  return differences;
}

function tell(check: Check | undefined): string {
  if (check === undefined) return 'nothing';
  const why = check.status === 'SUCCESS' || check.errorMessage === undefined ? '' : ` [${check.errorMessage}]`;
  return `${check.id} (${check.name}) ${check.status}${why}`;
}
