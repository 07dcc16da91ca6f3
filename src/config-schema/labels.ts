/** Settings of the labels of this process. */
import { z } from 'zod';

const MAX_LABELS = 32;
const NAMES = 'name it with up to 63 letters, digits and ._/-, a letter first; id and version are set already';

export const labels = z
  .record(
    z.string().regex(/^(?!(id|version)$)[A-Za-z][A-Za-z0-9._/-]{0,62}$/),
    z
      .string()
      .regex(/^[^\p{Cc}\p{Cs}]{1,256}$/u, 'use 1 to 256 characters, none of them a control character')
      .describe('A label and its value, such as `region: eu-1`; `id` and `version` are set already.'),
    { error: ({ code }) => (code === 'invalid_key' ? NAMES : undefined) },
  )
  .refine((given) => Object.keys(given).length <= MAX_LABELS, `use no more than ${MAX_LABELS}`)
  .default({})
  .describe("Which process this is, for every line of the decision log and for the status, as OPA's `labels`. Never a secret.");
