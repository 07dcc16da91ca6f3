/** Protected resource metadata (RFC 9728 section 2) of one public name of a resource. */
import type { PublicName, Resource } from '../resource.ts';

export function resourceMetadata(resource: Resource, name: PublicName): Record<string, unknown> {
  return {
    resource: name.url,
    authorization_servers: [...resource.issuers],
    ...(resource.scopesSupported.length > 0 ? { scopes_supported: resource.scopesSupported } : {}),
    bearer_methods_supported: ['header'],
    resource_name: resource.name,
    ...(resource.documentation === null ? {} : { resource_documentation: resource.documentation }),
  };
}
