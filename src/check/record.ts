/**
 * What is worth knowing of one Check, flat and without a secret: the same facts for the decision log, for Envoy's dynamic
 * metadata and, in part, for the metrics. Names are OPA's where OPA has one.
 */

import type { Delegation } from '../delegation/delegation.ts';
import type { Operation } from '../mcp/operation.ts';
import type { Principal } from '../token/principal.ts';
import type { Verdict } from './authorize.ts';
import { redactTokens } from './redacted-tokens.ts';
import { showTarget } from './shown-target.ts';

export interface DecisionRecord {
  readonly decision_id: string;
  readonly decision: Verdict['outcome'];
  readonly reason: Verdict['reason'];
  /** HTTP status that the client gets; absent where the backend answers. */
  readonly status: number | undefined;
  readonly method: string;
  readonly tool: string | undefined;
  /** Other objects that the message names, as `type:name`. */
  readonly targets: readonly string[] | undefined;
  readonly era: string | undefined;
  readonly protocol_revision: string | undefined;
  readonly backend: string | undefined;
  readonly issuer: string | undefined;
  readonly subject: string | undefined;
  readonly client_id: string | undefined;
  /** Who acts for the subject, the most recent first; ours as soon as we delegated. */
  readonly actor: readonly string[] | undefined;
  readonly token_id: string | undefined;
  readonly audience: string | undefined;
  readonly scope: string | undefined;
  readonly delegation_token_id: string | undefined;
  readonly revision: string | undefined;
  /** Rules that would have refused, were they not only watched. */
  readonly log_only: readonly string[] | undefined;
  readonly trace_id: string | undefined;
  readonly request_id: string | undefined;
}

/** Names come from callers: long ones are cut, so that a line stays a line. */
const MAX_NAME = 256;
const MAX_TARGETS = 16;

/** Always the same members in the same order, undefined where nothing is known: cheap to make and to serialise. */
export function decisionRecord({ outcome, reason, answer, facts, read }: Verdict): DecisionRecord {
  const { operation, principal, outbound, delegation, http } = facts;
  return {
    decision_id: facts.decisionId,
    decision: outcome,
    reason,
    status: answer.kind === 'respond' ? answer.response.status : undefined,
    method: operation === null ? cut(read?.method ?? http.method) : (operation.method ?? 'response'),
    tool: cut(operation?.tool),
    targets: operation === null || operation.tool !== null ? undefined : targetNames(operation),
    era: operation?.era,
    protocol_revision: operation?.revision,
    backend: facts.resource?.name,
    issuer: principal?.issuer,
    subject: cut(principal?.subject),
    client_id: cut(principal?.clientId),
    actor: principal === null ? undefined : actors(principal, delegation),
    token_id: cut(principal?.tokenId),
    audience: cut(outbound?.audience),
    scope: cut(outbound?.scopes.join(' ')),
    delegation_token_id: cut(delegation?.tokenId),
    revision: facts.revision ?? undefined,
    log_only: facts.asked?.inbound.logOnly?.map(({ rule }) => rule),
    trace_id: http.traceId ?? undefined,
    request_id: cut(http.requestId || undefined),
  };
}

function targetNames({ targets }: Operation): readonly string[] | undefined {
  if (targets.length === 0) return undefined;
  return targets.slice(0, MAX_TARGETS).map((target) => `${target.type}:${cut(showTarget(target))}`);
}

function actors({ actor }: Principal, delegation: Delegation | null): readonly string[] | undefined {
  const earlier = actor.map(({ sub }) => cut(sub));
  if (delegation !== null) return [delegation.actor, ...earlier];
  return earlier.length === 0 ? undefined : earlier;
}

/** A name as it may be written down: not too long, without half a character at the end, and no token that got into it. */
export function cut(name: string): string;
export function cut(name: string | null | undefined): string | undefined;
export function cut(name: string | null | undefined): string | undefined {
  if (name === null || name === undefined) return undefined;
  const shown = name.length <= MAX_NAME ? name : name.slice(0, MAX_NAME).toWellFormed();
  return redactTokens(shown);
}
