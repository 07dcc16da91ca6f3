/**
 * An HTTP service that we are a client of, as OPA's configuration knows them: where bundles come from, where logs and status
 * go to. Credentials are attached here and are in no error and in no log. Redirects are followed for who asks for it, and take
 * credentials nowhere else.
 */
import { readFile } from 'node:fs/promises';
import { readSecret } from '../client-authentication.ts';
import { type BytesAnswer, type BytesClient, createBytesClient } from '../http-client.ts';
import { VERSION } from '../version.ts';
import { createOwnToken, type OAuth2Settings, type OwnToken } from './own-token.ts';
import { follow } from './redirects.ts';

export interface ServiceSettings {
  readonly name: string;
  /** What a path is appended to. */
  readonly url: string;
  /** Redirects may lead to other hosts by plain http, if they come that way. */
  readonly allowPlaintext?: boolean | undefined;
  /** Sent with every request; never credentials. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly credentials?: ServiceCredentials | undefined;
  /** PEM authorities to trust in place of the system's. */
  readonly caFile?: string | undefined;
  readonly timeoutMs: number;
}

type Secret = { readonly file: string } | { readonly env: string };

/** One of them. */
export interface ServiceCredentials {
  readonly bearer?: Secret | undefined;
  readonly clientTls?: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly oauth2?: OAuth2Settings | undefined;
}

export interface ServiceInit {
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | string | undefined;
  /** For all of it; the service's own, if absent. */
  readonly timeoutMs?: number | undefined;
  /** Of the answer's body. */
  readonly maxBytes?: number | undefined;
  /** How many redirects are followed; without it none, and one is an answer like any other. Of requests without a body. */
  readonly maxRedirects?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ServiceResponse extends BytesAnswer {
  /** The origin that answered, where redirects led away from the service. */
  readonly elsewhere?: string | undefined;
}

export interface Service {
  readonly name: string;
  /**
   * Rejects where there was no answer, or one that is too large: AnswerTooLarge, or a redirect that is not followed:
   * RedirectRefused. Any status is an answer.
   */
  readonly send: (path: string, init: ServiceInit) => Promise<ServiceResponse>;
  /** Ends what is under way. */
  readonly close: () => Promise<void>;
}

const DEFAULT_MAX_BYTES = 1024 * 1024;
const CONNECT_TIMEOUT_MS = 10_000;
const USER_AGENT = `mcp-ext-authz/${VERSION}`;

/** @param now epoch milliseconds. */
export function createService(settings: ServiceSettings, now: () => number = Date.now): Service {
  const { name, credentials = {}, timeoutMs } = settings;
  const base = settings.url.replace(/\/+$/, '');
  const connection = openConnection(settings);
  /** For other origins: trusting the same authorities, and showing them nothing. */
  const outside = credentials.clientTls === undefined ? connection : openConnection({ ...settings, credentials: undefined });
  const ownToken = credentials.oauth2 === undefined ? null : createOwnToken(credentials.oauth2, { connection, timeoutMs, now });

  async function send(path: string, init: ServiceInit): Promise<ServiceResponse> {
    const token = await authorize(credentials.bearer, ownToken);
    const answer = await sendWith(token, path, init);
    if (answer.status !== 401 || answer.elsewhere !== undefined || ownToken === null || token === null) return answer;
    // It may have been revoked; what comes of a fresh one counts.
    ownToken.forget(token);
    return sendWith(await ownToken.take(), path, init);
  }

  async function sendWith(token: string | null, path: string, init: ServiceInit): Promise<ServiceResponse> {
    const { maxRedirects, timeoutMs: within = timeoutMs } = init;
    const endMs = performance.now() + within;
    const ours = { ...settings.headers, ...init.headers, ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
    const url = new URL(`${base}/${path.replace(/^\/+/, '')}`);
    if (maxRedirects === undefined) return sendOnce(url, ours, init, endMs);
    const limits = { maxRedirects, allowPlaintext: settings.allowPlaintext ?? false };
    const { answer, origin } = await follow(url, limits, (to, isHome) => sendOnce(to, isHome ? ours : null, init, endMs));
    return origin === null ? answer : { ...answer, elsewhere: origin };
  }

  /** @param ours headers for the service itself; null for another origin. */
  async function sendOnce(
    url: URL,
    ours: Readonly<Record<string, string>> | null,
    init: ServiceInit,
    endMs: number,
  ): Promise<BytesAnswer> {
    const client = await (ours === null ? outside : connection).open();
    return client.send(url.href, {
      method: init.method,
      headers: { 'user-agent': USER_AGENT, ...(ours ?? init.headers) },
      body: init.body,
      timeoutMs: Math.max(1, Math.ceil(endMs - performance.now())),
      maxBytes: init.maxBytes ?? DEFAULT_MAX_BYTES,
      signal: init.signal,
    });
  }

  const close = async (): Promise<void> => {
    await Promise.all([connection.close(), outside.close()]);
  };
  return { name, send, close };
}

/** A secret is read each time: whoever rotates it need tell nobody. */
async function authorize(bearer: Secret | undefined, ownToken: OwnToken | null): Promise<string | null> {
  if (ownToken !== null) return ownToken.take();
  if (bearer === undefined) return null;
  const token = await readSecret(bearer);
  // A header that cannot be sent would be named in an error, value and all.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error('the bearer token has characters that no header can carry');
  return token;
}

/** Connections with the certificates as they are in their files now. */
export interface Connection {
  readonly open: () => Promise<BytesClient>;
  readonly close: () => Promise<void>;
}

function openConnection({ caFile, credentials }: ServiceSettings): Connection {
  const files = [caFile, credentials?.clientTls?.certFile, credentials?.clientTls?.keyFile];
  let held: { readonly client: BytesClient; readonly pems: string } | null = null;
  let closed = false;

  async function open(): Promise<BytesClient> {
    const [ca, cert, key] = await Promise.all(files.map((file) => (file === undefined ? undefined : readFile(file, 'utf8'))));
    if (closed) throw new Error('the service is closed');
    const pems = JSON.stringify([ca, cert, key]);
    if (held?.pems === pems) return held.client;
    // What is under way ends with the certificate that it began with.
    held?.client.close(false).catch(() => {});
    const clientCertificate = cert === undefined || key === undefined ? undefined : { cert, key };
    held = { client: createBytesClient({ connectTimeoutMs: CONNECT_TIMEOUT_MS, ca, clientCertificate }), pems };
    return held.client;
  }

  return {
    open,
    close: async () => {
      closed = true;
      await held?.client.close(true);
    },
  };
}
