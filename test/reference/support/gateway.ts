/**
 * The gateway, played by hand: it exchanges an access token for a delegation token, and puts a fresh one on every
 * request of an MCP client, as Envoy with the sidecar would.
 */
import * as oauth from 'oauth4webapi';
import { neededScope } from '../../../examples/reference/delegation-guard.ts';
import { TOKEN_EXCHANGE } from '../../../examples/reference/token-exchange.ts';

export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

export type Exchange = (parameters: Record<string, string> | string[][]) => Promise<Response>;

const gateway = { client_id: 'ai-identity-gateway' };
const http = { [oauth.allowInsecureRequests]: true };

/** Sends exactly these parameters to the token endpoint, authenticated as the gateway. */
export function createExchange(issuer: string, authentication: oauth.ClientAuth): Exchange {
  const server = { issuer, token_endpoint: `${issuer}/token` };
  return (parameters) =>
    oauth.genericTokenEndpointRequest(server, gateway, authentication, TOKEN_EXCHANGE, new URLSearchParams(parameters), http);
}

/** A delegation token for one scope of one backend. */
export async function delegate(exchange: Exchange, subjectToken: string, audience: string, scope: string) {
  const response = await exchange({
    subject_token: subjectToken,
    subject_token_type: ACCESS_TOKEN,
    audience,
    scope,
  });
  const { access_token, error } = (await response.json()) as { access_token?: string; error?: string };
  if (access_token === undefined) throw new Error(`exchange failed: ${error}`);
  return access_token;
}

/** A fetch that exchanges before every request, for exactly what the request does. */
export function delegatingFetch(exchange: Exchange, subjectToken: string, backend: string): typeof fetch {
  return async (input, init) => {
    const message = typeof init?.body === 'string' ? JSON.parse(init.body) : undefined;
    const audience = `https://${backend}.internal/mcp`;
    const token = await delegate(exchange, subjectToken, audience, neededScope(backend, message));
    const headers = new Headers(init?.headers);
    headers.set('Authorization', `Bearer ${token}`);
    return fetch(input, { ...init, headers });
  };
}
