/** Settings of a candidate policy beside the live one; the rest of `policy.shadow` says where its bundle comes from. */
import { z } from 'zod';
import { MIB, positive } from './parts.ts';

export const shadowRules = {
  sampleRatio: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe('Share of the flips that get a line of `type: shadow` in the decision log; all are counted.'),
  maxLinesPerSecond: positive(10, 'No more such lines in a second.', 1000),
  maxQueued: positive(256, 'Requests that wait for the candidate; beyond it they are skipped and counted.', 100_000),
  maxQueuedBytes: positive(16 * MIB, 'What their bodies may take together.'),
};
