/**
 * A policy to be asked about whatever is given to it, as the sidecar would decide: compiled to WebAssembly, evaluated by the
 * sidecar's own engine, its answers read as strictly. It runs in this thread and has no deadline: it is for people and for CI.
 */
import { isObject, type JsonObject } from '../mcp/message.ts';
import type { Opa } from '../opa/opa.ts';
import { type Outbound, readInbound, readOutbound, readResultSet } from '../policy/decision.ts';
import { indexDeclared, pickDeclared, readDeclared } from '../policy/declared-arguments.ts';
import { compileModule, createEngine, ENTRYPOINTS, type Entrypoint } from '../policy/engine.ts';
import type { Reason } from '../reasons.ts';
import type { Result } from '../result.ts';
import type { Denial } from '../verdict.ts';
import { loadArchive, readArchive } from './loading.ts';
import { draftRevision, isFolder } from './policy-files.ts';
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
  readonly maxMemoryBytes?: number;
  readonly maxTtlSeconds: number;
}

/** As many as the configuration may allow: what was recorded has passed its own limit. */
export const MOST_TTL_SECONDS = 60;
const MAX_MEMORY_BYTES = 1 << 27;

/** @param path a bundle, or a folder of Rego. Rejects with ToolError. */
export async function openJudge(path: string, opa: Opa, options: JudgeOptions): Promise<Judge> {
  const folder = isFolder(path) ? await readSourceFolder(path) : null;
  const sources = folder === null ? null : withoutTests(folder.files);
  const revision = sources === null ? undefined : draftRevision(sources);
  const bundle = await loadArchive(opa, await readArchive(opa, path, revision));
  const data = JSON.parse(bundle.data) as JsonObject;
  return {
    path,
    isFolder: folder !== null,
    revision: bundle.revision,
    digest: bundle.digest,
    // Of a folder the sources are its own: a bundle made for wasm has no entry points in its Rego.
    files: sources ?? { ...bundle.modules, 'data.json': bundle.data },
    data,
    ask: await asker(bundle.wasm, data, options),
  };
}

async function asker(wasm: Uint8Array, data: JsonObject, options: JudgeOptions): Promise<Judge['ask']> {
  let now = 0;
  const module = await compileModule(wasm);
  const maxMemoryBytes = options.maxMemoryBytes ?? MAX_MEMORY_BYTES;
  const engine = createEngine({ module, data, maxMemoryBytes, now: () => now });
  const declared = indexDeclared(readDeclared(data));
  return (input, atMs) => {
    now = atMs;
    const evaluate = engine.take(keepDeclared(input, declared));
    const answer = <T>(entrypoint: Entrypoint, read: (result: unknown) => Result<T>): Result<T> => {
      const results = evaluate(ENTRYPOINTS[entrypoint]);
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

/** A bundle that declares the arguments it reads is given no others. */
function keepDeclared(input: string, declared: ReturnType<typeof indexDeclared>): string {
  const parsed = JSON.parse(input) as { mcp?: { backend?: string; tool?: string | null; arguments?: unknown } };
  const { backend = '', tool, arguments: given } = parsed.mcp ?? {};
  const names = typeof tool === 'string' && isObject(given) ? declared(backend, tool) : null;
  if (names === null || !isObject(given)) return input;
  return JSON.stringify({ ...parsed, mcp: { ...parsed.mcp, arguments: pickDeclared(given, names) } });
}
