/**
 * The walk of the demo: what the gateway does for a client, step by step, each checked against what the other side saw.
 * A step that does not go as told throws, and the demo fails.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Deployment } from './deployment.ts';
import { connect, type McpSession } from './mcp-client.ts';
import { bold, dim, no, yes } from './paint.ts';
import { clientCredentials, signIn } from './sign-in.ts';

type Say = (line?: string) => void;

/** One JSON-RPC request by hand, where the raw answer is what is to be seen. */
type RawAnswer = { status: number; challenge: string | null; body: any };

export async function walk(deployment: Deployment, say: Say): Promise<void> {
  const started = performance.now();
  const { authorizationServer, ledgerUrl, directoryUrl, fetch } = deployment;
  const title = (text: string) => {
    say();
    say(bold(text));
  };
  const allowed = (text: string) => say(`  ${yes('allowed')}  ${text}`);
  const refused = (text: string) => say(`  ${no('refused')}  ${text}`);
  const shown = (text: string) => say(`  ${dim(text)}`);
  const open = (url: string, token: string, headers = {}): Promise<McpSession> => connect({ url, token, fetch, headers });
  const raw = (url: string, token: string | null, name: string, args: object) => post(fetch, url, token, name, args);

  title('1. Without a token, a client learns where to get one');
  const first = await raw(ledgerUrl, null, 'listAccounts', {});
  expect(first.status === 401, 'an anonymous call is answered 401', first);
  refused(`401, WWW-Authenticate: ${first.challenge}`);
  const metadataUrl = /resource_metadata="([^"]+)"/.exec(first.challenge ?? '')?.[1] ?? '';
  const metadata = (await (await fetch(metadataUrl)).json()) as { resource: string; authorization_servers: string[] };
  expect(metadata.resource === ledgerUrl, 'the metadata names the resource', metadata);
  shown(`protected resource metadata: authorization_servers ${metadata.authorization_servers.join(', ')}`);
  const [issuer = ''] = metadata.authorization_servers;
  const server = (await (await globalThis.fetch(`${issuer}/.well-known/oauth-authorization-server`)).json()) as {
    token_endpoint: string;
  };
  expect(
    issuer === authorizationServer.issuer && server.token_endpoint !== undefined,
    'the authorization server is found',
    server,
  );
  shown(`authorization server metadata: token_endpoint ${server.token_endpoint}`);

  title('2. An agent by itself, and a user who signs in');
  const agentToken = await agent(deployment, ledgerUrl, 'ledger:read');
  shown('bedrock-agentcore: client credentials, scope ledger:read');
  const aliceToken = await user(deployment, 'alice', ledgerUrl, 'ledger:read ledger:write');
  shown('claude-code: alice signs in (authorization code + PKCE), scope ledger:read ledger:write');

  title('3. Governed calls: initialize, tools/list, tools/call');
  const agentSession = await open(ledgerUrl, agentToken);
  allowed(`tools/list on enterprise-ledger: ${(await agentSession.listTools()).length} tools`);
  const accounts = JSON.parse(await agentSession.callTool('listAccounts', {})) as { name: string }[];
  allowed(`listAccounts as bedrock-agentcore: ${accounts.map(({ name }) => name).join(', ')}`);
  const directoryToken = await user(deployment, 'alice', directoryUrl, 'directory:read');
  const directory = await open(directoryUrl, directoryToken);
  const tools = await directory.listTools();
  const employees = JSON.parse(await directory.callTool('listEmployees', {})) as unknown[];
  allowed(`listEmployees as alice on employee-directory (${tools.length} tools): ${employees.length} employees`);
  await directory.close();

  title('4. What the backend saw: a token of its own for each operation, never the client’s');
  const seen = lastCall(deployment, 'listAccounts');
  expect(seen.verified, 'the backend verified the token', seen);
  const { iss, sub, act, aud, scope, iat, exp } = seen.delegation as any;
  expect(
    act?.sub === 'ai-identity-gateway' && exp === iat + 5 && scope === 'enterprise-ledger:listAccounts',
    'the delegation token is as promised',
    seen.delegation,
  );
  for (const [name, value] of Object.entries({ iss, sub, 'act.sub': act.sub, aud, scope, 'exp - iat': `${exp - iat} s` }))
    shown(`${name.padEnd(9)} ${value}`);

  title('5. A sensitive tool: refused with what is missing, allowed after step-up');
  const denied = await raw(ledgerUrl, aliceToken, 'getCustomerPII', { customerId: 'CUS-1' });
  expect(denied.status === 403 && denied.body.error.data.reason === 'insufficient_scope', 'the step-up challenge', denied);
  refused(`getCustomerPII as alice: 403 insufficient_scope, needs ${denied.body.error.data.required_scopes.join(' ')}`);
  shown(JSON.stringify(denied.body.error));
  const scopes = /scope="([^"]+)"/.exec(denied.challenge ?? '')?.[1] ?? '';
  const steppedUp = await open(ledgerUrl, await user(deployment, 'alice', ledgerUrl, scopes));
  const customers = await steppedUp.callTool('getCustomerPII', { customerId: 'CUS-1' });
  allowed(`getCustomerPII as alice, who has now granted ${scopes}: ${customers.slice(0, 60)}…`);
  await steppedUp.close();
  const agentDenied = await agentSession.callTool('getCustomerPII', { customerId: 'CUS-1' }).then(
    () => null,
    (error: Error) => error,
  );
  expect(agentDenied?.message.includes('roles') === true, 'the agent lacks the role', agentDenied);
  refused(`getCustomerPII as bedrock-agentcore: the SDK shows “${agentDenied?.message}”`);

  title('6. The same tool, decided by its arguments');
  const alice = await open(ledgerUrl, aliceToken);
  const transfer = { from: 'ACC-1001', to: 'ACC-1002', currency: 'EUR' };
  // The ledger counts in cents.
  await alice.callTool('transferFunds', { ...transfer, amount: 25_000 });
  allowed('transferFunds of 250 EUR as alice');
  const over = await raw(ledgerUrl, aliceToken, 'transferFunds', { ...transfer, amount: 2_500_000 });
  expect(over.status === 200 && over.body.error?.data?.reason === 'limit_exceeded', 'the limit holds', over);
  refused(`transferFunds of 25,000 EUR as alice: ${over.body.error.message}`);

  title('7. An expired token');
  authorizationServer.setAccessTokenSeconds(1);
  const shortLived = await agent(deployment, ledgerUrl, 'ledger:read');
  authorizationServer.setAccessTokenSeconds(300);
  await delay(Math.max(0, expiryOf(shortLived) * 1000 - Date.now()));
  const expired = await raw(ledgerUrl, shortLived, 'listAccounts', {});
  expect(expired.status === 401 && expired.body.error.data.reason === 'token_expired', 'an expired token is refused', expired);
  refused(`401 ${expired.body.error.data.reason}`);

  title('8. A client that forges what only the gateway may say');
  const forger = await open(ledgerUrl, agentToken, {
    'X-Delegation-Token': 'forged',
    'X-Forwarded-User': 'root',
    'X-Mcp-Backend': 'elsewhere',
  });
  await forger.callTool('listAccounts', {});
  const { headers } = lastCall(deployment, 'listAccounts');
  const survived = ['x-delegation-token', 'x-forwarded-user', 'x-mcp-backend'].filter((name) => name in headers);
  expect(survived.length === 0, 'no forged header reaches the backend', survived);
  allowed('the call, without its X-Delegation-Token, X-Forwarded-User and X-Mcp-Backend: the backend saw none of them');
  for (const session of [forger, alice, agentSession]) await session.close();

  title('9. The decision log, one line for each Check');
  const metrics = await (await globalThis.fetch(`${deployment.sidecar.ready.admin}/metrics`)).text();
  const counters = metrics.split('\n').filter((one) => one.startsWith('mcp_ext_authz_decisions_total'));
  const decisions = await readDecisions(
    deployment.sidecar.decisionLogFile,
    counters.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0),
  );
  for (const line of decisions) {
    const outcome = line.decision === 'allow' ? yes('allow') : no(line.decision.padEnd(5));
    const who =
      [line.subject, ...(line.client_id === line.subject ? [] : [line.client_id])].filter(Boolean).join(' via ') || 'anonymous';
    say(`  ${outcome}  ${line.reason.padEnd(19)} ${(line.tool ?? line.method).padEnd(26)} ${dim(who)}`);
  }
  const example = decisions.find(({ tool, decision }) => tool === 'listAccounts' && decision === 'allow');
  shown('one of them, whole:');
  shown(JSON.stringify(example));

  title('10. The counters that Prometheus reads');
  for (const line of counters) shown(line);

  const tokens = new Set(deployment.requests.map(({ delegation }) => (delegation as { jti?: string } | null)?.jti));
  expect(tokens.size === deployment.requests.length, 'every request had a token of its own', tokens.size);
  say();
  say(
    `${bold('Done.')} ${decisions.length} Checks, ${deployment.requests.length} of them reached a backend, each with a delegation token of its own; ${((performance.now() - started) / 1000).toFixed(1)} s.`,
  );
}

