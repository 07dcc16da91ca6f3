/** The people and the agent of the reference deployment, with tokens from its real authorization server; each is asked for once. */
import { type AuthorizationServer, agentCoreRedirectUri } from '../../examples/reference/authorization-server.ts';
import { clientCredentials, signIn } from '../../examples/reference/sign-in.ts';

export const CALLERS = ['alice', 'bob', 'carol', 'agent', 'alice-through-agent'] as const;

export type Caller = (typeof CALLERS)[number];

export const ALL_SCOPES = 'ledger:read ledger:write pii:read audit:read directory:read';

export type TokenOf = (caller: Caller, resource: string, scope?: string) => Promise<string>;

export function createCallers(server: AuthorizationServer): TokenOf {
  const tokens = new Map<string, Promise<string>>();

  async function obtain(caller: Caller, resource: string, scope?: string): Promise<string> {
    const { issuer, agentCoreSecret: clientSecret, passwords } = server;
    const agent = { issuer, clientId: 'bedrock-agentcore', clientSecret, resource };
    if (caller === 'agent')
      return (await clientCredentials({ ...agent, scope: scope ?? 'ledger:read directory:read' })).access_token;
    const user = (username: string) => ({ username, password: passwords[username] ?? '', scope: scope ?? ALL_SCOPES });
    const answer =
      caller === 'alice-through-agent'
        ? await signIn({ ...agent, ...user('alice'), redirectUri: agentCoreRedirectUri })
        : await signIn({ issuer, clientId: 'claude-code', resource, ...user(caller) });
    return answer.access_token;
  }

  return (caller, resource, scope) => {
    const key = `${caller} ${resource} ${scope ?? ''}`;
    const known = tokens.get(key) ?? obtain(caller, resource, scope);
    tokens.set(key, known);
    return known;
  };
}
