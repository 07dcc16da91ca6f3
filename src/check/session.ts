/**
 * `Mcp-Session-Id` as the client holds it: the backends' own ids, bound to who began the session and sealed. Nothing is
 * kept here, so any replica can read it; a token that was refreshed names the same principal and goes on.
 */
import { createHash } from 'node:crypto';
import type { Revision } from '../mcp/revisions.ts';
import type { Sealer } from '../seal.ts';
import type { Principal } from '../token/principal.ts';

/** What one backend knows of a session. */
export interface BackendSession {
  /** Its own `Mcp-Session-Id`; null where it keeps no sessions. */
  readonly id: string | null;
  readonly revision: Revision;
}

export interface Session {
  /** Of the principal that began it: `principalKey`. */
  readonly principal: string;
  /** Name of the resource at which it was begun. */
  readonly resource: string;
  readonly backends: Readonly<Record<string, BackendSession>>;
}

/** Issuer, subject and client, as one short text. */
export function principalKey(principal: Principal): string {
  const known = keys.get(principal);
  if (known !== undefined) return known;
  const { issuer, subject, clientId } = principal;
  const key = createHash('sha256')
    .update(JSON.stringify([issuer, subject, clientId]))
    .digest('base64url')
    .slice(0, 22);
  keys.set(principal, key);
  return key;
}

/** A principal lasts as long as its verified token is kept, and is asked about with every request. */
const keys = new WeakMap<Principal, string>();

export function sealSession(sealer: Sealer, { principal, resource, backends }: Session): string {
  const entries = Object.entries(backends).map(([name, { id, revision }]) => [name, id, revision]);
  return sealer.seal('session', [principal, resource, ...entries]);
}

/** Null: no id of ours. */
export function openSession(sealer: Sealer, id: string): Session | null {
  const opened = sealer.open('session', id);
  if (!Array.isArray(opened)) return null;
  const [principal, resource, ...entries] = opened as [string, string, ...[string, string | null, Revision][]];
  return {
    principal,
    resource,
    backends: Object.fromEntries(entries.map(([name, backendId, revision]) => [name, { id: backendId, revision }])),
  };
}

/** Whether a value read from a backend's header can be carried in a session: visible ASCII (MCP, session management). */
export function isSessionId(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{1,1024}$/.test(value);
}
