/**
 * How the reference authorization server is set up: MCP front doors as resource servers (RFC 8707), JWT access tokens
 * (RFC 9068), PKCE for everyone, users who can only be granted what their account allows. Every function whose default
 * oidc-provider would warn about is given.
 */
import type { ClientMetadata, Configuration, KoaContextWithOIDC, ResourceServer } from 'oidc-provider';
import { findAccount } from './accounts.ts';
import { type Backend, frontDoorScopes } from './backends.ts';
import { createMemoryAdapter } from './memory-adapter.ts';
import { clientCredentialsScopes } from './oauth-clients.ts';
import { errors, interactionPolicy } from './oidc-provider.ts';
import { signInPath } from './sign-in-form.ts';
import { type SigningKey, signingAlgorithm } from './signing-key.ts';

const minute = 60;
const day = 24 * 60 * minute;

export type ProviderOptions = {
  readonly backends: readonly Backend[];
  readonly clients: readonly ClientMetadata[];
  /** Asked for each token. */
  readonly accessTokenSeconds: () => number;
  readonly cookieSecret: string;
};

/** Everything but the signing keys, which can change while the server runs. */
export function createConfiguration(options: ProviderOptions): Omit<Configuration, 'jwks'> {
  const { backends, clients, accessTokenSeconds, cookieSecret } = options;
  return {
    adapter: createMemoryAdapter(),
    clients,
    clientAuthMethods: ['none', 'client_secret_basic', 'private_key_jwt'],
    clientBasedCORS: () => false,
    clientDefaults: { id_token_signed_response_alg: signingAlgorithm },
    cookies: { keys: [cookieSecret] },
    expiresWithSession: async () => false,
    extraTokenClaims: (_ctx, token) => tokenClaims('accountId' in token ? token.accountId : undefined),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_ctx, _client, oneOf) => requireResource(oneOf),
        getResourceServerInfo: (ctx, resource, client) => frontDoor(backends, resource, offeredScopes(ctx, client.clientId)),
        useGrantedResource: () => true,
      },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
    },
    findAccount: (_ctx, username) => oidcAccount(username),
    interactions: { policy: signInOnly(), url: (_ctx, { uid }) => signInPath(uid) },
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    loadExistingGrant: grantWhatTheAccountAllows,
    pkce: { required: () => true },
    renderError: (ctx, { error, error_description }) => {
      ctx.type = 'text';
      ctx.body = `${error}: ${error_description ?? ''}\n`;
    },
    responseTypes: ['code'],
    scopes: ['openid'],
    ttl: {
      AccessToken: accessTokenSeconds,
      AuthorizationCode: minute,
      ClientCredentials: accessTokenSeconds,
      Grant: day,
      IdToken: accessTokenSeconds,
      Interaction: 10 * minute,
      RefreshToken: day,
      Session: day,
    },
  };
}

/** The configuration of the key set; the first key signs. */
export function keySet(keys: readonly SigningKey[]): NonNullable<Configuration['jwks']> {
  return { keys: keys.map(({ privateJwk }) => privateJwk) };
}

/** Sign-in is the only interaction: without the consent prompt, a grant is whatever loadExistingGrant says. */
function signInOnly() {
  const policy = interactionPolicy.base();
  policy.remove('consent');
  return policy;
}

/** A token for nowhere in particular would be of no use here: MCP clients must name the resource. */
function requireResource(oneOf: readonly string[] | undefined): string[] {
  if (oneOf === undefined) throw new errors.InvalidTarget('the resource parameter is required');
  return [...oneOf];
}

/** What the client could be granted at all; the user's account narrows it further. */
function offeredScopes(ctx: KoaContextWithOIDC, clientId: string): readonly string[] {
  const actsForItself = ctx.oidc.params?.grant_type === 'client_credentials';
  return actsForItself ? (clientCredentialsScopes[clientId] ?? []) : frontDoorScopes;
}

function frontDoor(backends: readonly Backend[], resource: string, scopes: readonly string[]): ResourceServer {
  if (!backends.some(({ frontDoors }) => frontDoors.includes(resource))) throw new errors.InvalidTarget();
  return {
    audience: resource,
    scope: scopes.join(' '),
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: signingAlgorithm } },
  };
}

/** A grant for this request with every requested scope that the account allows; the others are dropped from it. */
async function grantWhatTheAccountAllows({ oidc }: KoaContextWithOIDC) {
  const { account, client } = oidc;
  if (!account || !client) return undefined;
  const allowed = findAccount(account.accountId)?.scopes ?? [];
  const granted = [...oidc.requestParamScopes].filter((scope) => allowed.includes(scope));
  const grant = new oidc.provider.Grant({ accountId: account.accountId, clientId: client.clientId });
  grant.addOIDCScope([...oidc.requestParamOIDCScopes]);
  for (const resource of Object.keys(oidc.resourceServers ?? {})) {
    grant.addResourceScope(resource, granted);
  }
  await grant.save();
  return grant;
}

/** Roles for the policy: a user's own, or those of an agent that acts for itself. */
function tokenClaims(username: string | undefined) {
  if (username === undefined) return { roles: ['agent'] };
  const account = findAccount(username);
  return { roles: [...(account?.roles ?? [])], tenant: account?.tenant };
}

function oidcAccount(username: string) {
  const account = findAccount(username);
  if (!account) return undefined;
  const { roles, tenant } = account;
  return { accountId: username, claims: () => ({ sub: username, roles: [...roles], tenant }) };
}
