/** `mcp-ext-authz policy bench`: what an evaluation costs, measured with the sidecar's own engine and inputs as they come. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { policy } from '../config-schema/policy.ts';
import { type Opa, openOpa } from '../opa/opa.ts';
import { type Reason, reasonRow } from '../reasons.ts';
import { threadUrl } from '../thread-url.ts';
import type { BenchResult, BenchTask, Timing } from './bench-thread.ts';
import { readInputs } from './inputs.ts';
import { EXIT, type Io, readArguments, readNumber, showProgress, ToolError } from './io.ts';
import { loadArchive, OPA_OPTIONS, readArchive } from './loading.ts';

export const HELP = `mcp-ext-authz policy bench [BUNDLE|DIR]

Measures how long the sidecar's own engine takes for a policy: a bundle, or the folder of its sources (here: the current one).
One thread, nothing else going on: a sidecar under load is slower, and HTTP, tokens and the exchange are not in it.

  --input FILE     one input, an array of inputs, or a decision log; without it, one call that was made up
  --seconds N      how long to measure (default 3, at most 60)

Exits with 0, with 1 where the policy would not load, does not come to an end or gives no answer that counts, with 2 where it
was not asked as it should be.
`;

const OPTIONS = { input: { type: 'string' }, seconds: { type: 'string', default: '3' } } as const;

/** What the sidecar does where its configuration does not say. */
const DEFAULTS = policy.shape;

const MAX_INPUTS = 10_000;
/** Of one evaluation, beyond the time asked for. */
const PATIENCE_MS = 10_000;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS, 1);
  const seconds = readNumber('--seconds', values.seconds, { least: 0.1, most: 60 });
  const { inputs, without } =
    values.input === undefined ? { inputs: [SAMPLE], without: 0 } : await readInputs(values.input, MAX_INPUTS);
  const path = positionals[0] ?? '.';
  const maxMemoryBytes = DEFAULTS.maxMemoryBytes.parse(undefined);
  const opa = openOpa(OPA_OPTIONS);
  try {
    const { bundle, compileMs } = await showProgress('compiling', io, () => load(opa, path));
    await opa.close();
    const task = {
      wasm: bundle.wasm,
      data: bundle.data,
      inputs: inputs.map((one) => JSON.stringify(one)),
      seconds,
      maxMemoryBytes,
    };
    const result = await showProgress('measuring', io, () => measure(task));
    io.out.write(
      [
        `policy      ${path}, revision ${bundle.revision}, ${bundle.wasm.length} bytes of wasm, ${bundle.data.length} of data`,
        `inputs      ${values.input === undefined ? 'one that was made up: --input takes your own' : `${inputs.length} of ${values.input}`}${without === 0 ? '' : `, ${without} lines had none`}`,
        `read        ${Math.round(compileMs)} ms, compiling included; loaded in ${result.loadMs.toFixed(1)} ms`,
        `decision    ${describeTiming(result.decisions)}`,
        `inbound     ${describeTiming(result.inbound)}`,
        `decided     ${describeReasons(result.reasons)}`,
        ...describeSlow(result.decisions),
        '',
      ].join('\n'),
    );
    return isBroken(result.reasons) ? EXIT.found : EXIT.fine;
  } finally {
    await opa.close();
  }
}

async function load(opa: Opa, path: string) {
  const archive = await readArchive(opa, path);
  const begun = performance.now();
  const bundle = await loadArchive(opa, archive);
  return { bundle, compileMs: performance.now() - begun };
}

async function measure(task: BenchTask): Promise<BenchResult> {
  const worker = new Worker(threadUrl('bench-thread', import.meta.url), { workerData: task });
  const timeout = AbortSignal.timeout(task.seconds * 1000 + PATIENCE_MS);
  try {
    const [result] = (await once(worker, 'message', { signal: timeout })) as [BenchResult];
    return result;
  } catch (cause) {
    if (!timeout.aborted) throw cause;
    throw new ToolError(`one evaluation took longer than ${PATIENCE_MS / 1000} s: the sidecar would end it`, EXIT.found);
  } finally {
    await worker.terminate();
  }
}

function describeTiming({ perSecond, p50Us, p99Us, maxUs }: Timing): string {
  const [p50, p99, max] = [p50Us, p99Us, maxUs].map((us) => us.toFixed(1));
  return `${Math.round(perSecond)} a second; p50 ${p50} µs, p99 ${p99} µs, longest ${max} µs`;
}

function describeSlow({ p50Us, p99Us }: Timing): string[] {
  const timeoutMs = DEFAULTS.timeoutMs.parse(undefined);
  const slow = [p50Us > timeoutMs * 1000 ? 'p50' : null, p99Us > timeoutMs * 1000 ? 'p99' : null].filter((one) => one !== null);
  return slow.length === 0
    ? []
    : [`slow        ${slow.join(' and ')} above policy.timeoutMs (${timeoutMs} ms): the sidecar would refuse as policy_timeout`];
}

/** Nothing was decided: what was measured is how fast it fails. */
function isBroken(reasons: Readonly<Record<string, number>>): boolean {
  return Object.keys(reasons).every((reason) => reasonRow(reason as Reason).outcome === 'error');
}

function describeReasons(reasons: Readonly<Record<string, number>>): string {
  const total = Object.values(reasons).reduce((sum, one) => sum + one, 0);
  return Object.entries(reasons)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${reason} ${Math.round((100 * count) / total)} %`)
    .join(', ');
}

/** A call of nobody in particular. */
const SAMPLE = {
  version: 1,
  mcp: {
    era: 'legacy',
    revision: '2025-11-25',
    kind: 'request',
    method: 'tools/call',
    targets: [{ type: 'tool', name: 'example' }],
    tool: 'example',
    arguments: { id: 'A-1', amount: 250.5, note: 'of fifty characters or so, as people write them' },
    backend: 'example',
  },
  principal: {
    issuer: 'https://idp.example',
    subject: 'alice',
    clientId: 'client',
    scopes: ['example:read'],
    audience: ['https://gateway.example/example/mcp'],
    actor: [],
    claims: { roles: ['employee'] },
    expiresAt: 1_900_000_000,
    tokenId: 'token-1',
    binding: null,
  },
  tool: { title: 'Example', annotations: { readOnlyHint: true }, known: true },
  request: {
    method: 'POST',
    host: 'gateway.example',
    path: '/example/mcp',
    sourceIp: '192.0.2.7',
    sourcePrincipal: null,
    time: '2026-11-20T12:00:00Z',
    headers: {},
    context: {},
  },
};
