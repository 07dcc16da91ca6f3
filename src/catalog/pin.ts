/** Whether a tool is still what was approved. Pure. */
import type { Reason } from '../reasons.ts';
import type { Resource } from '../resource.ts';
import type { Approvals } from './approvals.ts';
import type { BackendView } from './view.ts';

/**
 * Null: it may be called, as far as that goes.
 * @param approvals null where tools are not pinned.
 */
export function judgePin(
  { name, url }: Pick<Resource, 'name' | 'url'>,
  tool: string,
  view: BackendView | null,
  approvals: Approvals | null,
): Extract<Reason, 'tool_changed' | 'catalog_unavailable'> | null {
  if (approvals === null || url === null) return null;
  if (view === null) return 'catalog_unavailable';
  const current = view.tools.get(tool);
  if (current === undefined) return 'tool_changed';
  return isApproved(name, tool, current.fingerprint, approvals) ? null : 'tool_changed';
}

/** For lists, by the fingerprint of what the list itself says. */
export function isApproved(backend: string, tool: string, fingerprint: string, approvals: Approvals): boolean {
  return approvals.get(backend)?.get(tool)?.fingerprint === fingerprint;
}
