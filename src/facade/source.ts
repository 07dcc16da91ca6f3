/**
 * The metadata of the real authorization server: fetched when first asked for, kept, and fetched again beside the requests
 * once it is old. Never two fetches at a time, and after a failed one a pause, for whoever asks here needs no token.
 */
import type { JsonObject } from '../mcp/message.ts';

export interface SourceOptions {
  /** Resolves metadata whose `issuer` was found to be the right one, or rejects. */
  readonly discover: () => Promise<JsonObject>;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
}

/** At once where it is held; else a promise, which rejects where it cannot be had. */
export type MetadataSource = () => JsonObject | Promise<JsonObject>;

const MAX_AGE_MS = 300_000;
/** As old as this it may lead clients to where nobody is any more. */
const MAX_STALE_MS = 86_400_000;
const COOLDOWN_MS = 1000;

export function createMetadataSource({ discover, clock }: SourceOptions): MetadataSource {
  let held: { readonly metadata: JsonObject; readonly at: number } | null = null;
  let failure: { readonly cause: unknown; readonly at: number } | null = null;
  let pending: Promise<JsonObject> | null = null;

  function refresh(): Promise<JsonObject> {
    if (pending === null && failure !== null && clock() - failure.at < COOLDOWN_MS) return Promise.reject(failure.cause);
    pending ??= discover()
      .then(
        (metadata) => {
          held = { metadata, at: clock() };
          failure = null;
          return metadata;
        },
        (cause: unknown) => {
          failure = { cause, at: clock() };
          throw cause;
        },
      )
      .finally(() => {
        pending = null;
      });
    return pending;
  }

  return () => {
    const age = held === null ? Number.POSITIVE_INFINITY : clock() - held.at;
    if (held === null || age > MAX_STALE_MS) return refresh();
    // What is held serves on meanwhile, also where this fails.
    if (age > MAX_AGE_MS) void refresh().catch(() => {});
    return held.metadata;
  };
}
