/** The façade from its configuration: which resources it stands before, and where the real metadata comes from. */
import type { Config } from '../config.ts';
import { createFacade, type Facade } from '../facade/facade.ts';
import { createMetadataSource } from '../facade/source.ts';
import type { Fetch } from '../http-client.ts';
import type { Resource } from '../resource.ts';
import { discover } from '../token/issuer.ts';

/** Null where it is not configured. */
export function openFacade(
  { authorizationServerFacade: given }: Config,
  resources: readonly Resource[],
  fetch: Fetch,
): Facade | null {
  if (given === undefined) return null;
  const { issuer, resource, registration = null } = given;
  const accepting = resources.filter(({ issuers }) => issuers.has(issuer));
  return createFacade({
    resources: [...accepting.filter(({ name }) => name === resource), ...accepting.filter(({ name }) => name !== resource)],
    metadata: createMetadataSource({ discover: () => discover(issuer, fetch), clock: () => performance.now() }),
    addsResource: given.addResourceParameter,
    registration,
    now: Date.now,
  });
}
