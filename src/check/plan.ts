/**
 * What a Check decided and Envoy cannot carry out by itself: to rename, to filter a list, to bind a session, to answer in
 * the name of several backends. It travels sealed in a request header to whoever does it, ext_proc or the front door.
 *
 * Only they take the delegation token out of it. Where Envoy was not told to ask them the backend gets no token: what is
 * not processed does not work, rather than pass unprocessed.
 */
import type { HeaderLine, HttpFacts } from '../http.ts';
import type { Operation } from '../mcp/operation.ts';
import { MAX_SEALED, type Sealer } from '../seal.ts';
import type { Principal } from '../token/principal.ts';
import type { Session } from './session.ts';

export const PLAN_HEADER = 'x-mcp-plan';
/** Names the cluster that Envoy sends the request to, where the choice is ours. */
export const BACKEND_HEADER = 'x-mcp-backend';

/** Puts `to` where `from` stands in the body; offsets in bytes. Both as they stand in JSON, without quotes of theirs. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly from: string;
  readonly to: string;
}

/** The request as far as a policy, a line in the log or an answer needs it afterwards; never its body or its token. */
export interface PlanFacts {
  readonly decisionId: string;
  /** Name of the resource at which it came in. */
  readonly resource: string;
  readonly http: Omit<HttpFacts, 'headers' | 'body'> & { readonly headers: readonly (readonly [string, readonly string[]])[] };
  /** Without arguments. */
  readonly operation: Operation;
  readonly principal: Principal;
}

/** For ext_proc: what to do with one request to one backend and with its answer. */
export interface ProcessingPlan {
  readonly kind: 'process';
  /** Epoch milliseconds. */
  readonly expiresAt: number;
  readonly facts: PlanFacts;
  readonly backend: string;
  /** The delegation token, and what else the backend is to get. */
  readonly set: readonly HeaderLine[];
  readonly splice: Splice | null;
  /** The answer is a list, or may repeat one, of which the caller sees what it may use. */
  readonly filtersList: boolean;
  /** The answer begins a session, whose id is bound to the principal. */
  readonly bindsSession: boolean;
  /** Ids of tasks in the answer are bound to the principal. */
  readonly sealsTasks: boolean;
  /** Ids of the backend's own requests and of its events get this in front, so that replies find their way back. */
  readonly marks: string | null;
}

/** For the front door: one request that concerns several backends, or that one of them needs put differently. */
export interface VisitPlan {
  readonly kind: 'visit';
  readonly expiresAt: number;
  readonly facts: PlanFacts;
  readonly subjectToken: string;
  readonly bodySha256: string;
  readonly session: Session | null;
}

export type Plan = ProcessingPlan | VisitPlan;

/** From a Check to the body's last byte at the other filter; Envoy holds the request meanwhile. */
export const PLAN_LIFETIME_MS = 60_000;

/** Throws where it could not be opened again. */
export function sealPlan(sealer: Sealer, plan: Plan): string {
  const sealed = sealer.seal('plan', plan);
  if (sealed.length > MAX_SEALED) throw new Error('the plan is too large for a header: a token with very large claims');
  return sealed;
}

/** Null: none of ours, of the other kind, or too old. */
export function openPlan<K extends Plan['kind']>(
  sealer: Sealer,
  kind: K,
  sealed: string,
  nowMs: number,
): Extract<Plan, { kind: K }> | null {
  const plan = sealer.open('plan', sealed) as Plan | undefined;
  if (plan?.kind !== kind || plan.expiresAt < nowMs) return null;
  return plan as Extract<Plan, { kind: K }>;
}
