/**
 * A policy to be asked about whatever is given to it, as the sidecar would decide: compiled to WebAssembly, evaluated by the
 * sidecar's own engine, its answers read as strictly. It runs in this thread and has no deadline: it is for people and for CI.
 */
import { readFile } from 'node:fs/promises';
import type { Opa } from '../opa/opa.ts';
import { type Outbound, readInbound, readOutbound, readResultSet } from '../policy/decision.ts';
import { ENTRYPOINTS, type Entrypoint, loadEngine, PolicyRefused } from '../policy/engine.ts';
import type { Reason } from '../reasons.ts';
import type { Result } from '../result.ts';
import type { Denial } from '../verdict.ts';
import { type ReadArchive, readArchive } from './archive.ts';
import { describeFileProblem, ToolError } from './io.ts';
import { describeProblems, draftRevision, isFolder, type PolicyFiles, readPolicyFolder } from './policy-files.ts';

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
  readonly files: PolicyFiles;
  /** The data document. */
  readonly data: object;
  /** @param input JSON text. @param atMs what `time.now_ns` is to be, epoch milliseconds. */
  readonly ask: (input: string, atMs: number) => Judged;
}

export interface JudgeOptions {
  readonly maxMemoryBytes?: number;
  readonly maxTtlSeconds: number;
}

/** As many as the configuration may allow: what was recorded has passed its own limit. */
export const MOST_TTL_SECONDS = 60;
const MAX_MEMORY_BYTES = 1 << 27;

/** @param path a bundle, or a folder of Rego. Rejects with ToolError. */
export async function openJudge(path: string, opa: Opa, options: JudgeOptions): Promise<Judge> {
  const folder = isFolder(path);
  try {
    const read = await readArchive(folder ? await buildFolder(path, opa) : await readOrFail(path), opa);
    // Of a folder the sources are its own: a bundle made for wasm has no entry points in its Rego.
    const files = folder ? readPolicyFolder(path) : read.files;
    return {
      path,
      isFolder: folder,
      revision: read.revision,
      digest: read.digest,
      files,
      data: read.data,
      ask: await asker(read, options),
    };
  } catch (cause) {
    if (cause instanceof PolicyRefused) throw new ToolError(`${path}: the sidecar would not load it: ${cause.message}`);
    throw cause;
  }
}

async function readOrFail(path: string): Promise<Uint8Array> {
  return readFile(path).catch((cause: unknown) => {
    throw describeFileProblem(path, cause);
  });
}

async function buildFolder(path: string, opa: Opa): Promise<Uint8Array> {
  const files = readPolicyFolder(path);
  const answer = await opa.ask({
    command: 'build',
    target: 'wasm',
    files,
    entrypoints: Object.values(ENTRYPOINTS),
    revision: draftRevision(files),
    as_bundle: '.manifest' in files,
  });
  if (answer.errors !== undefined) throw new ToolError(`${path}: it does not compile:\n${describeProblems(answer.errors)}`);
  return Buffer.from(answer.result.bundle, 'base64');
}

async function asker({ wasm, data }: ReadArchive, options: JudgeOptions): Promise<Judge['ask']> {
  let now = 0;
  const engine = await loadEngine({ wasm, data, maxMemoryBytes: options.maxMemoryBytes ?? MAX_MEMORY_BYTES, now: () => now });
  const declared = declaredArguments(data);
  return (input, atMs) => {
    now = atMs;
    const evaluate = engine.take(declared === null ? input : keepDeclared(input, declared));
    const answer = <T>(entrypoint: Entrypoint, read: (result: unknown) => Result<T>): Result<T> => {
      const results = evaluate(entrypoint);
      return results.ok ? read(readResultSet(results.value)) : results;
    };
    const inbound = answer('inbound', readInbound);
    if (!inbound.ok) return { inbound: refused(inbound.denial), outbound: null, token: null };
    const outbound = answer('outbound', (result) => readOutbound(result, options.maxTtlSeconds));
    return outbound.ok
      ? { inbound: ALLOWED, outbound: ALLOWED, token: outbound.value }
      : { inbound: ALLOWED, outbound: refused(outbound.denial), token: null };
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

type Declared = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

function declaredArguments(data: object): Declared | null {
  return (data as { mcp?: { arguments?: Declared } }).mcp?.arguments ?? null;
}

/** A bundle that declares the arguments it reads is given no others: `data.mcp.arguments[backend][tool]`. */
function keepDeclared(input: string, declared: Declared): string {
  const parsed = JSON.parse(input) as { mcp?: { backend?: string; tool?: string | null; arguments?: Record<string, unknown> } };
  const { backend = '', tool, arguments: given } = parsed.mcp ?? {};
  const tools = Object.hasOwn(declared, backend) ? declared[backend] : undefined;
  if (tools === undefined || typeof tool !== 'string' || given === null || typeof given !== 'object') return input;
  const names = Object.hasOwn(tools, tool) ? tools[tool] : tools['*'];
  if (!Array.isArray(names)) return input;
  const kept = Object.fromEntries(Object.entries(given).filter(([name]) => names.includes(name)));
  return JSON.stringify({ ...parsed, mcp: { ...parsed.mcp, arguments: kept } });
}
