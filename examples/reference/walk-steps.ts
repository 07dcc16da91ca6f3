/** The steps of the walk in which something is asked of the gateway. Each says what came of it, and throws if that is not as told. */
import { setTimeout as delay } from 'node:timers/promises';
import type { McpSession } from './mcp-session.ts';
import { expect, type Walker } from './walker.ts';

export type Tokens = { readonly agent: string; readonly alice: string };

export async function findAuthorizationServer({ deployment, post, refused, shown }: Walker): Promise<void> {
  const { authorizationServer, ledgerUrl, fetch } = deployment;
  const { status, challenge } = await post(ledgerUrl, null, 'listAccounts', {});
  expect(status === 401, 'an anonymous call is answered 401', status);
  refused(`401, WWW-Authenticate: ${challenge}`);
  const metadataUrl = /resource_metadata="([^"]+)"/.exec(challenge ?? '')?.[1] ?? '';
  const metadata = (await (await fetch(metadataUrl)).json()) as { resource: string; authorization_servers: string[] };
  expect(metadata.resource === ledgerUrl, 'the metadata names the resource', metadata);
  shown(`protected resource metadata: authorization_servers ${metadata.authorization_servers.join(', ')}`);
  const [issuer = ''] = metadata.authorization_servers;
  const found = await globalThis.fetch(`${issuer}/.well-known/oauth-authorization-server`);
  const server = (await found.json()) as { token_endpoint: string };
  const isOurs = issuer === authorizationServer.issuer && server.token_endpoint !== undefined;
  expect(isOurs, 'the authorization server is found', server);
  shown(`authorization server metadata: token_endpoint ${server.token_endpoint}`);
}

export async function obtainTokens({ deployment, agentToken, userToken, shown }: Walker): Promise<Tokens> {
  const agent = await agentToken(deployment.ledgerUrl, 'ledger:read');
  shown('bedrock-agentcore: client credentials, scope ledger:read');
  const alice = await userToken('alice', deployment.ledgerUrl, 'ledger:read ledger:write');
  shown('claude-code: alice signs in (authorization code + PKCE), scope ledger:read ledger:write');
  return { agent, alice };
}

/** Returns the agent's session, for later steps. */
export async function callTools({ deployment, open, userToken, allowed }: Walker, tokens: Tokens): Promise<McpSession> {
  const { ledgerUrl, directoryUrl } = deployment;
  const agent = await open(ledgerUrl, tokens.agent);
  const ledgerTools = await agent.listTools();
  expect(ledgerTools.includes('listAccounts'), 'the list has what the agent may call', ledgerTools);
  allowed(`tools/list on enterprise-ledger as bedrock-agentcore: ${ledgerTools.length} tools`);
  const accounts = JSON.parse(await agent.callTool('listAccounts', {})) as { name: string }[];
  allowed(`listAccounts as bedrock-agentcore: ${accounts.map(({ name }) => name).join(', ')}`);
  const directory = await open(directoryUrl, await userToken('alice', directoryUrl, 'directory:read'));
  const directoryTools = await directory.listTools();
  expect(directoryTools.includes('listEmployees'), 'the list has what alice may call', directoryTools);
  const employees = JSON.parse(await directory.callTool('listEmployees', {})) as unknown[];
  allowed(`listEmployees as alice on employee-directory (${directoryTools.length} tools): ${employees.length} employees`);
  return agent;
}

export function inspectDelegation({ lastCall, shown }: Walker): void {
  const { verified, delegation } = lastCall('listAccounts');
  expect(verified, 'the backend verified the token', delegation);
  const { iss, sub, act, aud, scope, iat, exp } = delegation as any;
  const isAsPromised = act?.sub === 'ai-identity-gateway' && exp === iat + 5 && scope === 'enterprise-ledger:listAccounts';
  expect(isAsPromised, 'the delegation token is as promised', delegation);
  for (const [name, value] of Object.entries({ iss, sub, 'act.sub': act.sub, aud, scope, 'exp - iat': `${exp - iat} s` }))
    shown(`${name.padEnd(9)} ${value}`);
}

