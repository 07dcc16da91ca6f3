/** Settings of policy: where bundles come from, who signs them, what one evaluation may cost, and the candidate beside. */
import { z } from 'zod';
import { SIGNATURE_ALGORITHMS } from '../bundle/signature.ts';
import { MAX_MS, MIB, milliseconds, policyHeader, positive, secret } from './parts.ts';
import { shadowRules } from './shadow.ts';

const bundleFile = z
  .string()
  .optional()
  .describe('A bundle in a file: put it there with a rename. Looked at again as `polling` says. This or `bundle`.');

const bundle = z
  .strictObject({
    service: z.string().describe('One of `services`.'),
    resource: z
      .string()
      .min(1)
      .refine((path) => !/[\s#]/.test(path), 'use a path, perhaps with a query')
      .describe("Appended to the service's URL, such as `bundles/mcp.tar.gz`."),
  })
  .optional()
  .describe('A bundle from a bundle server, as OPA fetches it. This or `bundleFile`.');

const polling = z
  .strictObject({
    minDelayMs: milliseconds(10_000, 'The next look comes no sooner than this.'),
    maxDelayMs: milliseconds(20_000, 'And no later than this. After failures the wait grows up to it.'),
    longPollingTimeoutMs: z
      .int()
      .min(1000)
      .max(MAX_MS)
      .optional()
      .describe('How long a server that can may keep us waiting for what is new; without it none is asked to.'),
  })
  .refine(({ minDelayMs, maxDelayMs }) => minDelayMs <= maxDelayMs, {
    path: ['minDelayMs'],
    message: 'must not be above maxDelayMs',
  });

const key = z
  .strictObject({
    id: z.string().min(1).describe('`keyid` in signatures.'),
    algorithm: z.enum(SIGNATURE_ALGORITHMS).default('RS256').describe('The only one accepted with this key.'),
    publicKeyFile: z.string().optional().describe('PEM public key; with RS, PS, ES and EdDSA.'),
    secret: secret.optional(),
  })
  .refine(
    ({ algorithm, publicKeyFile, secret: shared }) =>
      algorithm.startsWith('HS')
        ? shared !== undefined && publicKeyFile === undefined
        : publicKeyFile !== undefined && shared === undefined,
    'needs publicKeyFile, or with HS256, HS384 and HS512 a secret',
  );

const signing = z
  .strictObject({
    keyId: z.string().min(1).describe('The one of `policy.keys` that signs. A bundle signed with another is refused.'),
    scope: z.string().min(1).optional().describe('`scope` that its signatures must have.'),
    excludeFiles: z
      .array(z.string().min(1))
      .default([])
      .describe('Patterns of files that need not be signed, as `opa` takes them. Never policy or data.'),
  })
  .optional()
  .describe('Bundles must be signed: a bundle without a good signature is refused.');

export const policy = z
  .strictObject({
    bundleFile,
    bundle,
    polling: polling.prefault({}).describe('How often the source is looked at.'),
    keys: z.array(key).default([]).describe('Who may sign bundles. Keys without `signing` are a mistake, and so is the reverse.'),
    signing,
    persistDirectory: z
      .string()
      .optional()
      .describe(
        'A folder of this process alone: the last good bundle, started from when the server is down, and the revisions that were in force. Without it a restart forgets both.',
      ),
    maxBundleBytes: positive(16 * MIB, 'Largest bundle, packed and unpacked.'),
    maxMemoryBytes: positive(32 * MIB, 'Memory of one evaluation, beside what policy and data occupy.', 4096 * MIB),
    maxDataMemoryBytes: positive(
      512 * MIB,
      'What policy and data may occupy, in each thread. Data take ten to a hundred times their size as JSON: docs/bundles.md#large-data.',
      4096 * MIB,
    ),
    timeoutMs: milliseconds(100, 'Time of one evaluation; beyond it the request is refused as `policy_timeout`.'),
    workers: z.int().min(1).max(64).default(2).describe('Threads that evaluate.'),
    compileTimeoutMs: milliseconds(60_000, 'Time to compile a bundle of plain Rego; beyond it the bundle is refused.'),
    headers: z.array(policyHeader).default([]).describe('Request headers that policy may see.'),
    shadow: z
      .strictObject({
        bundleFile,
        bundle,
        polling: polling.prefault({}).describe('As that of `policy`.'),
        signing,
        ...shadowRules,
      })
      .optional()
      .describe('A candidate beside the policy in force: asked too, never obeyed.'),
  })
  .describe('Who may do what.');

type Policy = z.output<typeof policy>;

/** What no single setting of them can show. */
export function policyProblems(given: Policy | undefined): string[] {
  if (given === undefined) return [];
  const { keys, shadow } = given;
  const ids = keys.map(({ id }) => id);
  return [
    ...sourceProblems('policy', given, ids),
    ...(shadow === undefined ? [] : sourceProblems('policy.shadow', shadow, ids)),
    ...ids.flatMap((id, index) => (ids.indexOf(id) < index ? [`policy.keys[${index}].id: ${id} is there twice`] : [])),
    ...(keys.length > 0 && given.signing === undefined
      ? ['policy.keys: without policy.signing no signature would be asked for']
      : []),
    ...(keys.length > 0 && shadow !== undefined && shadow.signing === undefined
      ? ['policy.shadow.signing: needed where there are policy.keys: what is promoted must be signed']
      : []),
  ];
}

type Source = Pick<Policy, 'bundleFile' | 'bundle' | 'signing'>;

function sourceProblems(
  at: string,
  { bundleFile: file, bundle: fetched, signing: rules }: Source,
  ids: readonly string[],
): string[] {
  return [
    ...(file === undefined && fetched === undefined ? [`${at}: needs bundleFile or bundle`] : []),
    ...(file !== undefined && fetched !== undefined ? [`${at}: bundleFile or bundle, not both`] : []),
    ...(rules !== undefined && !ids.includes(rules.keyId)
      ? [`${at}.signing.keyId: ${rules.keyId} is not among policy.keys`]
      : []),
  ];
}
