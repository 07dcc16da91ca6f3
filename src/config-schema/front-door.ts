/** Settings of what happens beside the Check: answers that are processed (ext_proc), and the one front door. */
import { z } from 'zod';
import { listen, MIB, name, positive, secret } from './parts.ts';
import { entrance } from './resource.ts';

export const processing = z
  .strictObject({
    keys: z
      .array(secret)
      .min(1)
      .describe(
        'Secrets of 32 characters or more, the same at all replicas. The first seals session ids, task ids and what Envoy carries to ext_proc; all of them open: announce a new one second, move it to the front, remove the old one.',
      ),
    stepUpItems: z
      .enum(['hide', 'show'])
      .default('hide')
      .describe(
        'Whether lists show what the caller could use with a scope it can still obtain. Clients rarely call what they are not shown.',
      ),
    maxAnswerBytes: positive(4 * MIB, 'Largest list, event or other answer that is read; beyond it the caller gets an error.'),
    maxListItems: positive(
      2500,
      'Items of one list. A thousand take some ten milliseconds to judge, in which nothing else is done.',
      100_000,
    ),
    maxInFlight: positive(1000, 'Requests under way in ext_proc; what exceeds it is refused.'),
  })
  .optional()
  .describe(
    'Lists show what the caller may use, and session and task ids belong to who got them. Envoy must have the ext_proc filter: see docs/deploying.md. Without this section neither holds.',
  );

export const frontDoor = z
  .strictObject({
    name: name.default('front-door').describe('Its name in logs; in policy and metrics stands the backend.'),
    listen: listen.default('127.0.0.1:9194').describe('Where Envoy sends what no backend can answer alone. For Envoy only.'),
    ...entrance,
    path: entrance.path.default('/mcp'),
    backends: z
      .record(
        name,
        z.strictObject({
          prefix: z
            .string()
            .regex(/^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$/, 'use letters and digits, with single underscores or hyphens between them')
            .optional()
            .describe("Before the names of its tools and prompts, with an underscore between; the backend's name, if absent."),
        }),
      )
      .refine((backends) => Object.keys(backends).length > 0, 'name at least one backend')
      .describe('The backends behind it, by their names in `resources`; each needs its `url`.'),
  })
  .optional()
  .describe('One MCP server for clients, in front of several backends. Needs `processing`.');
