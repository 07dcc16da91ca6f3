/**
 * An authorization server, either backend and the hand-played gateway, started together and stopped after the test.
 */
import type { TestContext } from 'node:test';
import * as oauth from 'oauth4webapi';
import {
  type AuthorizationServer,
  type AuthorizationServerOptions,
  startAuthorizationServer,
} from '../../../examples/reference/authorization-server.ts';
import { referenceBackends } from '../../../examples/reference/backends.ts';
import type { BackendOptions, RequestRecord, RunningBackend } from '../../../examples/reference/guarded-server.ts';
import { signIn } from '../../../examples/reference/sign-in.ts';
import { createExchange, type Exchange } from './gateway.ts';

export const ledgerUrl = 'https://localhost:8443/enterprise-ledger/mcp';
export const directoryUrl = 'https://localhost:8443/employee-directory/mcp';
export const ledgerAudience = 'https://enterprise-ledger.internal/mcp';
export const directoryAudience = 'https://employee-directory.internal/mcp';
export const allScopes = 'ledger:read ledger:write pii:read audit:read directory:read';

/** Starts an authorization server that stops after the test. */
export async function startIssuer(
  t: TestContext,
  options: Partial<AuthorizationServerOptions> = {},
): Promise<AuthorizationServer> {
  const backends = referenceBackends(['https://localhost:8443', 'https://gateway.example']);
  const server = await startAuthorizationServer({ backends, ...options });
  t.after(server.stop);
  return server;
}

/** The gateway with its secret. */
export function gatewayOf(server: AuthorizationServer): Exchange {
  return createExchange(server.issuer, oauth.ClientSecretBasic(server.gatewaySecret ?? ''));
}

/** An access token of a user for a front door, through Claude Code. */
export async function tokenOf(
  { issuer, passwords }: AuthorizationServer,
  username: string,
  resource: string,
  scope = allScopes,
): Promise<string> {
  const password = passwords[username] ?? '';
  const { access_token } = await signIn({ issuer, clientId: 'claude-code', username, password, resource, scope });
  return access_token;
}

/** Starts a backend that trusts this issuer and stops after the test; `records` grows with every request. */
export async function startBackend(
  t: TestContext,
  start: (options: BackendOptions) => Promise<RunningBackend>,
  { issuer, jwksUri }: AuthorizationServer,
  options: Partial<BackendOptions> = {},
): Promise<RunningBackend & { readonly records: RequestRecord[] }> {
  const records: RequestRecord[] = [];
  const backend = await start({
    issuers: [{ issuer, jwksUri }],
    actor: 'ai-identity-gateway',
    record: (entry) => records.push(entry),
    ...options,
  });
  t.after(backend.stop);
  return { ...backend, records };
}
