/** `npm run lab`: the reference deployment, staying up. What a visitor needs to know is in .lab/endpoints.json. */
import { rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startDeployment } from './deployment.ts';
import { labDir as dir, endpointsFile } from './lab-endpoints.ts';
import { bold, wrong } from './paint.ts';

const say = (line = ''): void => void process.stdout.write(`${line}\n`);

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    transport: { type: 'string', default: 'tcp' },
    delegation: { type: 'string', default: 'exchange' },
    bundle: { type: 'string' },
  },
});

const transport = oneOf('transport', ['tcp', 'unix'] as const, values.transport);
const delegation = oneOf('delegation', ['exchange', 'mint'] as const, values.delegation);

try {
  await rm(dir, { recursive: true, force: true });
  say('Starting an authorization server, two MCP servers, mcp-ext-authz and a real Envoy on loopback …');
  const deployment = await startDeployment({
    dir,
    say,
    transport,
    delegation,
    ...(values.port === undefined ? {} : { port: Number(values.port) }),
    adjustSidecar: (config) => {
      if (values.bundle !== undefined) useBundle(config, resolve(values.bundle));
    },
  });
  const { authorizationServer } = deployment;
  const endpoints = {
    pid: process.pid,
    gateway: deployment.origin,
    resources: { 'enterprise-ledger': deployment.ledgerUrl, 'employee-directory': deployment.directoryUrl },
    caFile: deployment.certificates.caFile,
    issuer: authorizationServer.issuer,
    clients: {
      'bedrock-agentcore': { grant: 'client_credentials', client_secret: authorizationServer.agentCoreSecret },
      'claude-code': { grant: 'authorization_code', redirect_uri: 'http://127.0.0.1/callback (any port)' },
    },
    users: authorizationServer.passwords,
    sidecar: {
      pid: deployment.sidecar.pid,
      grpc: deployment.sidecar.ready.target,
      admin: deployment.sidecar.ready.admin,
      metrics: `${deployment.sidecar.ready.admin}/metrics`,
      config: deployment.sidecar.configFile,
      decisionLog: deployment.sidecar.decisionLogFile,
    },
    envoy: { pid: deployment.envoy.pid, adminSocket: deployment.envoy.adminSocket, accessLog: deployment.envoy.accessLogFile },
    backends: {
      'enterprise-ledger': deployment.ledger.url,
      'employee-directory': deployment.directory.url,
      requests: deployment.backendLogFile,
    },
  };
  await writeFile(endpointsFile, `${JSON.stringify(endpoints, null, 2)}\n`, { mode: 0o600 });
  say(`${bold('The lab is up.')} Ctrl-C stops it.`);
  say(`  gateway         ${deployment.ledgerUrl}`);
  say(`                  ${deployment.directoryUrl}`);
  say(`  issuer          ${authorizationServer.issuer}`);
  say(`  all of it       ${endpointsFile} (clients, users, secrets, files)`);
  say(`  decision log    ${deployment.sidecar.decisionLogFile}`);
  say(`  backends saw    ${deployment.backendLogFile}`);
  say('  try it          npm run smoke');
  say('                  npm run call -- --as alice listAccounts');
  await new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  say('Stopping …');
  await deployment.stop();
  await rm(endpointsFile, { force: true });
} catch (error) {
  process.stderr.write(`${wrong('The lab did not start:')} ${(error as Error).message}\n`);
  process.exitCode = 1;
}

/** For whoever works on a policy: a new bundle is found at once, and the log has what `policy replay` needs of transfers. */
function useBundle({ policy, decisionLog }: Record<string, any>, file: string): void {
  policy.bundleFile = file;
  policy.polling = { minDelayMs: 500, maxDelayMs: 1000 };
  decisionLog.arguments = [{ backend: 'enterprise-ledger', tool: 'transferFunds', names: ['*'] }];
}

function oneOf<T extends string>(option: string, choices: readonly T[], given: string): T {
  const choice = choices.find((one) => one === given);
  if (choice !== undefined) return choice;
  process.stderr.write(`--${option} is ${choices.join(' or ')}, not ${given}\n`);
  process.exit(2);
}
