/** What several sections of the configuration are made of: names, addresses, limits, secrets. */
import { z } from 'zod';
import { isSafeUrl } from '../http-client.ts';

export const MIB = 1024 * 1024;

/** A timer set beyond this fires at once. */
export const MAX_MS = 2 ** 31 - 1;

export const positive = (fallback: number, text: string, max = Number.MAX_SAFE_INTEGER) =>
  z.int().positive().max(max).default(fallback).describe(text);
export const milliseconds = (fallback: number, text: string) => positive(fallback, text, MAX_MS);
export const name = z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'use lower-case letters, digits and hyphens');
export const listen = z
  .string()
  .regex(/^(unix:\/\/\/\S+|[^\s:]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5})$/, { error: 'use host:port or unix:///path', abort: true })
  .refine((text) => text.startsWith('unix:') || Number(text.slice(text.lastIndexOf(':') + 1)) <= 65535, 'use a port up to 65535');
export const url = z
  .string()
  .refine(isSafeUrl, 'use an https URL without user, password or fragment (plain http to this host only)');
export const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'use one scope token (RFC 6749 section 3.3)');
const headerName = z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'use a lower-case header name');
/** What the protocol, Envoy or MCP gives a meaning; a token there would break the request. */
const MEANT_OTHERWISE =
  /^(host|date|via|te|trailer|upgrade|connection|keep-alive|transfer-encoding|expect|origin|range|accept|accept-.*|content-.*|cookie|last-event-id|traceparent|tracestate|baggage|mcp-.*|x-envoy-.*|x-forwarded-.*|x-request-id)$/;
export const tokenHeader = headerName.refine((text) => !MEANT_OTHERWISE.test(text), 'this header has another meaning');
export const policyHeader = headerName.refine(
  (text) => !/^((proxy-)?authorization|cookie|dpop)$/.test(text),
  'policy must not see credentials; what they say is in principal',
);
export const secret = z
  .union(
    [z.strictObject({ file: z.string().min(1) }), z.strictObject({ env: z.string().regex(/^[A-Z_][A-Z0-9_]*$/) })],
    'use {file: PATH} or {env: NAME}',
  )
  .describe('Where a secret is: `{file: PATH}` or `{env: NAME}`. Never the secret itself.');
