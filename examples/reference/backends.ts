/**
 * The MCP servers behind the reference gateway, as the authorization server sees them: each has front doors (the public
 * URLs that clients name as `resource`, RFC 8707), one internal audience that only delegation tokens carry, and one
 * delegation scope for each tool.
 */
import { employeeDirectoryTools } from './employee-directory-tools.ts';
import { enterpriseLedgerTools } from './enterprise-ledger-tools.ts';

export type Backend = {
  readonly name: string;
  /** `aud` of the delegation tokens for this backend. */
  readonly audience: string;
  /** Public URLs of this backend: `aud` of the access tokens that clients hold. */
  readonly frontDoors: readonly string[];
  readonly tools: readonly string[];
};

/** What a client can ask for at any front door. */
export const frontDoorScopes: readonly string[] = ['ledger:read', 'ledger:write', 'pii:read', 'audit:read', 'directory:read'];

/** The scope of a delegation token for everything that is not a tool call: initialize, lists, notifications, GET … */
export function protocolScope(backend: string): string {
  return `${backend}:protocol`;
}

/** The scope of a delegation token for one tool. */
export function toolScope(backend: string, tool: string): string {
  return `${backend}:${tool}`;
}

/** Every scope a delegation token for this backend can have. */
export function delegationScopes(backend: Backend): string[] {
  return [protocolScope(backend.name), ...backend.tools.map((tool) => toolScope(backend.name, tool))];
}

/** Both backends, reachable under each of the given origins, e.g. `https://localhost:8443`. */
export function referenceBackends(origins: readonly string[]): Backend[] {
  const backend = (name: string, tools: readonly { readonly name: string }[]): Backend => ({
    name,
    audience: `https://${name}.internal/mcp`,
    // Its own, and the one that it shares with the others.
    frontDoors: origins.flatMap((origin) => [`/${name}/mcp`, '/mcp'].map((path) => new URL(path, origin).href)),
    tools: tools.map((tool) => tool.name),
  });
  return [backend('enterprise-ledger', enterpriseLedgerTools), backend('employee-directory', employeeDirectoryTools)];
}
