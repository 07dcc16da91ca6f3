/**
 * A verdict as Envoy is told of it. Status and answer are one value and always there: an empty CheckResponse would be an
 * allow. A refusal is a denied response with its own status and body, never a gRPC error.
 */
import type { Answer, Verdict } from '../check/authorize.ts';
import type { DecisionRecord } from '../check/record.ts';

export interface CheckResponse {
  /** google.rpc.Code: 0 lets the request go on. */
  readonly code: number;
  readonly answer: Answer;
  /** Dynamic metadata, in Envoy's namespace envoy.filters.http.ext_authz. */
  readonly metadata: DecisionRecord;
}

const OK = 0;
const PERMISSION_DENIED = 7;
const UNAUTHENTICATED = 16;

export function toCheckResponse({ answer }: Pick<Verdict, 'answer'>, metadata: DecisionRecord): CheckResponse {
  return { code: codeOf(answer), answer, metadata };
}

function codeOf(answer: Answer): number {
  if (answer.kind === 'forward') return OK;
  return answer.response.status === 401 ? UNAUTHENTICATED : PERMISSION_DENIED;
}
