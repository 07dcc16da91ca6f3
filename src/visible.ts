/**
 * What of a list its reader may see: the inbound rule is asked about each item as if it were used, in one go. There are no
 * arguments yet (`input.mcp.arguments` is null), so an item that is refused for its arguments alone is shown.
 */
import type { HttpFacts } from './http.ts';
import type { ListRow } from './mcp/lists.ts';
import type { Operation } from './mcp/operation.ts';
import { inputText, itemMembers, itemTexts, policyInput } from './policy/input.ts';
import type { Policy } from './policy/policy.ts';
import { type Reason, reasonRow } from './reasons.ts';
import type { Resource, ToolFacts } from './resource.ts';
import { deny, ok, type Result } from './result.ts';
import type { Principal } from './token/principal.ts';

export interface Reader {
  readonly http: HttpFacts;
  /** The backend whose list it is. */
  readonly resource: Resource;
  /** The request for the list. */
  readonly operation: Operation;
  readonly principal: Principal;
}

export interface VisiblePorts {
  readonly policy: Policy | null;
  readonly policyHeaders: readonly string[];
  /** Whether to show what the caller could use with a scope that it can still obtain. */
  readonly showsStepUp: boolean;
  readonly toolFacts: (resource: Resource, tool: string) => ToolFacts;
}

const ABOUT_ARGUMENTS: ReadonlySet<Reason> = new Set(['argument_forbidden', 'limit_exceeded']);

/** For each name whether it is shown; a denial where policy is broken. */
export function judgeVisible(
  reader: Reader,
  row: ListRow,
  names: readonly string[],
  ports: VisiblePorts,
): Result<readonly boolean[]> {
  const { policy, policyHeaders, showsStepUp, toolFacts } = ports;
  if (policy === null) return deny({ reason: 'policy_undefined' });
  const use: Operation = { ...reader.operation, kind: 'request', method: row.asks, targets: [], tool: null, arguments: null };
  const base = policyInput(reader.http, reader.resource, use, reader.principal, policyHeaders);
  const items = names.map((name) => {
    const tool = row.target === 'tool' ? name : null;
    const mcp = { ...base.mcp, targets: [{ type: row.target, name }], tool };
    return itemTexts({ mcp, tool: tool === null ? base.tool : toolFacts(reader.resource, tool) });
  });
  const answers = policy.askEach(inputText(base), itemMembers, items);
  if (!answers.ok) return answers;
  const shown: boolean[] = [];
  for (const answer of answers.value) {
    if (!answer.ok && reasonRow(answer.denial.reason).outcome === 'error') return answer;
    shown.push(answer.ok || isShown(answer.denial.reason, showsStepUp));
  }
  return ok(shown);
}

function isShown(reason: Reason, showsStepUp: boolean): boolean {
  return ABOUT_ARGUMENTS.has(reason) || (showsStepUp && reason === 'insufficient_scope');
}
