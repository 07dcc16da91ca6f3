/**
 * A policy to be asked about whatever is given to it, as the sidecar would decide: compiled to WebAssembly, evaluated by the
 * sidecar's own engine, its answers read as strictly. It runs in this thread and has no deadline: it is for people and for CI.
 */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Bundle } from '../bundle/bundle.ts';
import type { Opa } from '../opa/opa.ts';
import type { Outbound } from '../policy/decision.ts';
import type { Reason } from '../reasons.ts';
import type { Denial } from '../verdict.ts';
import { openEngine } from './engine.ts';
import { describeFileProblem, ToolError } from './io.ts';
import { buildArchive, loadArchive } from './loading.ts';
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
  /** @param input JSON text. @param atMs what `time.now_ns` is to be, epoch milliseconds. */
  readonly ask: (input: string, atMs: number) => Judged;
}

export interface JudgeOptions {
  readonly maxTtlSeconds: number;
}

/** As many as the configuration may allow: what was recorded has passed its own limit. */
export const MOST_TTL_SECONDS = 60;

/** @param path a bundle, or a folder of Rego and data. Rejects with ToolError. */
export async function openJudge(path: string, opa: Opa, options: JudgeOptions): Promise<Judge> {
  const folder = await isFolder(path);
  const sources = folder ? withoutTests((await readSourceFolder(path)).files) : null;
  const bundle = await load(path, sources, opa);
  const data = JSON.parse(bundle.data) as object;
  return {
    path,
    isFolder: folder,
    revision: bundle.revision,
    digest: bundle.digest,
    // Of a folder the sources are its own: of a bundle made for wasm OPA leaves out the entry points.
    files: sources ?? { ...bundle.modules, 'data.json': bundle.data },
    data,
    ask: await asker(bundle, data, options),
  };
}

export async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch((cause: unknown) => {
    throw describeFileProblem(path, cause);
  });
  return found.isDirectory();
}

async function load(path: string, files: Files | null, opa: Opa): Promise<Bundle> {
  try {
    if (files === null) return await loadArchive(opa, await readFile(path));
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

async function asker(bundle: Bundle, data: object, { maxTtlSeconds }: JudgeOptions): Promise<Judge['ask']> {
  let now = 0;
  const engine = await openEngine(bundle, { maxTtlSeconds, now: () => now });
  const declared = declaredArguments(data);
  return (input, atMs) => {
    now = atMs;
    const { inbound, outbound } = engine.answer(declared === null ? input : keepDeclared(input, declared));
    return {
      inbound: inbound.ok ? ALLOWED : refused(inbound.denial),
      outbound: outbound === null ? null : outbound.ok ? ALLOWED : refused(outbound.denial),
      token: outbound?.ok === true ? outbound.value : null,
    };
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
