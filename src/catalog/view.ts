/** What the sidecar knows of a backend that it has asked itself. */

/** What a backend lists, and tells of when it changes. */
export const LISTS = ['tools', 'prompts', 'resources'] as const;

export type List = (typeof LISTS)[number];

export interface CatalogTool {
  readonly name: string;
  readonly title: string | null;
  readonly description: string | null;
  /** `readOnlyHint`, `destructiveHint` …: the backend's own word. */
  readonly annotations: Readonly<Record<string, unknown>>;
  readonly inputSchema: Readonly<Record<string, unknown>>;
  readonly outputSchema?: Readonly<Record<string, unknown>>;
  /** SHA-256 of what a model is told of the tool; what was approved is compared by it. */
  readonly fingerprint: string;
}

export interface BackendView {
  /** The last time it was asked, it answered. What it said before is kept while it does not. */
  readonly reachable: boolean;
  /** Which eras it speaks; legacy up to 2025-11-25, modern from 2026-07-28. */
  readonly eras: { readonly legacy: boolean; readonly modern: boolean };
  /** As it told in `initialize` or `server/discover`. */
  readonly capabilities: Readonly<Record<string, unknown>>;
  readonly instructions: string | null;
  readonly tools: ReadonlyMap<string, CatalogTool>;
  readonly resourceUris: ReadonlySet<string>;
  /** RFC 6570 templates. */
  readonly resourceTemplates: readonly string[];
}

/** Null for a backend that has never answered. */
export type Views = (backend: string) => BackendView | null;
