/**
 * Dynamic client registration (RFC 7591) that registers nobody: whoever asks with redirect URIs that are allowed is told the
 * one public client that was registered at the authorization server beforehand. Nothing is kept, and nothing secret is said.
 *
 * Refused: redirect URIs that are not exactly those of the configuration (a loopback one may have any port, RFC 8252 section
 * 7.3), clients that cannot use the authorization code, and bodies that are not strict JSON.
 */

import { cut } from '../check/record.ts';
import { showUri } from '../check/shown-target.ts';
import type { HttpFacts } from '../http.ts';
import { readJson } from '../mcp/json.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import { bodyProblem } from '../mcp/operation.ts';
import { reasonRow } from '../reasons.ts';

export interface Registration {
  /** Path of the endpoint at each of our origins. */
  readonly path: string;
  readonly clientId: string;
  readonly redirectUris: readonly string[];
}

/** RFC 7591 section 3.2.2. */
interface Refusal {
  readonly error: 'invalid_redirect_uri' | 'invalid_client_metadata';
  /** For the client: never with what it sent. */
  readonly description: string;
  /** For the log only. */
  readonly cause?: string;
}

export type Registered = { readonly ok: true; readonly client: JsonObject } | { readonly ok: false; readonly refusal: Refusal };

const LIMITS = { maxBytes: 16_384, maxDepth: 16, maxMembers: 64 };
const MAX_REDIRECT_URIS = 16;
const GRANTS = ['authorization_code', 'refresh_token'];

export function registerClient(http: HttpFacts, { clientId, redirectUris }: Registration): Registered {
  const problem = bodyProblem(http);
  if (problem !== null) return invalid(reasonRow(problem).message);
  const document = readJson(http.body, LIMITS);
  if (!document.ok) return invalid(reasonRow(document.denial.reason).message);
  const metadata = document.value.value;
  if (!isObject(metadata)) return invalid('The body is not a JSON object.');

  const asked = metadata.redirect_uris;
  if (!isTexts(asked) || asked.length === 0 || asked.length > MAX_REDIRECT_URIS)
    return refuse('invalid_redirect_uri', `Send 1 to ${MAX_REDIRECT_URIS} redirect_uris.`);
  const stranger = asked.find((uri) => !redirectUris.some((allowed) => isSameRedirect(uri, allowed)));
  if (stranger !== undefined)
    return refuse(
      'invalid_redirect_uri',
      'One of the redirect_uris is not allowed here.',
      `not allowed: ${cut(showUri(stranger))}`,
    );

  const { grant_types: grants = ['authorization_code'], response_types: types = ['code'] } = metadata;
  if (!isTexts(grants) || !grants.includes('authorization_code'))
    return invalid('Only clients that use the grant type authorization_code can register.');
  if (!isTexts(types) || !types.includes('code')) return invalid('Only clients that use the response type code can register.');

  return {
    ok: true,
    // What was asked for otherwise is replaced, as RFC 7591 section 3.2.1 allows: this is what is registered.
    client: {
      client_id: clientId,
      redirect_uris: asked,
      token_endpoint_auth_method: 'none',
      grant_types: GRANTS.filter((grant) => grants.includes(grant)),
      response_types: ['code'],
    },
  };
}

const LOOPBACK = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost))(?::(\d{1,5}))?((?:[/?].*)?)$/s;

/** By the very text, so that no two parsers can disagree; of a loopback URI without its port. */
export function isSameRedirect(asked: string, allowed: string): boolean {
  if (asked === allowed) return true;
  const [one, other] = [LOOPBACK.exec(asked), LOOPBACK.exec(allowed)];
  if (one === null || other === null) return false;
  return one[1] === other[1] && one[3] === other[3] && Number(one[2] ?? 80) <= 65_535;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function invalid(description: string): Registered {
  return refuse('invalid_client_metadata', description);
}

function refuse(error: Refusal['error'], description: string, cause = description): Registered {
  return { ok: false, refusal: { error, description, cause } };
}
