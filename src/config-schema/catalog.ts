/** Settings of the catalog: what the sidecar asks the backends itself. */
import { z } from 'zod';

/** A timer set beyond this fires at once. */
const MAX_MS = 2 ** 31 - 1;

const positive = (fallback: number, max: number, text: string) => z.int().positive().max(max).default(fallback).describe(text);

export const catalog = z.strictObject({
  refreshMs: positive(
    300_000,
    MAX_MS,
    'How often each backend with a `url` is asked for its lists; sooner when it tells of a change.',
  ),
  timeoutMs: positive(10_000, MAX_MS, 'How long asking one backend may take.'),
  maxItems: positive(5000, 100_000, 'Longest list that is accepted of a backend.'),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'use one scope token (RFC 6749 section 3.3)'))
    .default([])
    .describe('What the gateway asks for in its own token, and policy sees as its scopes; it needs no more than to list.'),
  pinning: z
    .strictObject({
      file: z.string().min(1).describe('The approved tools, as `mcp-ext-authz catalog approve` writes them.'),
    })
    .optional()
    .describe('Refuse calls of tools that changed since they were approved, at every backend with a `url`.'),
});
