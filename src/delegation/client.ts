/**
 * Token exchange over HTTP: client authentication (RFC 6749, RFC 7523) through oauth4webapi, a deadline from Envoy's, and
 * the verdict on what came back. One operation, one exchange: nothing is kept and nothing is shared.
 */
import * as oauth from 'oauth4webapi';
import { inTime } from '../deadline.ts';
import { type Fetch, isSafeUrl } from '../http-client.ts';
import { type Reason, reasonRow } from '../reasons.ts';
import { deny, type Result } from '../result.ts';
import type { Principal } from '../token/principal.ts';
import type { Delegate, Delegation, DelegationRequest } from './delegation.ts';
import { type ExchangeRules, exchangeParameters, GRANT_TYPE, issuedToken, judge } from './exchange.ts';

export interface ExchangeOptions {
  /** Metadata of the authorization server; throws while it cannot be had. */
  readonly metadata: () => Promise<oauth.AuthorizationServer>;
  readonly clientId: string;
  readonly clientAuthentication: oauth.ClientAuth;
  readonly fetch: Fetch;
  /** Signature and registered claims of what came back, by the keys of the same server. */
  readonly verify: (token: string) => Promise<Result<Principal>>;
  readonly rules: ExchangeRules;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** Errors of the token endpoint (RFC 6749 section 5.2, RFC 8693 section 2.2.2) that say no to this caller or target. */
const REFUSALS = new Set(['invalid_grant', 'invalid_target', 'invalid_scope', 'invalid_request', 'access_denied']);

export function createExchange(options: ExchangeOptions): Delegate {
  const { rules, now } = options;

  return async function exchange(request: DelegationRequest): Promise<Result<Delegation>> {
    const remainingMs = request.deadlineMs - now();
    if (!(remainingMs >= 1)) return deny({ reason: 'exchange_timeout' });
    const end = new AbortController();
    return inTime(attempt(request, end.signal), Math.ceil(remainingMs), () => {
      end.abort();
      return deny({ reason: 'exchange_timeout', cause: 'the deadline of the Check came first' });
    });
  };

  async function attempt(request: DelegationRequest, signal: AbortSignal): Promise<Result<Delegation>> {
    try {
      const response = await ask(request, signal);
      if (!response.ok) return response;
      const token = issuedToken(response.value, request);
      if (!token.ok) return token;
      const issued = await options.verify(token.value);
      if (!issued.ok) return deny({ reason: unusable(issued.denial.reason), cause: issued.denial.reason });
      return judge(token.value, issued.value, request, rules, now());
    } catch (cause) {
      const timedOut = cause instanceof Error && cause.name === 'TimeoutError';
      return deny({ reason: timedOut ? 'exchange_timeout' : 'exchange_unavailable', cause });
    }
  }

  async function ask(request: DelegationRequest, signal: AbortSignal): Promise<Result<unknown>> {
    const server = await options.metadata();
    const response = await oauth.genericTokenEndpointRequest(
      server,
      { client_id: options.clientId },
      options.clientAuthentication,
      GRANT_TYPE,
      exchangeParameters(request),
      { signal, [oauth.customFetch]: options.fetch as never, [oauth.allowInsecureRequests]: isOnThisHost(server) },
    );
    const body: unknown = await response.json().catch(() => null);
    if (response.status === 200) return { ok: true, value: body };
    const error = (body as { error?: unknown } | null)?.error;
    const code = typeof error === 'string' && /^[a-z_]{1,64}$/.test(error) ? error : 'none';
    const cause = `the token endpoint answered ${response.status}, error ${code}`;
    return deny({ reason: response.status < 500 && REFUSALS.has(code) ? 'exchange_refused' : 'exchange_unavailable', cause });
  }
}

/** A token that must not be used, unless it is our checking that is broken. */
function unusable(reason: Reason): Reason {
  return reasonRow(reason).outcome === 'error' ? 'exchange_unavailable' : 'exchange_invalid';
}

/** Plain http is for an authorization server on this very host; any other must not name such an endpoint. */
function isOnThisHost({ issuer, token_endpoint: endpoint = '' }: oauth.AuthorizationServer): boolean {
  return issuer.startsWith('http:') && isSafeUrl(endpoint);
}
