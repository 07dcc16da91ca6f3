/** A plan's facts as the code that judged the request had them; the body stayed with Envoy. */
import { type Facts, newFacts } from '../check/authorize.ts';
import type { PlanFacts } from '../check/plan.ts';
import type { HttpFacts } from '../http.ts';
import type { Resource } from '../resource.ts';

export function httpOf({ http }: PlanFacts): HttpFacts {
  return { ...http, headers: new Map(http.headers), body: new Uint8Array(0) };
}

/** For a verdict about what came of it, under an id of its own; the request id joins it with the Check. */
export function factsOf(plan: PlanFacts, entrance: Resource, resource: Resource, decisionId: string): Facts {
  return { ...newFacts(httpOf(plan), decisionId), entrance, resource, operation: plan.operation, principal: plan.principal };
}
