/** `node examples/keycloak/lab.ts`: Keycloak and all that stands around it, staying up. README.md says what to try. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { searchKeycloak } from '../../scripts/keycloak.ts';
import { bold, wrong } from '../reference/paint.ts';
import { startKeycloakDeployment } from './deployment.ts';

const dir = fileURLToPath(new URL('../../.cache/keycloak-lab', import.meta.url));
const say = (line = ''): void => void process.stdout.write(`${line}\n`);

try {
  const { home, problem } = searchKeycloak();
  if (home === null) throw new Error(problem);
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true, mode: 0o700 });
  say('Starting Keycloak (about a minute), two MCP servers, mcp-ext-authz and a real Envoy on loopback …');
  const deployment = await startKeycloakDeployment({ dir, home, say });
  const { keycloak, certificates, frontDoorUrl, ledgerUrl, directoryUrl, sidecar, stop } = deployment;
  const { alice, bob, carol } = keycloak.secrets.passwords;
  const env = {
    ISSUER: keycloak.issuer,
    FRONT_DOOR: frontDoorUrl,
    LEDGER: ledgerUrl,
    DIRECTORY: directoryUrl,
    CA_FILE: certificates.caFile,
    AGENTCORE_SECRET: keycloak.secrets.agentCoreSecret,
    ALICE_PASSWORD: alice,
    BOB_PASSWORD: bob,
    CAROL_PASSWORD: carol,
    KEYCLOAK: keycloak.origin,
    ADMIN_PASSWORD: keycloak.admin.password,
    DECISION_LOG: sidecar.decisionLogFile,
    SIDECAR_CONFIG: sidecar.configFile,
    SIDECAR_PID: String(sidecar.pid),
  };
  const lines = Object.entries(env).map(([name, value]) => `export ${name}='${value}'\n`);
  await writeFile(`${dir}/env`, lines.join(''), { mode: 0o600 });
  say(`${bold('The lab is up.')} Ctrl-C stops it.`);
  say(`  gateway         ${frontDoorUrl}`);
  say(`                  ${ledgerUrl}`);
  say(`                  ${directoryUrl}`);
  say(`  issuer          ${keycloak.issuer}`);
  say(`  console         ${keycloak.origin}/admin (admin, password in the file below)`);
  say('  all of it       . .cache/keycloak-lab/env');
  say('  try it          examples/keycloak/README.md');
  await new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  say('Stopping …');
  await stop();
  await rm(dir, { recursive: true, force: true });
} catch (error) {
  process.stderr.write(`${wrong('The lab did not start:')} ${(error as Error).message}\n`);
  process.exitCode = 1;
}
