/**
 * A user at a browser, for the official clients: an OAuth provider in their sense that signs the user in whenever the
 * client sends it to the authorization server, and keeps the code that comes back.
 */
import assert from 'node:assert/strict';

const REDIRECT = 'http://127.0.0.1:8975/callback';

export interface SignedInUser {
  readonly username: string;
  readonly password: string;
}

export type BrowserProvider = ReturnType<typeof createBrowserProvider>;

/**
 * @param scopes records the scope of each authorization request.
 * @param refreshes whether a refresh token is kept. SDK v1 would use it in place of asking for more, and give up.
 */
export function createBrowserProvider(user: SignedInUser, scopes: string[] = [], refreshes = true) {
  let tokens: Record<string, any> | undefined;
  let verifier = '';
  let callback = new URLSearchParams();
  return {
    redirectUrl: REDIRECT,
    clientMetadata: { client_name: 'test', redirect_uris: [REDIRECT], token_endpoint_auth_method: 'none' },
    clientInformation: () => ({ client_id: 'claude-code' }),
    tokens: () => tokens,
    saveTokens: (saved: object) => {
      const { refresh_token: refresh, ...rest } = saved as Record<string, any>;
      tokens = refreshes ? { ...rest, refresh_token: refresh } : rest;
    },
    saveCodeVerifier: (saved: string) => {
      verifier = saved;
    },
    codeVerifier: () => verifier,
    redirectToAuthorization: async (url: URL) => {
      scopes.push(url.searchParams.get('scope') ?? '');
      callback = await signInAt(url, user, REDIRECT);
    },
    /** What came back from the last sign-in. */
    lastCallback: () => callback,
    lastCode: () => callback.get('code') ?? assert.fail('no code came back'),
  };
}

/** Follows redirects with a cookie jar, fills in the form once, and reads the code off the redirect to the client. */
export async function signInAt(start: URL, { username, password }: SignedInUser, redirect: string): Promise<URLSearchParams> {
  const cookies = new Map<string, string>();
  let url = start;
  let form: URLSearchParams | undefined;
  for (let hop = 0; hop < 10; hop += 1) {
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ');
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie, accept: 'text/html' },
      ...(form && { method: 'POST', body: form }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    const location = response.headers.get('location');
    form = location === null ? new URLSearchParams({ username, password }) : undefined;
    if (location !== null) url = new URL(location, url);
    if (url.href.startsWith(redirect)) return url.searchParams;
  }
  return assert.fail(`no code after ten redirects: ${url.href}`);
}
