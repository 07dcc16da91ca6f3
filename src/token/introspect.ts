/**
 * Token introspection (RFC 7662), for access tokens that only their issuer can read. The answer is judged by the same rules
 * as the claims of a JWT; what it leaves out (issuer, time of issue) is taken from where it was asked.
 */
import * as oauth from 'oauth4webapi';
import { type Fetch, isSafeUrl } from '../http-client.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import { deny, type Result } from '../result.ts';
import type { Principal } from './principal.ts';
import { admit, type IssuerRules } from './verify.ts';

export interface IntrospectionOptions {
  readonly rules: IssuerRules;
  /** Metadata of the issuer; throws while it cannot be had. */
  readonly metadata: () => Promise<oauth.AuthorizationServer>;
  readonly clientId: string;
  readonly clientAuthentication: oauth.ClientAuth;
  readonly fetch: Fetch;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** Asks about one token. */
export type Introspect = (token: string) => Promise<Result<Principal>>;

export function createIntrospection(options: IntrospectionOptions): Introspect {
  const { rules, now } = options;

  return async function introspect(token: string): Promise<Result<Principal>> {
    let answer: unknown;
    try {
      answer = await ask(token);
    } catch (cause) {
      return deny({ reason: 'introspection_unavailable', cause });
    }
    if (!isObject(answer) || typeof answer.active !== 'boolean') {
      return deny({ reason: 'introspection_unavailable', cause: 'the answer is no introspection response' });
    }
    return answer.active ? judge(answer) : deny({ reason: 'token_inactive' });
  };

  async function ask(token: string): Promise<unknown> {
    const client = { client_id: options.clientId };
    const server = await options.metadata();
    const response = await oauth.introspectionRequest(server, client, options.clientAuthentication, token, {
      additionalParameters: { token_type_hint: 'access_token' },
      [oauth.customFetch]: options.fetch as never,
      [oauth.allowInsecureRequests]: isSafeUrl(server.introspection_endpoint ?? ''),
    });
    if (response.status !== 200) throw new TypeError(`the introspection endpoint answered ${response.status}`);
    return response.json();
  }

  function judge({ active: _active, ...answer }: JsonObject): Result<Principal> {
    const seconds = Math.floor(now() / 1000);
    const claims: JsonObject = { ...answer, iss: answer.iss ?? rules.issuer, iat: answer.iat ?? seconds };
    if (claims.iss !== rules.issuer) return deny({ reason: 'token_issuer_unknown' });
    // A server may answer for refresh tokens too (RFC 7662 section 2.1); they have another type, or none.
    if (String(answer.token_type).toLowerCase() !== 'bearer') return deny({ reason: 'token_type_wrong' });
    if (!Number.isSafeInteger(claims.exp)) return deny({ reason: 'token_claims_invalid', cause: 'claim exp' });
    if ((claims.exp as number) + rules.clockToleranceSeconds <= seconds) return deny({ reason: 'token_expired' });
    return admit(claims, rules, now());
  }
}
