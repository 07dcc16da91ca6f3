/**
 * The gateway as a client without tokens sees it: a listener of plain HTTP that adds a token and passes on to the real one,
 * which is envoy/envoy.yaml with a real sidecar. The two backends of the reference deployment are replaced by servers of ours.
 */
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createCertificates } from '../../examples/reference/certificate-authority.ts';
import { freePort } from '../../examples/reference/free-port.ts';
import { startEnvoy, startSidecar } from '../../examples/reference/gateway.ts';
import { bringEnvoy } from '../../scripts/envoy.ts';
import { testIssuerConfig } from '../support/deployment.ts';
import { startTestIssuer } from '../support/issuer.ts';
import { followLines, type Line } from '../support/ndjson.ts';

type Tree = Record<string, any>;

export interface GatewayOptions {
  /** A folder of its own, which the caller removes. */
  readonly dir: string;
  /** Ports of the servers behind the two resources. */
  readonly backends: { readonly everything: number; readonly careless: number };
  readonly say: (line: string) => void;
}

export interface Gateway {
  /** Where a client without tokens finds each server. */
  readonly urls: { readonly everything: string; readonly careless: string };
  /** The decision log so far. */
  readonly decisions: () => Promise<readonly Line[]>;
  readonly stop: () => Promise<void>;
}

const EVERYTHING = '/enterprise-ledger/mcp';
const CARELESS = '/employee-directory/mcp';
const POLICY = fileURLToPath(new URL('../fixtures/policies/everything.tar.gz', import.meta.url));
const TYPE = 'type.googleapis.com/envoy';
/** Longer than any run. */
const TOKEN_SECONDS = 1800;

export async function startGateway({ dir, backends, say }: GatewayOptions): Promise<Gateway> {
  const binary = await bringEnvoy(say);
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  try {
    const [port = 0, frontPort = 0, wellKnownPort = 0] = await Promise.all([freePort(), freePort(), freePort()]);
    const origin = `https://localhost:${port}`;
    const front = `http://127.0.0.1:${frontPort}`;
    const certificates = await createCertificates({ dir, hosts: ['localhost', '127.0.0.1'] });
    const issuer = await startTestIssuer();
    stops.push(issuer.stop);
    const sidecar = await startSidecar({
      dir,
      issuer: issuer.issuer,
      origins: [origin],
      transport: 'tcp',
      delegation: 'mint',
      gatewayKeyFile: await writeKey(join(dir, 'gateway-key.pem')),
      mintIssuer: `http://127.0.0.1:${wellKnownPort}`,
      mintKeyFile: await writeKey(join(dir, 'mint-key.pem')),
      wellKnownListen: `127.0.0.1:${wellKnownPort}`,
      adjust: (config) => {
        config.issuers = [testIssuerConfig(issuer)];
        config.policy.bundleFile = POLICY;
        // The suite sends the origin of the address that it was given.
        config.mcp.allowedOrigins = [front];
        for (const resource of config.resources) delete resource.tools;
      },
    });
    stops.push(() => sidecar.stop());
    const tokenFor = (path: string) => issuer.token(origin + path, { claims: { exp: `now+${TOKEN_SECONDS}` } });
    const envoy = await startEnvoy({
      dir,
      binary,
      port,
      authz: sidecar.ready.target,
      backends: { enterprise_ledger: backends.everything, employee_directory: backends.careless },
      certFile: certificates.certFile,
      keyFile: certificates.keyFile,
      adjust: (config) =>
        addFront(config, frontPort, port, certificates.caFile, {
          [EVERYTHING]: tokenFor(EVERYTHING),
          [CARELESS]: tokenFor(CARELESS),
        }),
    });
    stops.push(() => envoy.stop());
    return {
      urls: { everything: front + EVERYTHING, careless: front + CARELESS },
      decisions: followLines(sidecar.decisionLogFile).all,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The listener in front: everything passes it as it is, but for the token, which depends on the path. */
function addFront(config: Tree, port: number, edgePort: number, caFile: string, tokens: Readonly<Record<string, string>>): void {
  const address = (value: number) => ({ socket_address: { address: '127.0.0.1', port_value: value } });
  const routes = Object.entries(tokens).map(([path, token]) => ({
    match: { path },
    route: { cluster: 'edge', timeout: '0s', idle_timeout: '0s' },
    request_headers_to_add: [
      { header: { key: 'authorization', value: `Bearer ${token}` }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
    ],
  }));
  const manager = {
    '@type': `${TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'front',
    stream_idle_timeout: '0s',
    route_config: { virtual_hosts: [{ name: 'any', domains: ['*'], routes }] },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': `${TYPE}.extensions.filters.http.router.v3.Router` },
      },
    ],
  };
  config.static_resources.listeners.push({
    name: 'front',
    address: address(port),
    filter_chains: [{ filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] }],
  });
  config.static_resources.clusters.push({
    name: 'edge',
    type: 'STATIC',
    connect_timeout: '1s',
    transport_socket: {
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        '@type': `${TYPE}.extensions.transport_sockets.tls.v3.UpstreamTlsContext`,
        sni: 'localhost',
        common_tls_context: { validation_context: { trusted_ca: { filename: caFile } } },
      },
    },
    load_assignment: {
      cluster_name: 'edge',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(edgePort) } }] }],
    },
  });
}

async function writeKey(file: string): Promise<string> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  return file;
}
