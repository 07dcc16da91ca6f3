/**
 * How a client gets an access token for an MCP front door: by itself (client credentials, "2LO") or for a user who signs
 * in (authorization code with PKCE, "3LO"). Both start from nothing but the issuer (RFC 8414). The user is played by a
 * few lines of HTTP with a cookie jar; everything the client does is the real protocol, checked by oauth4webapi.
 */
import * as oauth from 'oauth4webapi';

export type TokenResponse = oauth.TokenEndpointResponse;

type Fetch = typeof globalThis.fetch;

export type ClientCredentialsOptions = {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** The URL of the MCP server, as clients see it (RFC 8707). */
  readonly resource: string;
  /** Scopes, separated by spaces. */
  readonly scope: string;
  readonly fetch?: Fetch;
};

export type SignInOptions = Omit<ClientCredentialsOptions, 'clientSecret'> & {
  /** For a confidential client; without it the client is public. */
  readonly clientSecret?: string;
  /** Never visited: the code is taken from the redirect itself. Default: a loopback address, as native apps use. */
  readonly redirectUri?: string;
  readonly username: string;
  readonly password: string;
};

const maxRedirects = 10;

/** A token for the client itself. */
export async function clientCredentials(options: ClientCredentialsOptions): Promise<TokenResponse> {
  const { issuer, clientId, clientSecret, resource, scope } = options;
  const http = httpOptions(issuer, options.fetch);
  const client = { client_id: clientId };
  return explain(`client credentials for ${clientId}`, async () => {
    const server = await discover(issuer, http);
    const authentication = oauth.ClientSecretBasic(clientSecret);
    const parameters = { resource, scope };
    const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, http);
    return oauth.processClientCredentialsResponse(server, client, response);
  });
}

/** A token for a user who signs in with a password; a scope the user may not have is missing from it, without an error. */
export async function signIn(options: SignInOptions): Promise<TokenResponse> {
  const { issuer, clientId, clientSecret, resource, scope } = options;
  const { redirectUri = 'http://127.0.0.1:8975/callback' } = options;
  const http = httpOptions(issuer, options.fetch);
  const client = { client_id: clientId };
  const authentication = clientSecret === undefined ? oauth.None() : oauth.ClientSecretBasic(clientSecret);
  return explain(`sign-in of ${options.username}`, async () => {
    const server = await discover(issuer, http);
    const verifier = oauth.generateRandomCodeVerifier();
    const state = oauth.generateRandomState();
    const authorizationUrl = withQuery(server.authorization_endpoint, {
      response_type: 'code',
      client_id: clientId,
      redirect_uri: redirectUri,
      resource,
      scope,
      state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });

    const callback = await visit(authorizationUrl, redirectUri, options);
    const parameters = oauth.validateAuthResponse(server, client, callback, state);
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      authentication,
      parameters,
      redirectUri,
      verifier,
      { ...http, additionalParameters: { resource } },
    );
    return oauth.processAuthorizationCodeResponse(server, client, response);
  });
}

type HttpOptions = {
  [oauth.allowInsecureRequests]: boolean;
  [oauth.customFetch]: (url: string, init: object) => Promise<Response>;
};

/** Plain HTTP is for an authorization server on this machine only. */
function httpOptions(issuer: string, fetch: Fetch = globalThis.fetch): HttpOptions {
  const isLoopback = ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(issuer).hostname);
  return { [oauth.allowInsecureRequests]: isLoopback, [oauth.customFetch]: (url, init) => fetch(url, init) };
}

async function discover(issuer: string, http: HttpOptions): Promise<oauth.AuthorizationServer> {
  const url = new URL(issuer);
  const response = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...http });
  return oauth.processDiscoveryResponse(url, response);
}

/** Plays the browser: follows redirects, fills in the login form once, and stops at the redirect to the client. */
async function visit(start: URL, redirectUri: string, options: SignInOptions): Promise<URL> {
  const { username, password, fetch = globalThis.fetch } = options;
  const request = browser(start.origin, fetch);
  let url = start;
  let body: URLSearchParams | undefined;
  for (let hop = 0; hop < maxRedirects; hop += 1) {
    const response = await request(url, body);
    const location = response.headers.get('location');
    if (location !== null) {
      url = new URL(location, url);
      body = undefined;
      await response.body?.cancel();
      if (isRedirectTo(url, redirectUri)) return url;
      continue;
    }
    const text = await response.text();
    if (body || !response.ok) throw new Error(body ? 'wrong user name or password' : `${response.status} ${text}`);
    body = new URLSearchParams({ username, password });
  }
  throw new Error(`no code after ${maxRedirects} redirects`);
}

/** One HTTP client with a cookie jar; it talks to one origin only, for it is about to carry a password. */
function browser(origin: string, fetch: Fetch) {
  const cookies = new Map<string, string>();
  return async (url: URL, body: URLSearchParams | undefined): Promise<Response> => {
    if (url.origin !== origin) throw new Error(`the authorization server redirects to ${url.origin}`);
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { Accept: 'text/html', Cookie: cookie },
      ...(body && { method: 'POST', body }),
    });
    for (const setCookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(setCookie) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    return response;
  };
}

function isRedirectTo(url: URL, redirectUri: string): boolean {
  const expected = new URL(redirectUri);
  return url.origin === expected.origin && url.pathname === expected.pathname;
}

function withQuery(endpoint: string | undefined, parameters: Record<string, string>): URL {
  if (endpoint === undefined) throw new Error('the authorization server has no authorization endpoint');
  const url = new URL(endpoint);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url;
}

/** Puts what the authorization server said into the message, where a person will see it. */
async function explain<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new Error(`${what} failed: ${reason(cause)}`, { cause });
  }
}

function reason(cause: unknown): string {
  if (cause instanceof oauth.ResponseBodyError || cause instanceof oauth.AuthorizationResponseError) {
    return [cause.error, cause.error_description].filter(Boolean).join(', ');
  }
  if (cause instanceof oauth.WWWAuthenticateChallengeError) {
    const { error = `status ${cause.status}`, error_description } = cause.cause[0]?.parameters ?? {};
    return [error, error_description].filter(Boolean).join(', ');
  }
  return cause instanceof Error ? cause.message : String(cause);
}
