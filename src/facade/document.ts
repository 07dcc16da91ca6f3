/**
 * Authorization server metadata (RFC 8414 section 2) of an issuer that is one of our own origins, made from the metadata of
 * the real one. Every endpoint in it is the real one's, but for registration where we answer that.
 *
 * `issuer` is ours: RFC 8414 section 3.3 has clients compare it with the URL that they started from, and drop the document
 * otherwise. What the real server signs or says under its own name is left out, since it would not agree with that:
 * `signed_metadata`, and the promise of an `iss` in authorization responses (RFC 9207). A client that compares `iss` all the
 * same refuses, as it should: it can find the real server by RFC 9728.
 *
 * Refused: metadata without an authorization and a token endpoint that are safe to send a browser and a code to.
 */
import { isSafeUrl } from '../http-client.ts';
import type { JsonObject } from '../mcp/message.ts';

export interface DocumentOptions {
  readonly issuer: string;
  /** Where clients register with us; null: where they do with the real server, if it says so. */
  readonly registrationEndpoint: string | null;
  /** Put into the query of the authorization endpoint (RFC 8707), which clients keep (RFC 6749 section 3.1). */
  readonly resource: string | null;
}

const ENDPOINTS = [
  'authorization_endpoint',
  'token_endpoint',
  'jwks_uri',
  'registration_endpoint',
  'revocation_endpoint',
  'userinfo_endpoint',
  'end_session_endpoint',
  'device_authorization_endpoint',
  'pushed_authorization_request_endpoint',
  'service_documentation',
  'op_policy_uri',
  'op_tos_uri',
];
const CAPABILITIES = [
  'scopes_supported',
  'response_types_supported',
  'response_modes_supported',
  'grant_types_supported',
  'token_endpoint_auth_methods_supported',
  'token_endpoint_auth_signing_alg_values_supported',
  'revocation_endpoint_auth_methods_supported',
  'code_challenge_methods_supported',
  'require_pushed_authorization_requests',
  'client_id_metadata_document_supported',
  'subject_types_supported',
  'id_token_signing_alg_values_supported',
  'ui_locales_supported',
];

/** Null where the real metadata is not good enough to be passed on. */
export function facadeDocument(real: JsonObject, options: DocumentOptions): JsonObject | null {
  const document: Record<string, unknown> = { issuer: options.issuer };
  for (const name of ENDPOINTS) {
    const value = real[name];
    if (typeof value === 'string' && isSafeUrl(value)) document[name] = value;
  }
  for (const name of CAPABILITIES) if (real[name] !== undefined) document[name] = real[name];
  const { authorization_endpoint: authorization, token_endpoint: token } = document;
  if (typeof authorization !== 'string' || token === undefined) return null;
  // RFC 8414 requires it, and clients read it; a server that leaves it out can hardly mean anything else.
  document.response_types_supported ??= ['code'];
  if (options.resource !== null) document.authorization_endpoint = withResource(authorization, options.resource);
  return options.registrationEndpoint === null ? document : withRegistration(document, options.registrationEndpoint);
}

function withResource(endpoint: string, resource: string): string {
  const url = new URL(endpoint);
  url.searchParams.set('resource', resource);
  return url.href;
}

/** Who registers with us is a public client, whether or not the real server lists them (Keycloak does not). */
function withRegistration(document: JsonObject, endpoint: string): JsonObject {
  const listed = document.token_endpoint_auth_methods_supported;
  const methods = Array.isArray(listed) ? listed : ['client_secret_basic'];
  return {
    ...document,
    registration_endpoint: endpoint,
    token_endpoint_auth_methods_supported: methods.includes('none') ? methods : [...methods, 'none'],
  };
}
