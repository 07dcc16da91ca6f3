/**
 * The walk of the demo: what the gateway does for a client, step by step, each checked against what the other side saw.
 * A step that does not go as told throws, and the demo fails. Any of the clients in mcp-clients.ts can take it.
 */
import type { Deployment } from './deployment.ts';
import { CLIENTS, type McpClient } from './mcp-clients.ts';
import { bold } from './paint.ts';
import { useFrontDoor } from './walk-door.ts';
import { checksOf, readCounters, readLines, showDecisions, showRevisions } from './walk-records.ts';
import * as steps from './walk-steps.ts';
import { createWalker, expect, type Say, type Walker } from './walker.ts';

export async function walk(deployment: Deployment, say: Say, client: McpClient = CLIENTS.v1): Promise<void> {
  const started = performance.now();
  const walker = createWalker(deployment, client, say);
  const { title, shown } = walker;
  const checksBefore = (await readCounters(walker)).sum;
  const earlier = {
    checks: checksBefore,
    lines: (await readLines(walker, (lines) => checksOf(lines).length >= checksBefore)).length,
    requests: deployment.requests.length,
  };
  try {
    await ask(walker);
  } finally {
    await walker.closeSessions();
  }

  title('10. The decision log: a line for each Check, and for each request that the sidecar makes itself');
  const counters = await readCounters(walker);
  const checks = counters.sum - earlier.checks;
  const requests = deployment.requests.slice(earlier.requests);
  const decisions = await showDecisions(walker, earlier.lines, checks, requests);
  showRevisions(walker, decisions.checks);

  title('11. The counters that Prometheus reads');
  for (const line of counters.lines) shown(line);

  const tokens = new Set(requests.map(({ delegation }) => (delegation as { jti?: string } | null)?.jti));
  expect(tokens.size === requests.length, 'every request had a token of its own', tokens.size);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say();
  say(
    `${bold('Done.')} ${checks} Checks; ${requests.length} requests reached a backend, each with a delegation token of its own:`,
  );
  say(
    `${decisions.forwarded} that clients sent, ${decisions.atDoor} of the front door in their name, ${decisions.catalog} of the catalog; ${seconds} s.`,
  );
}

/** What the walk needs of the sidecar. One host, one clock: an expired token is refused on the second. */
export function exactClocks(config: Record<string, any>): void {
  for (const issuer of config.issuers) issuer.clockToleranceSeconds = 0;
}

async function ask(walker: Walker): Promise<void> {
  const { title } = walker;
  title('1. Without a token, a client learns where to get one');
  await steps.findAuthorizationServer(walker);
  title('2. An agent by itself, and a user who signs in');
  const tokens = await steps.obtainTokens(walker);
  title(`3. Governed calls with ${walker.client.name}: tools/list, tools/call`);
  const agent = await steps.callTools(walker, tokens);
  title('4. What the backend saw: a token of its own for each operation, never the client’s');
  steps.inspectDelegation(walker);
  title('5. A sensitive tool: refused with what is missing, allowed after step-up');
  await steps.stepUp(walker, tokens, agent);
  title('6. The same tool, decided by its arguments');
  await steps.transferFunds(walker, tokens);
  title('7. An expired token');
  await steps.useExpiredToken(walker);
  title('8. A client that forges what only the gateway may say');
  await steps.forgeHeaders(walker, tokens);
  title('9. One MCP server for all: the front door');
  await useFrontDoor(walker);
}
