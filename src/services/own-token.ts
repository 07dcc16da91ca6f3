/**
 * Our own access token for a service: the client-credentials grant (RFC 6749 section 4.4). Kept until shortly before it
 * expires, asked for once however many wait for it, and asked for again where the service no longer takes it.
 */
import * as oauth from 'oauth4webapi';
import { readSecret } from '../client-authentication.ts';
import { isSafeUrl } from '../http-client.ts';
import type { Connection } from './service.ts';

export interface OAuth2Settings {
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly secret: { readonly file: string } | { readonly env: string };
  readonly scopes: readonly string[];
  /** What else the server wants to be told, such as `audience` or `resource`. */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
}

export interface OwnToken {
  readonly take: () => Promise<string>;
  /** This one is not to be given out again. */
  readonly forget: (token: string) => void;
}

export interface OwnTokenOptions {
  readonly connection: Pick<Connection, 'open'>;
  readonly timeoutMs: number;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

const MAX_ANSWER_BYTES = 64 * 1024;
/** Who does not say how long a token lives gives one that is used this long. */
const DEFAULT_LIFETIME_SECONDS = 60;
/** Kept back: the way to the service and clocks that differ. */
const RESERVE_SECONDS = 10;

export function createOwnToken(settings: OAuth2Settings, { connection, timeoutMs, now }: OwnTokenOptions): OwnToken {
  let held: { readonly token: string; readonly until: number } | null = null;
  let asking: Promise<string> | null = null;

  async function take(): Promise<string> {
    if (held !== null && now() < held.until) return held.token;
    asking ??= ask().finally(() => {
      asking = null;
    });
    return asking;
  }

  async function ask(): Promise<string> {
    const server: oauth.AuthorizationServer = { issuer: settings.tokenUrl, token_endpoint: settings.tokenUrl };
    const client: oauth.Client = { client_id: settings.clientId };
    const secret = await readSecret(settings.secret);
    const scope: Record<string, string> = settings.scopes.length > 0 ? { scope: settings.scopes.join(' ') } : {};
    const parameters = { ...settings.parameters, ...scope };
    const response = await oauth.clientCredentialsGrantRequest(server, client, oauth.ClientSecretBasic(secret), parameters, {
      [oauth.customFetch]: fetch as never,
      [oauth.allowInsecureRequests]: settings.tokenUrl.startsWith('http:') && isSafeUrl(settings.tokenUrl),
    });
    const { access_token: token, token_type: type, expires_in: lifetime } = await readAnswer(response);
    // What is bound to a key or a connection cannot be sent as a bearer token.
    if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token) || String(type).toLowerCase() !== 'bearer') {
      throw new Error('the token endpoint answered without a bearer token');
    }
    const seconds = typeof lifetime === 'number' && lifetime > 0 ? lifetime : DEFAULT_LIFETIME_SECONDS;
    held = { token, until: now() + (seconds - Math.min(RESERVE_SECONDS, seconds / 2)) * 1000 };
    return token;
  }

  async function fetch(url: string, init: { headers: Record<string, string>; body: URLSearchParams }): Promise<Response> {
    const answer = await (await connection.open()).send(url, {
      method: 'POST',
      headers: init.headers,
      body: init.body.toString(),
      timeoutMs,
      maxBytes: MAX_ANSWER_BYTES,
    });
    const type = answer.headers['content-type'];
    return new Response(answer.body as Uint8Array<ArrayBuffer>, {
      status: answer.status,
      ...(type === undefined ? {} : { headers: { 'content-type': type } }),
    });
  }

  return {
    take,
    forget: (token) => {
      if (held?.token === token) held = null;
    },
  };
}

/** Of a refusal the status and the error's code, and nothing else: an answer may repeat what it was sent. */
async function readAnswer(response: Response): Promise<Record<string, unknown>> {
  const body: unknown = await response.json().catch(() => null);
  const answer = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  if (response.status === 200) return answer;
  const code = typeof answer.error === 'string' && /^[a-z_]{1,64}$/.test(answer.error) ? answer.error : 'none';
  throw new Error(`the token endpoint answered ${response.status}, error ${code}`);
}
