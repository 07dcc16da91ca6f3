/** Settings of the status upload. */
import { z } from 'zod';
import { milliseconds } from './parts.ts';

export const status = z
  .strictObject({
    service: z.string().min(1).describe('Name of one of `services`.'),
    resource: z
      .string()
      .regex(/^[\x21-\x7e]+$/, 'use a path without spaces')
      .default('status')
      .describe('Path of the upload at the service.'),
    partition: z
      .string()
      .regex(/^[A-Za-z0-9._~-]+(\/[A-Za-z0-9._~-]+)*$/, 'use letters, digits and ._~-, with / between')
      .optional()
      .describe("Appended to the path, as OPA's `partition_name`."),
    metrics: z
      .boolean()
      .default(true)
      .describe('Whether the metrics of this service go with it, as those of OPA do; those of Node do not.'),
    minIntervalMs: milliseconds(1000, 'No second upload within this time; changes in between are told together.'),
    maxIntervalMs: milliseconds(300_000, 'An upload at least this often, also when nothing changes.'),
  })
  .optional()
  .describe("Tell a service what is in force, as OPA's status plugin does.");
