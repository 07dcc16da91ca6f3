/**
 * What of a list its reader may see: the inbound rule is asked about each item as if it were used, in one go. There are no
 * arguments yet (`input.mcp.arguments` is null), so an item that is refused for its arguments alone is shown.
 */
import type { Approvals } from '../catalog/approvals.ts';
import { fingerprintOf } from '../catalog/fingerprint.ts';
import { isApproved } from '../catalog/pin.ts';
import { toolFacts } from '../catalog/tool-facts.ts';
import type { Views } from '../catalog/view.ts';
import type { HttpFacts } from '../http.ts';
import type { ListItem, ListRow } from '../mcp/lists.ts';
import type { Operation } from '../mcp/operation.ts';
import { inputText, itemMembers, itemTexts, policyInput } from '../policy/input.ts';
import type { Policy } from '../policy/policy.ts';
import { type Reason, reasonRow } from '../reasons.ts';
import type { Resource } from '../resource.ts';
import { deny, ok, type Result } from '../result.ts';
import type { Principal } from '../token/principal.ts';
import { principalKey } from './session.ts';

export interface Reader {
  readonly http: HttpFacts;
  /** The backend whose list it is. */
  readonly resource: Resource;
  /** The request for the list. */
  readonly operation: Operation;
  readonly principal: Principal;
}

export interface VisiblePorts {
  readonly policy: () => Policy | null;
  readonly policyHeaders: readonly string[];
  /** Whether to show what the caller could use with a scope that it can still obtain. */
  readonly showsStepUp: boolean;
  readonly views: Views;
  /** Null where tools are not pinned. */
  readonly approvals: () => Approvals | null;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** For all items of a list to be judged. */
const LIST_WITHIN_MS = 5000;

const ABOUT_ARGUMENTS: ReadonlySet<Reason> = new Set(['argument_forbidden', 'limit_exceeded']);

/** For each name whether it is shown; a denial where policy is broken. */
export async function judgeVisible(
  reader: Reader,
  row: ListRow,
  items: readonly ListItem[],
  ports: VisiblePorts,
): Promise<Result<readonly boolean[]>> {
  const { policyHeaders, showsStepUp, views } = ports;
  const policy = ports.policy();
  if (policy === null) return deny({ reason: 'policy_undefined' });
  const use: Operation = { ...reader.operation, kind: 'request', method: row.asks, targets: [], tool: null, arguments: null };
  const base = policyInput(
    // As it would be used, though the list may have come on a stream.
    { ...reader.http, method: 'POST' },
    reader.resource,
    use,
    reader.principal,
    toolFacts(reader.resource, views, null),
    policyHeaders,
    null,
  );
  const texts = items.map(({ name }) => {
    const tool = row.target === 'tool' ? name : null;
    const mcp = { ...base.mcp, targets: [{ type: row.target, name }], tool };
    return itemTexts({ mcp, tool: toolFacts(reader.resource, views, tool) });
  });
  const asked = { input: inputText(base), caller: principalKey(reader.principal), deadlineMs: ports.now() + LIST_WITHIN_MS };
  const answers = await policy.askEach(asked, itemMembers, texts);
  if (!answers.ok) return answers;
  const broken = answers.value.find((answer) => !answer.ok && reasonRow(answer.denial.reason).outcome === 'error');
  if (broken?.ok === false) return broken;
  const approvals = row.target === 'tool' && reader.resource.url !== null ? ports.approvals() : null;
  return ok(
    answers.value.map(
      (answer, index) =>
        (answer.ok || isShown(answer.denial.reason, showsStepUp)) &&
        (approvals === null || isAsApproved(reader.resource.name, items[index] as ListItem, approvals)),
    ),
  );
}

function isShown(reason: Reason, showsStepUp: boolean): boolean {
  return ABOUT_ARGUMENTS.has(reason) || (showsStepUp && reason === 'insufficient_scope');
}

/** By what the list itself says: a tool that has changed since is not even described. */
function isAsApproved(backend: string, { name, value }: ListItem, approvals: Approvals): boolean {
  return isApproved(backend, name, fingerprintOf(value), approvals);
}
