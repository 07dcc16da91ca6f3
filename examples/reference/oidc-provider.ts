/**
 * The parts of oidc-provider that the reference server uses, without the package's front door: that one writes an
 * "Unsupported runtime" warning on every Node whose build does not call itself LTS (the npm build of Node 26 does not),
 * and nothing can be configured against it. Everything else the package warns about is a default left in place, and
 * provider-configuration.ts leaves none. The package has no `exports` map and its version is pinned.
 */
import type { errors as Errors, interactionPolicy as InteractionPolicy, Provider as ProviderClass } from 'oidc-provider';

const part = (path: string) => import(`oidc-provider/lib/${path}`);

export const { Provider }: { Provider: typeof ProviderClass } = await part('provider.js');
export const errors: typeof Errors = await part('helpers/errors.js');
export const interactionPolicy: typeof InteractionPolicy = await part('helpers/interaction_policy/index.js');
