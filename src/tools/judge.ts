/**
 * A policy to be asked about whatever is given to it, as the sidecar would decide: compiled to WebAssembly, evaluated by the
 * sidecar's own engine, its answers read as strictly. Where an evaluation may never end it is asked in a thread of its own, which
 * is ended then.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Bundle } from '../bundle/bundle.ts';
import type { JsonObject } from '../mcp/message.ts';
import type { Opa } from '../opa/opa.ts';
import type { Outbound } from '../policy/decision.ts';
import { loadPolicy } from '../policy/policy.ts';
import type { Reason } from '../reasons.ts';
import type { Denial } from '../verdict.ts';
import { openEngine, type ToolAnswer } from './engine.ts';
import { isFolder, ToolError } from './io.ts';
import { buildArchive, loadArchive, PATIENT } from './loading.ts';
import { createParing, type Paring } from './pared-input.ts';
import { type Files, readSourceFolder, withoutTests } from './source-folder.ts';

/** What one rule said. */
export interface Said {
  readonly allow: boolean;
  readonly reason: Reason;
  readonly message?: string;
  readonly requiredScopes?: readonly string[];
  /** Why an answer is none: for whoever wrote the policy. */
  readonly cause?: string;
}

export interface Judged {
  readonly inbound: Said;
  /** Null where inbound did not allow. */
  readonly outbound: Said | null;
  readonly token: Outbound | null;
}

export interface Judge {
  /** As it was given: a folder or a file. */
  readonly path: string;
  readonly revision: string;
  readonly digest: string;
  readonly isFolder: boolean;
  /** Rego and data for OPA. Of a bundle made for wasm the entry points are missing. */
  readonly files: Files;
  /** The data document. */
  readonly data: object;
  /** In this thread, without a deadline. @param input JSON text. @param atMs what `time.now_ns` is to be, epoch milliseconds. */
  readonly ask: (input: string, atMs: number) => Judged;
  /** For many questions with a deadline each. */
  readonly openTimed: (timeoutMs: number) => Promise<TimedJudge>;
  /** The same, with a deadline: what takes longer comes out as `policy_timeout`. */
  readonly askInTime: (input: string, atMs: number) => Promise<Judged>;
  /** What it sees of an input: no arguments but those that its data declares. It is asked about no other. */
  readonly pare: Paring['pare'];
}

export interface TimedJudge {
  /** What takes longer comes out as `policy_timeout`. */
  readonly ask: (input: string, atMs: number) => Promise<Judged>;
  readonly close: () => Promise<void>;
}

export interface JudgeOptions {
  readonly maxTtlSeconds: number;
}

/** As many as the configuration may allow: what was recorded has passed its own limit. */
export const MOST_TTL_SECONDS = 60;

/**
 * @param path a bundle, or a folder of Rego and data.
 * @param archive the bundle, where it was read already: `path` is only its name. Rejects with ToolError.
 */
export async function openJudge(path: string, opa: Opa, options: JudgeOptions, archive?: Uint8Array): Promise<Judge> {
  const folder = archive === undefined && (await isFolder(path));
  const sources = folder ? withoutTests((await readSourceFolder(path)).files) : null;
  const bundle = await load(path, archive ?? sources, opa);
  const data = JSON.parse(bundle.data) as JsonObject;
  const paring = createParing(data);
  return {
    path,
    isFolder: folder,
    revision: bundle.revision,
    digest: bundle.digest,
    // Of a folder the sources are its own: of a bundle made for wasm OPA leaves out the entry points.
    files: sources ?? { ...bundle.modules, 'data.json': bundle.data },
    data,
    ask: await asker(bundle, paring, options),
    openTimed: (timeoutMs) => openTimed(bundle, paring, { ...options, timeoutMs }),
    askInTime: async (input, atMs) => {
      const timed = await openTimed(bundle, paring, { ...options, timeoutMs: PATIENT.timeoutMs });
      return timed.ask(input, atMs).finally(timed.close);
    },
    pare: paring.pare,
  };
}

async function load(path: string, given: Uint8Array | Files | null, opa: Opa): Promise<Bundle> {
  try {
    if (given === null) return await loadArchive(opa, await readFile(path));
    if (given instanceof Uint8Array) return await loadArchive(opa, given);
    const files = given;
    const folder = { path, files, schemas: {} };
    return await loadArchive(opa, await buildArchive(opa, folder, { target: 'wasm', revision: draftRevision(files) }));
  } catch (cause) {
    // Nothing was found out: that is no finding.
    throw cause instanceof ToolError ? new ToolError(`${path}: ${cause.message}`) : cause;
  }
}

/** What a folder is called where a bundle has its revision. */
function draftRevision(files: Files): string {
  return `draft-${createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 12)}`;
}

async function asker(bundle: Bundle, { pareText }: Paring, { maxTtlSeconds }: JudgeOptions): Promise<Judge['ask']> {
  let now = 0;
  const engine = await openEngine(bundle, { maxTtlSeconds, now: () => now });
  return (input, atMs) => {
    now = atMs;
    return judgedOf(engine.answer(pareText(input)));
  };
}

async function openTimed(
  bundle: Bundle,
  { pareText }: Paring,
  { maxTtlSeconds, timeoutMs }: JudgeOptions & { readonly timeoutMs: number },
): Promise<TimedJudge> {
  const policy = await loadPolicy(bundle, { ...PATIENT, maxTtlSeconds, timeoutMs });
  return {
    // It waits for no other: the deadline is that of the evaluation alone.
    ask: async (input, nowMs) =>
      judgedOf(await policy.ask({ input: pareText(input), caller: 'tool', deadlineMs: Number.POSITIVE_INFINITY, nowMs })),
    close: policy.close,
  };
}

function judgedOf({ inbound, outbound }: ToolAnswer): Judged {
  return {
    inbound: inbound.ok ? ALLOWED : refused(inbound.denial),
    outbound: outbound === null ? null : outbound.ok ? ALLOWED : refused(outbound.denial),
    token: outbound?.ok === true ? outbound.value : null,
  };
}

const ALLOWED: Said = { allow: true, reason: 'allowed' };

function refused({ reason, message, requiredScopes, cause }: Denial): Said {
  return {
    allow: false,
    reason,
    ...(message === undefined ? {} : { message }),
    ...(requiredScopes === undefined ? {} : { requiredScopes }),
    ...(typeof cause === 'string' ? { cause } : {}),
  };
}
