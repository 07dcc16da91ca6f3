/** Metrics of the candidate policy that is asked beside the live one. */
import { Counter, Gauge, type Registry } from 'prom-client';

export function createShadowMetrics(registers: Registry[]) {
  const shadowFlips = new Counter({
    name: 'mcp_ext_authz_shadow_flips_total',
    help: 'Requests that the candidate would have answered otherwise. direction: allow_to_deny, deny_to_allow, reason (refused for another) or token (allowed with another); tool: from the catalog, else other.',
    labelNames: ['tool', 'backend', 'direction'],
    registers,
  });
  const shadowEvaluations = new Counter({
    name: 'mcp_ext_authz_shadow_evaluations_total',
    help: 'Requests for the candidate. outcome: same, flip, error (it gave no answer) or skipped (it could not be asked in time).',
    labelNames: ['outcome'],
    registers,
  });
  const shadowInfo = new Gauge({
    name: 'mcp_ext_authz_shadow_info',
    help: 'Always 1: the revision of the candidate beside the policy in force.',
    labelNames: ['revision'],
    registers,
  });
  return { shadowFlips, shadowEvaluations, shadowInfo };
}
