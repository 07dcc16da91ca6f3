/** `npm run demo`: starts the reference deployment, walks through it with an official MCP client, stops it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startDeployment } from './deployment.ts';
import { CLIENTS, findClient, type McpClient } from './mcp-clients.ts';
import { bold, wrong } from './paint.ts';
import { exactClocks, walk } from './walk.ts';

const say = (line = ''): void => void process.stdout.write(`${line}\n`);
const client = chosenClient();

const dir = await mkdtemp(join(tmpdir(), 'mcp-ext-authz-demo-'));
try {
  say(bold('mcp-ext-authz: every MCP call decided, and delegated with a token of its own'));
  say('Starting an authorization server, two MCP servers, mcp-ext-authz and a real Envoy on loopback …');
  const deployment = await startDeployment({ dir, say, adjustSidecar: exactClocks });
  try {
    say(`Envoy answers at ${deployment.origin}, the sidecar at ${deployment.sidecar.ready.target} (gRPC).`);
    await walk(deployment, say, client);
  } finally {
    await deployment.stop();
  }
  say('Everything that was started is stopped. Go on with `npm run lab`, which keeps it up, and docs/.');
} catch (error) {
  process.stderr.write(`${wrong('The demo failed:')} ${(error as Error).message}\n`);
  process.exitCode = 1;
} finally {
  await rm(dir, { recursive: true, force: true });
}

function chosenClient(): McpClient {
  const { values } = parseArgs({ options: { client: { type: 'string', default: 'v1' } } });
  const found = findClient(values.client);
  if (found !== null) return found;
  process.stderr.write(`--client is ${Object.keys(CLIENTS).join(', ')}, not ${values.client}\n`);
  process.exit(2);
}
