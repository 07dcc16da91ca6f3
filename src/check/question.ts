/** What policy is asked about a request, and what is remembered of it: for the log, and for whoever asks it again later. */
import type { HttpFacts } from '../http.ts';
import type { Operation } from '../mcp/operation.ts';
import type { Inbound, LogOnly, Outbound } from '../policy/decision.ts';
import { type PolicyInput, policyInput } from '../policy/input.ts';
import type { Policy } from '../policy/policy.ts';
import type { Reason } from '../reasons.ts';
import type { Resource, ToolFacts } from '../resource.ts';
import type { Result } from '../result.ts';
import type { Principal } from '../token/principal.ts';

export interface PolicyAsked {
  readonly input: PolicyInput;
  readonly revision: string;
  readonly inbound: Said;
  readonly outbound: Said | null;
}

/** What one of its rules said, or what was made of its silence. */
export interface Said {
  readonly allow: boolean;
  readonly reason: Reason;
  readonly logOnly?: readonly LogOnly[];
}

/** Who asks what. */
interface About {
  readonly http: HttpFacts;
  readonly resource: Resource;
  readonly operation: Operation;
  readonly principal: Principal;
}

/** With the arguments that this policy declares, where it declares any. */
export function inputFor(policy: Policy, about: About, tool: ToolFacts, headerNames: readonly string[]): PolicyInput {
  const { http, resource, operation, principal } = about;
  const declared = operation.tool === null ? null : policy.declaredArguments(resource.name, operation.tool);
  return policyInput(http, resource, operation, principal, tool, headerNames, declared);
}

export function saidBy(result: Result<Inbound | Outbound>): Said {
  if (!result.ok) return { allow: false, reason: result.denial.reason };
  const logOnly = 'logOnly' in result.value ? result.value.logOnly : [];
  return { allow: true, reason: 'allowed', ...(logOnly.length > 0 && { logOnly }) };
}
