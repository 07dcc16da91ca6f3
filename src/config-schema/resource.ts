/** What a backend of its own and the front door have in common: the protected resource that clients see. */
import { z } from 'zod';
import { scope, url } from './parts.ts';

export const entrance = {
  path: z
    .string()
    .regex(/^\/[^?#\s]*$/, 'use an absolute path')
    .describe('The path at which Envoy serves it; matched exactly.'),
  publicUrls: z
    .array(url)
    .min(1)
    .describe(
      'Every URL under which clients know it. Each has its own metadata and is accepted as an audience; the first is the canonical one.',
    ),
  audiences: z.array(z.string().min(1)).default([]).describe('Further audiences accepted here.'),
  issuers: z.array(url).min(1).optional().describe('Issuers accepted here; all, if absent.'),
  scopesSupported: z.array(scope).default([]).describe('`scopes_supported` of its metadata; keep it minimal.'),
  challengeScopes: z.array(scope).default([]).describe('Scopes named to a caller without a token.'),
  denials: z
    .enum(['conversational', 'strict'])
    .default('conversational')
    .describe("A policy's no: `conversational` is HTTP 200 with a JSON-RPC error, `strict` is 403."),
  documentation: url.optional().describe('`resource_documentation` of its metadata.'),
};
