/**
 * `mcp-remote` signing in by itself at the gateway, as an agent's configuration starts it: for a user, whose browser is
 * played, and for the agent. docs/clients/kiro.md tells what is proven here.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type McpRemoteOptions, startMcpRemote } from '../../examples/reference/mcp-client-remote.ts';
import type { McpSession } from '../../examples/reference/mcp-session.ts';
import { signInAt } from '../support/browser.ts';
import { startTestDeployment, type TestDeployment } from '../support/deployment.ts';

const customer = { customerId: 'CUS-1' };
const asClaudeCode = ['--callback-path', '/callback', '--static-oauth-client-info', '{"client_id":"claude-code"}'];

let deployment: TestDeployment;
before(async () => {
  deployment = await startTestDeployment();
});
after(() => deployment.stop());

function start(args: readonly string[], more: Partial<McpRemoteOptions> = {}): Promise<McpSession> {
  return startMcpRemote({ url: deployment.ledgerUrl, caFile: deployment.certificates.caFile, args, ...more });
}

/** Visits what mcp-remote asks the user to visit, once it listens for the answer; records the scope of each request. */
function createUser(scopes: string[]): (line: string) => void {
  const user = { username: 'alice', password: deployment.authorizationServer.passwords.alice ?? '' };
  let asked: URL | null = null;
  let listens = false;
  const visit = async (url: URL) => {
    const redirect = url.searchParams.get('redirect_uri') ?? '';
    scopes.push(url.searchParams.get('scope') ?? '');
    const answer = await signInAt(url, user, redirect);
    assert.equal((await fetch(`${redirect}?${answer}`)).status, 200);
  };
  return (line) => {
    if (/^http\S+client_id=/.test(line)) asked = new URL(line);
    if (line.includes('OAuth callback server running')) listens = true;
    if (line.includes('Auth code received')) listens = false;
    if (asked === null || !listens) return;
    void visit(asked);
    asked = null;
  };
}

async function rejection(call: Promise<unknown>): Promise<any> {
  return call.then(
    (value) => assert.fail(`allowed: ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
}

describe('mcp-remote', () => {
  test('a user signs in, and once more for the scope that a tool needs', async () => {
    const scopes: string[] = [];
    const session = await start(asClaudeCode, { onLine: createUser(scopes) });
    assert.ok((await session.listTools()).includes('getCustomerPII'));
    assert.match(await session.callTool('listAccounts', {}), /Payroll/);
    assert.match(await session.callTool('getCustomerPII', customer), /Greta Lindqvist/);
    assert.deepEqual(scopes, ['ledger:read', 'ledger:read pii:read']);
    await session.close();
  });

  test('a scope that is pinned cannot be stepped up', async () => {
    const pinned = ['--static-oauth-client-metadata', '{"scope":"ledger:read ledger:write"}'];
    const scopes: string[] = [];
    const session = await start([...asClaudeCode, ...pinned], { onLine: createUser(scopes) });
    assert.equal((await rejection(session.callTool('getCustomerPII', customer))).code, -32001);
    assert.ok(scopes.length > 1 && scopes.every((scope) => scope === 'ledger:read ledger:write'), scopes.join());
    await session.close();
  });

  test('an agent gets a token for itself, and a refusal with its code, sentence and data', async () => {
    const info = `{"client_id":"bedrock-agentcore","client_secret":"$\{SECRET}"}`;
    const args = ['--client-credentials', '--static-oauth-client-info', info];
    const session = await start(args, { env: { SECRET: deployment.authorizationServer.agentCoreSecret } });
    assert.match(await session.callTool('listAccounts', {}), /Payroll/);
    const error = await rejection(session.callTool('getCustomerPII', customer));
    assert.deepEqual([error.code, error.data.reason], [-31403, 'role_missing']);
    assert.match(error.message, /This needs one of the roles: analyst\.$/);
    await session.close();
  });

  test('without a client id it asks to be registered, which our authorization server does not do', async () => {
    await assert.rejects(start([]), /mcp-remote did not connect:[\s\S]*dynamic client registration/);
  });
});
