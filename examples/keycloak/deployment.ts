/**
 * The reference deployment with Keycloak in place of its authorization server: the same two MCP servers with the same
 * guards, the same policy, the same Envoy. Different are the realm and what mcp-ext-authz.yaml beside this file says.
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { bringEnvoy } from '../../scripts/envoy.ts';
import { createCertificates } from '../reference/certificate-authority.ts';
import { startEmployeeDirectory } from '../reference/employee-directory.ts';
import { startEnterpriseLedger } from '../reference/enterprise-ledger.ts';
import { freePort } from '../reference/free-port.ts';
import { type EnvoyOptions, startEnvoy, startSidecar } from '../reference/gateway.ts';
import type { BackendOptions, RequestRecord, RunningBackend } from '../reference/guarded-server.ts';
import { startKeycloak } from './keycloak.ts';

type Tree = Record<string, any>;

export type KeycloakDeploymentOptions = {
  /** A folder of its own, for keys, configurations and logs. */
  readonly dir: string;
  /** Where Keycloak is unpacked. */
  readonly home: string;
  readonly say?: (line: string) => void;
  /** Another server in place of the employee directory. */
  readonly startDirectory?: (options: BackendOptions) => Promise<RunningBackend>;
  readonly adjustSidecar?: (config: Tree) => void;
  readonly adjustEnvoy?: EnvoyOptions['adjust'];
};

export type KeycloakDeployment = Awaited<ReturnType<typeof startKeycloakDeployment>>;

const CONFIG_FILE = fileURLToPath(new URL('mcp-ext-authz.yaml', import.meta.url));
const ACTOR = 'ai-identity-gateway';

export async function startKeycloakDeployment(options: KeycloakDeploymentOptions) {
  const { dir, home, say = () => {}, startDirectory = startEmployeeDirectory } = options;
  const keycloakDir = join(dir, 'keycloak');
  await mkdir(keycloakDir, { recursive: true, mode: 0o700 });
  const binary = await bringEnvoy(say);
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  try {
    const [port = 0, mintPort = 0] = await Promise.all([freePort(), freePort()]);
    const origin = `https://localhost:${port}`;
    const certificates = await createCertificates({ dir, hosts: ['localhost', '127.0.0.1'] });
    const keycloak = await startKeycloak({ home, dir: keycloakDir, gatewayOrigin: origin });
    stops.push(keycloak.stop);

    const requests: RequestRecord[] = [];
    const mintIssuer = `http://127.0.0.1:${mintPort}`;
    const backend = {
      issuers: [
        { issuer: keycloak.issuer, jwksUri: keycloak.jwksUri },
        { issuer: mintIssuer, jwksUri: `${mintIssuer}/.well-known/jwks.json` },
      ],
      actor: ACTOR,
      record: (entry: RequestRecord) => void requests.push(entry),
    };
    const ledger = await startEnterpriseLedger(backend);
    stops.push(ledger.stop);
    const directory = await startDirectory(backend);
    stops.push(directory.stop);

    const mintKeyFile = join(dir, 'mint-key.pem');
    const mintKey = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
    await writeFile(mintKeyFile, mintKey, { mode: 0o600 });
    const secretFile = join(dir, 'gateway-secret');
    await writeFile(secretFile, keycloak.secrets.gatewaySecret, { mode: 0o600 });
    const example = parse(await readFile(CONFIG_FILE, 'utf8')) as Tree;
    const sidecar = await startSidecar({
      dir,
      issuer: keycloak.issuer,
      origins: [origin],
      transport: 'tcp',
      delegation: 'exchange',
      gatewayKeyFile: '',
      mintIssuer,
      mintKeyFile,
      wellKnownListen: `127.0.0.1:${mintPort}`,
      urls: { 'enterprise-ledger': ledger.url, 'employee-directory': directory.url },
      adjust: (config) => {
        asInTheExample(config, example, keycloak.issuer, secretFile);
        options.adjustSidecar?.(config);
      },
    });
    stops.push(() => sidecar.stop());
    const envoy = await startEnvoy({
      dir,
      binary,
      port,
      authz: sidecar.ready.target,
      backends: { enterprise_ledger: ledger.port, employee_directory: directory.port },
      certFile: certificates.certFile,
      keyFile: certificates.keyFile,
      ...(options.adjustEnvoy === undefined ? {} : { adjust: options.adjustEnvoy }),
    });
    stops.push(() => envoy.stop());

    return {
      port,
      origin,
      frontDoorUrl: `${origin}/mcp`,
      ledgerUrl: `${origin}/enterprise-ledger/mcp`,
      directoryUrl: `${origin}/employee-directory/mcp`,
      certificates,
      keycloak,
      mintIssuer,
      requests,
      sidecar,
      envoy,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What is particular to Keycloak, out of the example file; only addresses and file names are put in for this machine. */
function asInTheExample(config: Tree, example: Tree, issuer: string, secretFile: string): void {
  config.issuers = example.issuers.map((one: Tree) => ({ ...one, issuer }));
  config.catalog = example.catalog;
  config.delegation.exchange = { ...example.delegation.exchange, issuer };
  config.delegation.exchange.clientAuthentication.secret = { file: secretFile };
}
