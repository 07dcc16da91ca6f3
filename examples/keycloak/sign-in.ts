/**
 * How clients get their tokens from Keycloak: the agent by itself (client credentials), everybody else for a user who signs
 * in (authorization code with PKCE). The user is played by a few lines of HTTP that fill in Keycloak's form.
 *
 * `node examples/keycloak/sign-in.ts alice 'ledger:read ledger:write'` prints a token; it takes the addresses and passwords
 * of a lab that is up from the environment (see README.md).
 */
import * as oauth from 'oauth4webapi';

export const REDIRECT_URI = 'http://127.0.0.1:8975/callback';

export type User = { readonly username: string; readonly password: string };

export type ClientOptions = {
  readonly issuer: string;
  readonly clientId: string;
  /** For a confidential client; without it the client is public. */
  readonly clientSecret?: string;
  /** Scopes, separated by spaces. */
  readonly scope: string;
};

export type SignInOptions = ClientOptions & { readonly user: User; readonly redirectUri?: string };

/** Keycloak on this machine speaks plain HTTP. */
const http = { [oauth.allowInsecureRequests]: true };
const MAX_REDIRECTS = 10;

/** A token for the client itself. */
export async function clientCredentials({ issuer, clientId, clientSecret = '', scope }: ClientOptions) {
  const server = await discover(issuer);
  const client = { client_id: clientId };
  const response = await oauth.clientCredentialsGrantRequest(
    server,
    client,
    oauth.ClientSecretBasic(clientSecret),
    { scope },
    http,
  );
  return oauth.processClientCredentialsResponse(server, client, response);
}

/** Tokens for a user. Keycloak leaves out what the user may not have and says nothing; an unknown scope is an error. */
export async function signIn({ issuer, clientId, clientSecret, scope, user, redirectUri = REDIRECT_URI }: SignInOptions) {
  const server = await discover(issuer);
  const client = { client_id: clientId };
  const authentication = clientSecret === undefined ? oauth.None() : oauth.ClientSecretBasic(clientSecret);
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const url = new URL(server.authorization_endpoint ?? '');
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }).toString();
  const callback = oauth.validateAuthResponse(server, client, await signInAt(url, redirectUri, user), state);
  const response = await oauth.authorizationCodeGrantRequest(
    server,
    client,
    authentication,
    callback,
    redirectUri,
    verifier,
    http,
  );
  return oauth.processAuthorizationCodeResponse(server, client, response);
}

/** Plays the browser from the authorization request to the redirect back to the client, which is returned, not visited. */
export async function signInAt(start: URL, redirectUri: string, { username, password }: User): Promise<URL> {
  const cookies = new Map<string, string>();
  let url = start;
  let form: URLSearchParams | undefined;
  for (let hop = 0; hop < MAX_REDIRECTS; hop += 1) {
    if (url.origin !== start.origin) throw new Error(`Keycloak redirects to ${url.origin}`);
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ');
    const response = await fetch(url, { redirect: 'manual', headers: { cookie }, ...(form && { method: 'POST', body: form }) });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    const location = response.headers.get('location');
    const page = await response.text();
    if (location === null) {
      const action = /<form[^>]* id="kc-form-login"[^>]* action="([^"]+)"/.exec(page)?.[1]?.replaceAll('&amp;', '&');
      if (action === undefined || form !== undefined) throw new Error(`sign-in of ${username} failed: status ${response.status}`);
      url = new URL(action, url);
      form = new URLSearchParams({ username, password });
    } else {
      url = new URL(location, url);
      form = undefined;
      if (url.href.startsWith(`${redirectUri}?`)) return url;
    }
  }
  throw new Error(`no code after ${MAX_REDIRECTS} redirects`);
}

async function discover(issuer: string): Promise<oauth.AuthorizationServer> {
  const url = new URL(issuer);
  return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...http }));
}

if (import.meta.main) {
  const [username = '', scope = ''] = process.argv.slice(2);
  const { ISSUER: issuer, [`${username.toUpperCase()}_PASSWORD`]: password } = process.env;
  if (issuer === undefined || password === undefined) {
    console.error('Usage: node examples/keycloak/sign-in.ts alice|bob|carol SCOPES, after `. .cache/keycloak-lab/env`');
    process.exitCode = 2;
  } else {
    const { access_token } = await signIn({ issuer, clientId: 'claude-code', scope, user: { username, password } });
    console.log(access_token);
  }
}