/** Lines are written some milliseconds after their Checks: what was counted will come. */
async function readDecisions(file: string, count: number): Promise<any[]> {
  const giveUpAt = Date.now() + 5000;
  for (;;) {
    const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
    if (lines.length >= count || Date.now() > giveUpAt) return lines.map((line) => JSON.parse(line));
    await delay(10);
  }
}

async function agent({ authorizationServer }: Deployment, resource: string, scope: string): Promise<string> {
  const { issuer, agentCoreSecret } = authorizationServer;
  return (await clientCredentials({ issuer, clientId: 'bedrock-agentcore', clientSecret: agentCoreSecret, resource, scope }))
    .access_token;
}

async function user({ authorizationServer }: Deployment, username: string, resource: string, scope: string): Promise<string> {
  const { issuer, passwords } = authorizationServer;
  const password = passwords[username] ?? '';
  return (await signIn({ issuer, clientId: 'claude-code', username, password, resource, scope })).access_token;
}

async function post(
  fetch: typeof globalThis.fetch,
  url: string,
  token: string | null,
  name: string,
  args: object,
): Promise<RawAnswer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }),
  });
  return { status: response.status, challenge: response.headers.get('www-authenticate'), body: await response.json() };
}

function lastCall({ requests }: Deployment, tool: string) {
  const found = requests.findLast(({ body }) => body.includes(`"${tool}"`));
  if (found === undefined) throw new Error(`no backend saw a call of ${tool}`);
  return found;
}

function expiryOf(token: string): number {
  return (JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) as { exp: number }).exp;
}

function expect(condition: boolean, what: string, seen: unknown): asserts condition {
  if (!condition) throw new Error(`not as told: ${what}; seen: ${JSON.stringify(seen)}`);
}
