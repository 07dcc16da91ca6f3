/** Settings of the catalog: what the sidecar asks the backends itself. */
import { z } from 'zod';
import { milliseconds, positive, scope } from './parts.ts';

export const catalog = z.strictObject({
  refreshMs: milliseconds(
    300_000,
    'How often each backend with a `url` is asked for its lists; sooner when it tells of a change.',
  ),
  timeoutMs: milliseconds(10_000, 'How long asking one backend may take.'),
  maxItems: positive(5000, 'Longest list that is accepted of a backend.', 100_000),
  scopes: z
    .array(scope)
    .default([])
    .describe('What the gateway asks for in its own token, and policy sees as its scopes; it needs no more than to list.'),
  pinning: z
    .strictObject({
      file: z.string().min(1).describe('The approved tools, as `mcp-ext-authz catalog approve` writes them.'),
    })
    .optional()
    .describe('Refuse calls of tools that changed since they were approved, at every backend with a `url`.'),
});
