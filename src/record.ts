/**
 * What is worth knowing of one Check, flat and without a secret: the same facts for the decision log, for Envoy's dynamic
 * metadata and, in part, for the metrics. Names are OPA's where OPA has one.
 */
import type { Verdict } from './check.ts';

export interface DecisionRecord {
  readonly decision_id: string;
  readonly decision: Verdict['outcome'];
  readonly reason: Verdict['reason'];
  /** HTTP status that the client gets; absent where the backend answers. */
  readonly status?: number;
  readonly method?: string;
  readonly tool?: string;
  readonly targets?: string[];
  readonly era?: string;
  readonly protocol_revision?: string;
  readonly backend?: string;
  readonly issuer?: string;
  readonly subject?: string;
  readonly client_id?: string;
  /** Who acts for the subject, the most recent first; ours as soon as we delegated. */
  readonly actor?: string[];
  readonly token_id?: string;
  readonly audience?: string;
  readonly scope?: string;
  readonly delegation_token_id?: string;
  readonly revision?: string;
  readonly trace_id?: string;
  readonly request_id?: string;
}

/** Names come from callers: long ones are cut, so that a line stays a line. */
const MAX_NAME = 256;

export function decisionRecord({ outcome, reason, answer, facts, read }: Verdict): DecisionRecord {
  const { operation, principal, outbound, delegation, http } = facts;
  const actor = principal === null ? [] : principal.actor.map(({ sub }) => sub);
  if (delegation !== null) actor.unshift(delegation.actor);
  const record: Record<string, unknown> = { decision_id: facts.decisionId, decision: outcome, reason };
  const add = (name: string, value: unknown): void => {
    if (value !== null && value !== undefined && value !== '')
      record[name] = typeof value === 'string' ? value.slice(0, MAX_NAME) : value;
  };
  if (answer.kind === 'respond') add('status', answer.response.status);
  add('method', operation?.kind === 'response' ? 'response' : (operation?.method ?? read?.method ?? http.method));
  add('tool', operation?.tool);
  if (operation !== null && operation.tool === null && operation.targets.length > 0) {
    add(
      'targets',
      operation.targets.slice(0, 16).map(({ type, name }) => `${type}:${name.slice(0, MAX_NAME)}`),
    );
  }
  add('era', operation?.era);
  add('protocol_revision', operation?.revision);
  add('backend', facts.resource?.name);
  add('issuer', principal?.issuer);
  add('subject', principal?.subject);
  add('client_id', principal?.clientId);
  if (actor.length > 0) add('actor', actor);
  add('token_id', principal?.tokenId);
  add('audience', outbound?.audience);
  add('scope', outbound?.scopes.join(' '));
  add('delegation_token_id', delegation?.tokenId);
  add('revision', facts.revision);
  add('trace_id', http.traceId);
  add('request_id', http.requestId);
  return record as unknown as DecisionRecord;
}
