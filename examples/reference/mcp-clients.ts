/** The clients that can take the walk, each with what is its own: the revisions it ends up with and how it shows a refusal. */
import { connectMcpRemote } from './mcp-client-remote.ts';
import { connectV1 } from './mcp-client-v1.ts';
import { connectV2 } from './mcp-client-v2.ts';
import type { Connect } from './mcp-session.ts';

export type McpClient = {
  readonly name: string;
  readonly connect: Connect;
  /** The revision that the gateway sees: the ledger knows sessions only, the directory and the front door both eras. */
  readonly revisions: Readonly<Record<'enterprise-ledger' | 'employee-directory' | 'front-door', string>>;
  /** The message of the error that a refusal by policy becomes. */
  readonly showRefusal: (message: string) => string;
};

const LEGACY = '2025-11-25';
const MODERN = '2026-07-28';
const legacyOnly = { 'enterprise-ledger': LEGACY, 'employee-directory': LEGACY, 'front-door': LEGACY };
const modernWherePossible = { 'enterprise-ledger': LEGACY, 'employee-directory': MODERN, 'front-door': MODERN };
const bare = (message: string) => message;
const withCode = (message: string) => `MCP error -31403: ${message}`;

export const CLIENTS = {
  v1: { name: 'SDK v1', connect: connectV1, revisions: legacyOnly, showRefusal: withCode },
  'v2-legacy': { name: 'SDK v2, legacy era', connect: connectV2('legacy'), revisions: legacyOnly, showRefusal: bare },
  'v2-modern': { name: 'SDK v2, modern era', connect: connectV2('auto'), revisions: modernWherePossible, showRefusal: bare },
  'mcp-remote': { name: 'mcp-remote', connect: connectMcpRemote('legacy'), revisions: legacyOnly, showRefusal: withCode },
  'mcp-remote-auto': {
    name: 'mcp-remote --protocol auto',
    connect: connectMcpRemote('auto'),
    revisions: modernWherePossible,
    showRefusal: withCode,
  },
} as const satisfies Record<string, McpClient>;

export type ClientKind = keyof typeof CLIENTS;

/** The client of that name; null where there is none. */
export function findClient(kind: string): McpClient | null {
  return Object.hasOwn(CLIENTS, kind) ? CLIENTS[kind as ClientKind] : null;
}
