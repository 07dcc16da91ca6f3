/** The protocol revisions of MCP and the two eras they fall into. */

export const REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'] as const;

export type Revision = (typeof REVISIONS)[number];

/** legacy: an `initialize` handshake, up to 2025-11-25. modern: metadata on every request, from 2026-07-28. */
export type Era = 'legacy' | 'modern';

/** The first of the modern era. */
export const MODERN = '2026-07-28' satisfies Revision;
export const LATEST_LEGACY: Revision = '2025-11-25';
/** What a server assumes of a legacy client that sends no MCP-Protocol-Version (MCP 2025-06-18, transports). */
export const ASSUMED_LEGACY: Revision = '2025-03-26';

export function isRevision(value: unknown): value is Revision {
  return REVISIONS.includes(value as Revision);
}

export function eraOf(revision: Revision): Era {
  return revision >= MODERN ? 'modern' : 'legacy';
}
