/** Settings of the decision log: where lines go, what they show, what must be recorded. */
import { z } from 'zod';
import { MIB, milliseconds, name, positive } from './parts.ts';

const directory = z
  .string()
  .min(1)
  .optional()
  .describe('Where lines wait on disk, so that a restart loses none; of one process alone. In memory, if absent.');

const waiting = {
  service: name.describe('One of `services`.'),
  minDelayMs: milliseconds(1000, 'Between two times that what waits is sent, at least; OPA has 300 s.'),
  maxDelayMs: milliseconds(5000, 'And at most, which is also the longest pause after a failure.'),
  maxChunkBytes: positive(32_768, 'Largest request, packed; a single line may exceed it.'),
  bufferDirectory: directory,
  maxBufferBytes: positive(64 * MIB, 'Lines that wait, in bytes; beyond it they are lost here, or Checks are refused.'),
};

const upload = z
  .strictObject({
    ...waiting,
    resource: z.string().min(1).default('logs').describe('Path at the service; `logs/PARTITION` in OPA.'),
  })
  .optional()
  .describe('Send lines to a service as OPA uploads decision logs: JSON arrays, gzipped.');

const otlp = z
  .strictObject({
    ...waiting,
    resource: z.string().min(1).default('v1/logs').describe('Path at the service.'),
  })
  .optional()
  .describe('Send lines to an OpenTelemetry collector (OTLP over HTTP, JSON).');

const chain = z
  .strictObject({
    keyFile: z.string().describe('PEM private key that signs checkpoints: P-256, P-384, Ed25519 or RSA.'),
    kid: z.string().min(1).describe('Names the key in checkpoints.'),
    checkpointEvery: positive(1000, 'Lines from one checkpoint to the next.'),
    checkpointMs: milliseconds(60_000, 'Longest time a line waits for a checkpoint.'),
  })
  .optional()
  .describe('Make changes evident: each line has the hash of the one before, checkpoints are signed.');

const shownArguments = z
  .array(
    z.strictObject({
      backend: name.describe('One of `resources[].name`.'),
      tool: z.string().min(1).describe('A tool of it; `*` is all of them.'),
      names: z.array(z.string().min(1)).min(1).describe('Arguments to show, with all that is in them; `*` is all of them.'),
    }),
  )
  .default([])
  .describe('Arguments whose values lines may show. Of all others they have the name alone.');

export const decisionLog = z
  .strictObject({
    file: z.string().min(1).default('-').describe('A file that grows; `-` is standard output, `none` is neither.'),
    maxBufferedBytes: positive(16 * MIB, 'Lines that wait for a slow file; beyond it Checks are refused.'),
    requireRecord: z
      .boolean()
      .default(false)
      .describe(
        'Refuse Checks while no sink can record them, and only then. Without it they are refused when the file cannot, and not for other sinks.',
      ),
    input: z.boolean().default(true).describe('Show what policy was asked; `policy replay` and `policy explain` need it.'),
    arguments: shownArguments,
    context: z.array(z.string().min(1)).default([]).describe("Entries of Envoy's `context_extensions` that lines may show."),
    upload,
    otlp,
    chain,
  })
  .prefault({})
  .describe('One JSON line for every Check: docs/decision-log.md.');

type DecisionLog = z.output<typeof decisionLog>;

/** Who of this section uses a service. */
export function decisionLogServices(log: DecisionLog | undefined): { readonly at: string; readonly service: string }[] {
  return (['upload', 'otlp'] as const).flatMap((sink) => {
    const service = log?.[sink]?.service;
    return service === undefined ? [] : [{ at: `decisionLog.${sink}.service`, service }];
  });
}

/** What no single setting can show. */
export function decisionLogProblems(log: DecisionLog | undefined, backends: readonly string[]): string[] {
  if (log === undefined) return [];
  const { file, upload: uploads, otlp: records } = log;
  const shared = uploads?.bufferDirectory !== undefined && uploads.bufferDirectory === records?.bufferDirectory;
  return [
    ...(file === 'none' && uploads === undefined && records === undefined
      ? ['decisionLog.file: with none there must be upload or otlp: decisions must be recorded']
      : []),
    ...(shared ? ['decisionLog.otlp.bufferDirectory: upload has the same'] : []),
    ...(['upload', 'otlp'] as const).flatMap((sink) => {
      const { minDelayMs = 0, maxDelayMs = 0 } = log[sink] ?? {};
      return minDelayMs > maxDelayMs ? [`decisionLog.${sink}.maxDelayMs: must not be smaller than minDelayMs`] : [];
    }),
    ...log.arguments.flatMap(({ backend }, index) =>
      backends.length === 0 || backends.includes(backend)
        ? []
        : [`decisionLog.arguments[${index}].backend: ${backend} is not among resources`],
    ),
  ];
}
