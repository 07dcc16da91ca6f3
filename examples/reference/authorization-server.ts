/**
 * The authorization server of the reference deployment, a real one on oidc-provider: metadata (RFC 8414 and OpenID
 * Connect), client credentials, authorization code with PKCE, refresh tokens, resource indicators (RFC 8707), JWT access
 * tokens (RFC 9068) and token exchange for the gateway (RFC 8693). Plain HTTP on loopback; everything is in memory and
 * every secret that is not given is made at random.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { createPasswords } from './accounts.ts';
import type { Backend } from './backends.ts';
import { listenOnLoopback } from './listen.ts';
import { createClients, type GatewayCredential } from './oauth-clients.ts';
import { Provider } from './oidc-provider.ts';
import { createConfiguration, keySet } from './provider-configuration.ts';
import { serveSignInForm } from './sign-in-form.ts';
import { createSigningKey, type SigningKey } from './signing-key.ts';
import { registerTokenExchange } from './token-exchange.ts';

export type AuthorizationServerOptions = {
  /** The resource servers: front doors for clients, audiences for delegation. */
  readonly backends: readonly Backend[];
  /** Default: any free port. */
  readonly port?: number;
  /** How `ai-identity-gateway` authenticates; default: a random secret. */
  readonly gateway?: GatewayCredential;
  /** Secret of `bedrock-agentcore`; default: random. */
  readonly agentCoreSecret?: string;
  readonly agentCoreRedirectUris?: readonly string[];
  /** Passwords by user name; default: random. */
  readonly passwords?: Readonly<Record<string, string>>;
  /** Lifetime of the tokens for front doors; default 300. */
  readonly accessTokenSeconds?: number;
  /** Lifetime of the tokens for backends; default 5. */
  readonly delegationSeconds?: number;
  /** How long the token endpoint waits before it works; default 0. */
  readonly tokenDelayMs?: number;
};

export type AuthorizationServer = {
  readonly issuer: string;
  readonly port: number;
  readonly jwksUri: string;
  /** Of every account, by user name. */
  readonly passwords: Readonly<Record<string, string>>;
  readonly agentCoreSecret: string;
  /** Undefined when the gateway authenticates with a key. */
  readonly gatewaySecret: string | undefined;
  /** Makes the token endpoint slow from now on. */
  readonly setTokenDelay: (milliseconds: number) => void;
  /** How long front-door tokens live from now on. */
  readonly setAccessTokenSeconds: (seconds: number) => void;
  /** Signs with a new key from now on; the old ones stay published unless they are retired. */
  readonly rotateKeys: (rotation?: { readonly retireOld?: boolean }) => Promise<void>;
  readonly stop: () => Promise<void>;
};

/** Where AgentCore Identity receives authorization codes. */
export const agentCoreRedirectUri = 'https://bedrock-agentcore.us-east-1.amazonaws.com/identities/oauth2/callback';

/** Starts the authorization server on loopback; its issuer is `http://127.0.0.1:PORT`. */
export async function startAuthorizationServer(options: AuthorizationServerOptions): Promise<AuthorizationServer> {
  const { backends, delegationSeconds = 5 } = options;
  let accessTokenSeconds = options.accessTokenSeconds ?? 300;
  const passwords = createPasswords(options.passwords);
  const agentCoreSecret = options.agentCoreSecret ?? randomSecret();
  const gateway = options.gateway ?? { secret: randomSecret() };
  const agentCoreRedirectUris = options.agentCoreRedirectUris ?? [agentCoreRedirectUri];

  const configuration = createConfiguration({
    backends,
    clients: createClients({ agentCoreSecret, agentCoreRedirectUris, gateway }),
    accessTokenSeconds: () => accessTokenSeconds,
    cookieSecret: randomSecret(),
  });
  let keys: [SigningKey, ...SigningKey[]] = [await createSigningKey()];
  let tokenDelayMs = options.tokenDelayMs ?? 0;

  // The issuer contains the port, so the port comes first; nobody knows it before this function returns.
  let handle: RequestListener = (_request, response) => void response.writeHead(503).end();
  const { port, stop } = await listenOnLoopback(
    createServer((request, response) => handle(request, response)),
    options.port ?? 0,
  );
  const issuer = `http://127.0.0.1:${port}`;

  // oidc-provider takes its keys once, so another key set means another provider, on the same store.
  const serveWith = (current: typeof keys) => {
    keys = current;
    const provider = new Provider(issuer, { ...configuration, jwks: keySet(keys) });
    registerTokenExchange(provider, { issuer, keys, backends, delegationSeconds });
    serveSignInForm(provider, passwords);
    provider.use(async (ctx, next) => {
      if (ctx.path === '/token' && tokenDelayMs > 0) await delay(tokenDelayMs, undefined, { ref: false });
      await next();
    });
    handle = provider.callback();
  };
  serveWith(keys);

  return {
    issuer,
    port,
    jwksUri: `${issuer}/jwks`,
    passwords,
    agentCoreSecret,
    gatewaySecret: 'secret' in gateway ? gateway.secret : undefined,
    setTokenDelay: (milliseconds) => {
      tokenDelayMs = milliseconds;
    },
    setAccessTokenSeconds: (seconds) => {
      accessTokenSeconds = seconds;
    },
    rotateKeys: async ({ retireOld = false } = {}) => {
      const newKey = await createSigningKey();
      serveWith(retireOld ? [newKey] : [newKey, ...keys]);
    },
    stop,
  };
}

function randomSecret(): string {
  return randomBytes(32).toString('base64url');
}
