/**
 * `WWW-Authenticate` values (RFC 6750 section 3, RFC 9728 section 5.1), in the order that MCP clients can read:
 * they take the first match of each name, so error, scope and resource_metadata stand before error_description.
 */
import type { PublicName } from '../resource.ts';

export interface Challenge {
  readonly error: 'invalid_token' | 'insufficient_scope' | null;
  readonly scopes: readonly string[];
  readonly description: string;
}

export function challengeHeader(challenge: Challenge, name: PublicName): string {
  const parameters = [
    challenge.error === null ? null : `error="${challenge.error}"`,
    challenge.scopes.length === 0 ? null : `scope="${challenge.scopes.join(' ')}"`,
    `resource_metadata="${name.metadataUrl}"`,
    challenge.error === null ? null : `error_description="${plain(challenge.description)}"`,
  ];
  return `Bearer ${parameters.filter((one) => one !== null).join(', ')}`;
}

/** Clients do not unescape, and some search the text for `scope=`: leave nothing to misread (RFC 6750 section 3). */
function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '').replace(/["\\=]/g, "'");
}
