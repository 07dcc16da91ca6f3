/**
 * The reference deployment, whole, on loopback: authorization server, two MCP servers, mcp-ext-authz and a real Envoy with
 * TLS. The demo walks through it, the lab keeps it up, the tests attack it.
 */

import { generateKeyPairSync } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent, fetch as undiciFetch } from 'undici';
import { bringEnvoy } from '../../scripts/envoy.ts';
import { startAuthorizationServer } from './authorization-server.ts';
import { referenceBackends } from './backends.ts';
import { createCertificates } from './certificate-authority.ts';
import { startEmployeeDirectory } from './employee-directory.ts';
import { startEnterpriseLedger } from './enterprise-ledger.ts';
import { freePort } from './free-port.ts';
import { type Envoy, type EnvoyOptions, type Sidecar, type SidecarOptions, startEnvoy, startSidecar } from './gateway.ts';
import type { RequestRecord } from './guarded-server.ts';

export type DeploymentOptions = {
  /** A folder of its own, for keys, configurations and logs. */
  readonly dir: string;
  readonly transport?: 'tcp' | 'unix';
  readonly delegation?: 'exchange' | 'mint';
  readonly accessTokenSeconds?: number;
  readonly port?: number;
  readonly say?: (line: string) => void;
  /** Told where the sidecar itself would reach each backend. */
  readonly adjustSidecar?: (config: Tree, urls: Readonly<Record<string, string>>) => void;
  readonly adjustEnvoy?: EnvoyOptions['adjust'];
  /** Every line of the sidecar's own log. */
  readonly onSidecarLine?: (line: string) => void;
};

export type Deployment = Awaited<ReturnType<typeof startDeployment>>;

type Tree = Record<string, any>;

/** Who the gateway is, in its tokens and at the authorization server. */
export const actor = 'ai-identity-gateway';

export async function startDeployment(options: DeploymentOptions) {
  const { dir, transport = 'tcp', delegation = 'exchange', say = () => {} } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const binary = await bringEnvoy(say);
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  try {
    const [port = 0, mintPort = 0] = await Promise.all([options.port ?? freePort(), freePort()]);
    const origin = `https://localhost:${port}`;
    const certificates = await createCertificates({ dir, hosts: ['localhost', '127.0.0.1'] });
    const agent = new Agent({ connect: { ca: certificates.caPem } });
    stops.push(() => agent.destroy());

    const gatewayKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const mintKey = generateKeyPairSync('ed25519');
    const gatewayKeyFile = await writeKey(join(dir, 'gateway-key.pem'), gatewayKey.privateKey);
    const mintKeyFile = await writeKey(join(dir, 'mint-key.pem'), mintKey.privateKey);

    const authorizationServer = await startAuthorizationServer({
      backends: referenceBackends([origin]),
      gateway: { publicJwk: { ...gatewayKey.publicKey.export({ format: 'jwk' }), kid: 'gateway', alg: 'ES256' } },
      ...(options.accessTokenSeconds === undefined ? {} : { accessTokenSeconds: options.accessTokenSeconds }),
    });
    stops.push(authorizationServer.stop);

    const requests: RequestRecord[] = [];
    const backendLogFile = join(dir, 'backends.ndjson');
    const backendLog = createWriteStream(backendLogFile, { flags: 'a' });
    stops.push(() => new Promise((resolve) => backendLog.end(resolve)));
    const record = (entry: RequestRecord) => {
      requests.push(entry);
      if (requests.length > 10_000) requests.shift();
      // A request that is cut off by the end of its server is told after it.
      if (!backendLog.writableEnded) backendLog.write(`${JSON.stringify(entry)}\n`);
    };
    const mintIssuer = `http://127.0.0.1:${mintPort}`;
    const issuers = [
      { issuer: authorizationServer.issuer, jwksUri: authorizationServer.jwksUri },
      { issuer: mintIssuer, jwksUri: `${mintIssuer}/.well-known/jwks.json` },
    ];
    const backendOptions = { issuers, actor, record };
    const ledger = await startEnterpriseLedger(backendOptions);
    stops.push(ledger.stop);
    const directory = await startEmployeeDirectory(backendOptions);
    stops.push(directory.stop);

    const backendUrls = { 'enterprise-ledger': ledger.url, 'employee-directory': directory.url };
    const sidecarOptions: SidecarOptions = {
      dir,
      issuer: authorizationServer.issuer,
      origins: [origin],
      transport,
      delegation,
      gatewayKeyFile,
      mintIssuer,
      mintKeyFile,
      wellKnownListen: `127.0.0.1:${mintPort}`,
      urls: backendUrls,
      adjust: (config) => options.adjustSidecar?.(config, backendUrls),
    };
    const sidecar: Sidecar = await startSidecar(sidecarOptions, options.onSidecarLine);
    stops.push(() => sidecar.stop());
    const envoy: Envoy = await startEnvoy({
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

    /** `fetch` that trusts the local authority. */
    const fetch = ((input: string | URL, init?: object) =>
      undiciFetch(input, { ...init, dispatcher: agent })) as unknown as typeof globalThis.fetch;
    return {
      dir,
      origin,
      frontDoorUrl: `${origin}/mcp`,
      ledgerUrl: `${origin}/enterprise-ledger/mcp`,
      directoryUrl: `${origin}/employee-directory/mcp`,
      authorizationServer,
      certificates,
      fetch,
      requests,
      backendLogFile,
      sidecar,
      sidecarOptions,
      envoy,
      backendUrls,
      backendOptions,
      ledger,
      directory,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function writeKey(
  file: string,
  key: { export(options: { type: 'pkcs8'; format: 'pem' }): string | Buffer },
): Promise<string> {
  await writeFile(file, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  return file;
}