export async function stepUp(walker: Walker, tokens: Tokens, agent: McpSession): Promise<void> {
  const { client, deployment, open, post, userToken, allowed, refused, shown } = walker;
  const { ledgerUrl } = deployment;
  const customer = { customerId: 'CUS-1' };
  const denied = await post(ledgerUrl, tokens.alice, 'getCustomerPII', customer);
  expect(denied.status === 403 && denied.body.error.data.reason === 'insufficient_scope', 'the step-up challenge', denied);
  refused(`getCustomerPII as alice: 403 insufficient_scope, needs ${denied.body.error.data.required_scopes.join(' ')}`);
  shown(JSON.stringify(denied.body.error));
  const scopes = /scope="([^"]+)"/.exec(denied.challenge ?? '')?.[1] ?? '';
  const steppedUp = await open(ledgerUrl, await userToken('alice', ledgerUrl, scopes));
  const text = await steppedUp.callTool('getCustomerPII', customer);
  expect(JSON.parse(text).id === customer.customerId, 'the customer is that customer', text);
  allowed(`getCustomerPII as alice, who has now granted ${scopes}: ${text.slice(0, 60)}…`);
  const error = await agent.callTool('getCustomerPII', customer).then(
    () => null,
    (cause: Error) => cause,
  );
  const told = client.showRefusal('This needs one of the roles: analyst.');
  expect(error?.message === told, `${client.name} shows “${told}”`, error?.message ?? null);
  refused(`getCustomerPII as bedrock-agentcore: ${client.name} shows “${error.message}”`);
}

export async function transferFunds({ deployment, open, post, allowed, refused }: Walker, tokens: Tokens): Promise<void> {
  const alice = await open(deployment.ledgerUrl, tokens.alice);
  const transfer = { from: 'ACC-1001', to: 'ACC-1002', currency: 'EUR' };
  // The ledger counts in cents.
  await alice.callTool('transferFunds', { ...transfer, amount: 25_000 });
  allowed('transferFunds of 250 EUR as alice');
  const over = await post(deployment.ledgerUrl, tokens.alice, 'transferFunds', { ...transfer, amount: 2_500_000 });
  expect(over.status === 200 && over.body.error?.data?.reason === 'limit_exceeded', 'the limit holds', over);
  refused(`transferFunds of 25,000 EUR as alice: ${over.body.error.message}`);
}

export async function useExpiredToken({ deployment, agentToken, post, refused }: Walker): Promise<void> {
  const { authorizationServer, ledgerUrl } = deployment;
  authorizationServer.setAccessTokenSeconds(1);
  const shortLived = await agentToken(ledgerUrl, 'ledger:read');
  authorizationServer.setAccessTokenSeconds(300);
  await delay(Math.max(0, expiryOf(shortLived) * 1000 - Date.now()));
  const expired = await post(ledgerUrl, shortLived, 'listAccounts', {});
  expect(expired.status === 401 && expired.body.error.data.reason === 'token_expired', 'an expired token is refused', expired);
  refused(`401 ${expired.body.error.data.reason}`);
}

export async function forgeHeaders({ deployment, open, lastCall, allowed }: Walker, tokens: Tokens): Promise<void> {
  const forged = { 'X-Delegation-Token': 'forged', 'X-Forwarded-User': 'root', 'X-Mcp-Backend': 'elsewhere' };
  const forger = await open(deployment.ledgerUrl, tokens.agent, forged);
  await forger.callTool('listAccounts', {});
  const { headers } = lastCall('listAccounts');
  const survived = Object.keys(forged).filter((name) => name.toLowerCase() in headers);
  expect(survived.length === 0, 'no forged header reaches the backend', survived);
  allowed('the call, without its X-Delegation-Token, X-Forwarded-User and X-Mcp-Backend: the backend saw none of them');
}

function expiryOf(token: string): number {
  return (JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) as { exp: number }).exp;
}
