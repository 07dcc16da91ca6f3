/**
 * The clients registered at the reference authorization server: two agents that call MCP servers, and the gateway that
 * exchanges their tokens. An agent is only an entry in this list; nothing else knows it.
 */
import type { JWK } from 'jose';
import type { ClientMetadata } from 'oidc-provider';
import { TOKEN_EXCHANGE } from './token-exchange.ts';

/** How the gateway proves who it is: with a signed assertion (RFC 7523) or with a secret. */
export type GatewayCredential = { readonly publicJwk: JWK } | { readonly secret: string };

export type ClientOptions = {
  readonly agentCoreSecret: string;
  readonly agentCoreRedirectUris: readonly string[];
  readonly gateway: GatewayCredential;
};

/** What a client may be granted when it acts for itself; other scopes it asks for are dropped. */
export const clientCredentialsScopes: Readonly<Record<string, readonly string[]>> = {
  'bedrock-agentcore': ['ledger:read', 'directory:read'],
  'ai-identity-gateway': ['catalog:read'],
};

/** Client metadata as in RFC 7591. */
export function createClients({ agentCoreSecret, agentCoreRedirectUris, gateway }: ClientOptions): ClientMetadata[] {
  return [
    {
      client_id: 'bedrock-agentcore',
      client_name: 'AWS Bedrock AgentCore',
      client_secret: agentCoreSecret,
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['client_credentials', 'authorization_code'],
      response_types: ['code'],
      redirect_uris: [...agentCoreRedirectUris],
    },
    {
      client_id: 'claude-code',
      client_name: 'Claude Code',
      // A native app: its loopback redirect URI may have any port (RFC 8252 section 7.3).
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: ['http://127.0.0.1/callback', 'http://localhost/callback'],
    },
    {
      client_id: 'ai-identity-gateway',
      client_name: 'AI identity gateway',
      // In its own name it asks the backends for their lists.
      grant_types: [TOKEN_EXCHANGE, 'client_credentials'],
      response_types: [],
      redirect_uris: [],
      ...gatewayAuthentication(gateway),
    },
  ];
}

function gatewayAuthentication(credential: GatewayCredential) {
  return 'secret' in credential
    ? { token_endpoint_auth_method: 'client_secret_basic' as const, client_secret: credential.secret }
    : { token_endpoint_auth_method: 'private_key_jwt' as const, jwks: { keys: [credential.publicJwk] } };
}
