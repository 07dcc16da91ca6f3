/**
 * The gateway's own access token, where it asks a backend something itself (RFC 6749 section 4.4, RFC 8707): the subject
 * token of the exchanges for those requests. Kept until shortly before it ends; a delegation token never is.
 */
import * as oauth from 'oauth4webapi';
import { type Fetch, isSafeUrl } from '../http-client.ts';
import { isObject } from '../mcp/message.ts';
import { deny, ok, type Result } from '../result.ts';
import type { Principal } from '../token/principal.ts';

export interface OwnTokenOptions {
  /** Metadata of the authorization server; throws while it cannot be had. */
  readonly metadata: () => Promise<oauth.AuthorizationServer>;
  readonly clientId: string;
  readonly clientAuthentication: oauth.ClientAuth;
  readonly fetch: Fetch;
  readonly verify: (token: string) => Promise<Result<Principal>>;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

export interface OwnToken {
  readonly subjectToken: string;
  readonly principal: Principal;
}

/** What a token is asked for; one for each. */
export interface OwnTokenRequest {
  readonly resource: string;
  readonly scopes: readonly string[];
}

/** Not used in its last moments, so that an exchange does not meet its end. */
const SPARE_MS = 10_000;

export function createOwnTokens(options: OwnTokenOptions): (request: OwnTokenRequest) => Promise<Result<OwnToken>> {
  const held = new Map<string, OwnToken>();
  const pending = new Map<string, Promise<Result<OwnToken>>>();

  return async function ownToken(request: OwnTokenRequest): Promise<Result<OwnToken>> {
    const key = JSON.stringify([request.resource, request.scopes]);
    const before = held.get(key);
    if (before !== undefined && before.principal.expiresAt * 1000 - SPARE_MS > options.now()) return ok(before);
    const asking = pending.get(key) ?? obtain(request).finally(() => pending.delete(key));
    pending.set(key, asking);
    const obtained = await asking;
    if (obtained.ok) held.set(key, obtained.value);
    return obtained;
  };

  async function obtain(request: OwnTokenRequest): Promise<Result<OwnToken>> {
    try {
      const token = await ask(request);
      if (typeof token !== 'string') return unavailable(token.problem);
      const principal = await options.verify(token);
      if (!principal.ok) return unavailable(`the token cannot be used: ${principal.denial.reason}`);
      if (principal.value.clientId !== options.clientId) return unavailable('the token is for another client');
      return ok({ subjectToken: token, principal: principal.value });
    } catch (cause) {
      return deny({ reason: 'exchange_unavailable', cause });
    }
  }

  async function ask({ resource, scopes }: OwnTokenRequest): Promise<string | { problem: string }> {
    const server = await options.metadata();
    const isLocal = server.issuer.startsWith('http:') && isSafeUrl(server.token_endpoint ?? '');
    const response = await oauth.clientCredentialsGrantRequest(
      server,
      { client_id: options.clientId },
      options.clientAuthentication,
      { resource, ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }) },
      { [oauth.customFetch]: options.fetch as never, [oauth.allowInsecureRequests]: isLocal },
    );
    const body: unknown = await response.json().catch(() => null);
    if (response.status === 200 && isObject(body) && typeof body.access_token === 'string') return body.access_token;
    const error = isObject(body) && /^[a-z_]{1,64}$/.test(String(body.error)) ? String(body.error) : 'none';
    return { problem: `the token endpoint answered ${response.status}, error ${error}` };
  }
}

function unavailable(problem: string): Result<never> {
  return deny({ reason: 'exchange_unavailable', cause: `client credentials of the gateway: ${problem}` });
}
