/**
 * One request to a bundle server, as OPA makes it: only what is not known yet, and with patience where the server offers that.
 * Servers without ETag are served too: by time of change, or by the digest of what they send (policy-source). What only says
 * where the bundle is, is followed there.
 */
import { AnswerTooLarge } from '../http-client.ts';
import { RedirectRefused } from '../services/redirects.ts';
import type { Service, ServiceResponse } from '../services/service.ts';
import { PolicyRefused } from './refusal.ts';

/** By what a server knows again what it sent. */
export interface Validators {
  readonly etag: string | null;
  readonly lastModified: string | null;
}

export const NO_VALIDATORS: Validators = { etag: null, lastModified: null };

export interface DownloadOptions {
  readonly resource: string;
  /** Of what is held; the server then says that nothing changed in place of sending it again. */
  readonly validators: Validators;
  /** How long the server may wait for something new; null asks it not to. */
  readonly waitSeconds: number | null;
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Downloaded {
  /** Null where nothing changed. */
  readonly archive: Uint8Array | null;
  readonly validators: Validators;
  /** Whether the server says that it can wait; null where it says nothing of it. */
  readonly longPolling: boolean | null;
}

/** What OPA's servers say of a bundle when they know about waiting. */
const LONG_POLLING_TYPE = 'application/vnd.openpolicyagent.bundles';

const MAX_REDIRECTS = 5;

/** Rejects with PolicyRefused: download_failed, timeout or too_large. */
export async function download(service: Service, options: DownloadOptions): Promise<Downloaded> {
  const answer = await ask(service, options);
  const type = answer.headers['content-type'];
  const longPolling = type === undefined ? null : type.split(';', 1)[0]?.trim().toLowerCase() === LONG_POLLING_TYPE;
  const { validators } = options;
  if (answer.status === 304 && (validators.etag ?? validators.lastModified) !== null) {
    return { archive: null, validators, longPolling };
  }
  if (answer.status !== 200) {
    const who = answer.elsewhere === undefined ? service.name : `${answer.elsewhere}, where ${service.name} redirected to,`;
    throw new PolicyRefused('download_failed', `${who} answered ${answer.status} for ${shown(options.resource)}`);
  }
  return { archive: answer.body, validators: validatorsOf(answer), longPolling };
}

async function ask(service: Service, options: DownloadOptions): Promise<ServiceResponse> {
  const { validators, waitSeconds, signal } = options;
  try {
    return await service.send(options.resource, {
      method: 'GET',
      headers: {
        // Not `delta`: no signature covers one.
        prefer: waitSeconds === null ? 'modes=snapshot' : `modes=snapshot;wait=${waitSeconds}`,
        ...conditions(validators),
      },
      timeoutMs: options.timeoutMs + (waitSeconds ?? 0) * 1000,
      maxBytes: options.maxBytes,
      maxRedirects: MAX_REDIRECTS,
      signal,
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    if (cause instanceof AnswerTooLarge)
      throw new PolicyRefused('too_large', `the bundle is larger than ${options.maxBytes} bytes`);
    if (cause instanceof RedirectRefused)
      throw new PolicyRefused(
        'download_failed',
        `${service.name} gave no bundle for ${shown(options.resource)}: ${cause.message}`,
      );
    const late = cause instanceof Error && cause.name === 'TimeoutError';
    throw new PolicyRefused(
      late ? 'timeout' : 'download_failed',
      `${service.name} gave no bundle for ${shown(options.resource)}`,
      {
        cause,
      },
    );
  }
}

function conditions({ etag, lastModified }: Validators): Record<string, string> {
  if (etag !== null) return { 'if-none-match': etag };
  return lastModified === null ? {} : { 'if-modified-since': lastModified };
}

function validatorsOf({ headers }: ServiceResponse): Validators {
  const etag = headers.etag;
  const lastModified = headers['last-modified'];
  return {
    etag: etag !== undefined && /^(W\/)?"[\x21\x23-\x7e]*"$/.test(etag) ? etag : null,
    lastModified: lastModified !== undefined && isSettled(lastModified, headers.date) ? lastModified : null,
  };
}

/** Its unit is a second: what changed just now may change again within the same one (RFC 9110 section 8.8.2.2). */
const SETTLED_MS = 2000;

function isSettled(lastModified: string, date: string | undefined): boolean {
  return date !== undefined && Date.parse(date) - Date.parse(lastModified) >= SETTLED_MS;
}

/** A query may hold a signature that opens the bundle to whoever reads it. */
function shown(resource: string): string {
  return resource.split('?', 1)[0] as string;
}
