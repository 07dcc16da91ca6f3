/**
 * One trusted issuer: its metadata (RFC 8414, OpenID Connect Discovery) and its keys.
 * The metadata must name the issuer that was configured; a `jwks_uri` from the configuration needs no discovery.
 */
import * as oauth from 'oauth4webapi';
import { type Fetch, isSafeUrl } from '../http-client.ts';
import { createKeySet, type KeySet, type KeySetOptions } from './jwks.ts';

export interface IssuerOptions
  extends Pick<KeySetOptions, 'now' | 'cooldownMs' | 'maxAgeMs' | 'maxStaleMs' | 'before' | 'onFetch'> {
  readonly issuer: string;
  readonly jwksUri?: string | undefined;
  readonly fetch: Fetch;
}

export interface Issuer {
  readonly issuer: string;
  readonly keySet: KeySet;
  /** The authorization server metadata, fetched once and again after keys could not be. Throws while it cannot be had. */
  readonly metadata: () => Promise<oauth.AuthorizationServer>;
}

export function createIssuer(options: IssuerOptions): Issuer {
  let known: oauth.AuthorizationServer | null = null;
  let pending: Promise<oauth.AuthorizationServer> | null = null;

  function metadata(): Promise<oauth.AuthorizationServer> {
    if (known !== null) return Promise.resolve(known);
    pending ??= discover(options.issuer, options.fetch)
      .then((found) => {
        known = found;
        return found;
      })
      .finally(() => {
        pending = null;
      });
    return pending;
  }

  async function fetchKeys(): Promise<unknown> {
    const uri = options.jwksUri ?? (await metadata()).jwks_uri;
    if (uri === undefined || !isSafeUrl(uri)) throw new TypeError('the metadata names no https jwks_uri');
    try {
      const response = await options.fetch(uri);
      if (response.status !== 200) throw new TypeError(`the key set answered ${response.status}`);
      return await response.json();
    } catch (cause) {
      // The keys may have moved: the next fetch asks where they are.
      known = null;
      throw cause;
    }
  }

  return { issuer: options.issuer, keySet: createKeySet({ ...options, fetchKeys }), metadata };
}

/** RFC 8414 first, then OpenID Connect: many servers have only one of the two. */
export async function discover(issuer: string, fetch: Fetch): Promise<oauth.AuthorizationServer> {
  const identifier = new URL(issuer);
  const problems: unknown[] = [];
  for (const algorithm of ['oauth2', 'oidc'] as const) {
    try {
      const response = await oauth.discoveryRequest(identifier, {
        algorithm,
        [oauth.customFetch]: fetch as never,
        [oauth.allowInsecureRequests]: isSafeUrl(issuer),
      });
      const found = await oauth.processDiscoveryResponse(identifier, response);
      if (found.issuer !== issuer) throw new TypeError(`the metadata names another issuer: ${found.issuer}`);
      return found;
    } catch (problem) {
      problems.push(problem);
    }
  }
  throw new AggregateError(problems, `no metadata for ${issuer}`);
}
