/**
 * The two processes at the edge, with the files that a reader can read: Envoy on envoy/envoy.yaml and mcp-ext-authz on
 * examples/reference/mcp-ext-authz.yaml. Only addresses, file names and key material are put in for the machine at hand.
 */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { adminText } from './envoy-admin.ts';
import { type RunningProcess, startProcess } from './process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

type Tree = Record<string, any>;

export type SidecarOptions = {
  readonly dir: string;
  readonly issuer: string;
  /** Origins under which clients know the gateway; the first is the canonical one. */
  readonly origins: readonly string[];
  readonly transport: 'tcp' | 'unix';
  readonly delegation: 'exchange' | 'mint';
  readonly gatewayKeyFile: string;
  readonly mintIssuer: string;
  readonly mintKeyFile: string;
  /** Address of the listener with our own JWKS. */
  readonly wellKnownListen: string;
  /** Where the sidecar itself reaches each backend; without it there is neither catalog nor front door. */
  readonly urls?: Readonly<Record<string, string>>;
  /** Last changes to the configuration, for tests. */
  readonly adjust?: (config: Tree) => void;
};

export type SidecarReady = { readonly target: string; readonly admin: string };

export type Sidecar = RunningProcess<SidecarReady> & { readonly configFile: string; readonly decisionLogFile: string };

export async function writeSidecarConfig(options: SidecarOptions): Promise<{ configFile: string; decisionLogFile: string }> {
  const { dir, issuer, origins } = options;
  const config = parse(await readFile(join(root, 'examples/reference/mcp-ext-authz.yaml'), 'utf8')) as Tree;
  const decisionLogFile = join(dir, 'decisions.ndjson');
  config.server.listen = options.transport === 'unix' ? `unix://${join(dir, 'authz.sock')}` : '127.0.0.1:0';
  config.admin.listen = '127.0.0.1:0';
  config.wellKnown.listen = options.wellKnownListen;
  config.issuers[0].issuer = issuer;
  for (const resource of [...config.resources, config.frontDoor])
    resource.publicUrls = origins.map((origin) => origin + resource.path);
  config.processing.keys = [{ file: await processingKey(dir) }];
  config.frontDoor.listen = frontDoorAt(dir);
  for (const resource of config.resources) resource.url = options.urls?.[resource.name];
  if (options.urls === undefined) delete config.frontDoor;
  config.policy.bundleFile = join(root, 'policies/bundle.tar.gz');
  config.delegation.mode = options.delegation;
  config.delegation.exchange.issuer = issuer;
  config.delegation.exchange.clientAuthentication.keyFile = options.gatewayKeyFile;
  config.delegation.mint = { issuer: options.mintIssuer, keys: [{ kid: 'mint-1', keyFile: options.mintKeyFile }] };
  config.decisionLog.file = decisionLogFile;
  options.adjust?.(config);
  const configFile = join(dir, 'mcp-ext-authz.yaml');
  await writeFile(configFile, stringify(config));
  return { configFile, decisionLogFile };
}

/** One for all that run in this folder: replicas share it. */
async function processingKey(dir: string): Promise<string> {
  const file = join(dir, 'processing-key');
  await writeFile(file, randomBytes(32).toString('base64url'), { mode: 0o600, flag: 'wx' }).catch((cause: { code?: string }) => {
    if (cause.code !== 'EEXIST') throw cause;
  });
  return file;
}

function frontDoorAt(dir: string): string {
  return `unix://${join(dir, 'front-door.sock')}`;
}

export async function startSidecar(options: SidecarOptions, onLine?: (line: string) => void): Promise<Sidecar> {
  const files = await writeSidecarConfig(options);
  const running = await startProcess<SidecarReady>({
    name: 'mcp-ext-authz',
    command: process.execPath,
    args: [join(root, 'src/main.ts'), 'serve', '--config', files.configFile],
    readyWhen: (line) => {
      if (!line.startsWith('{')) return undefined;
      const { target, admin } = JSON.parse(line) as Partial<SidecarReady>;
      return target === undefined || admin === undefined ? undefined : { target, admin };
    },
    ...(onLine === undefined ? {} : { onLine }),
  });
  return { ...running, ...files };
}

export type EnvoyOptions = {
  readonly dir: string;
  readonly binary: string;
  readonly port: number;
  /** Where the sidecar answers: `host:port` or `unix:///path`. */
  readonly authz: string;
  /** Where its front door is, if not in the same folder. */
  readonly frontDoor?: string;
  /** Port of each backend, by cluster name. */
  readonly backends: Readonly<Record<string, number>>;
  readonly certFile: string;
  readonly keyFile: string;
  readonly adjust?: (config: Tree) => void;
};

export type Envoy = RunningProcess<true> & {
  readonly port: number;
  readonly adminSocket: string;
  readonly accessLogFile: string;
};

export async function startEnvoy(options: EnvoyOptions): Promise<Envoy> {
  const { dir, binary } = options;
  const config = parse(await readFile(join(root, 'envoy/envoy.yaml'), 'utf8')) as Tree;
  const adminSocket = join(dir, 'envoy-admin.sock');
  const accessLogFile = join(dir, 'envoy-access.ndjson');
  const [listener] = config.static_resources.listeners;
  const [chain] = listener.filter_chains;
  const [certificate] = chain.transport_socket.typed_config.common_tls_context.tls_certificates;
  config.admin.address.pipe.path = adminSocket;
  listener.address.socket_address = { address: '127.0.0.1', port_value: options.port };
  certificate.certificate_chain.filename = options.certFile;
  certificate.private_key.filename = options.keyFile;
  chain.filters[0].typed_config.access_log[0].typed_config.path = accessLogFile;
  for (const cluster of config.static_resources.clusters) {
    const [{ endpoint }] = cluster.load_assignment.endpoints[0].lb_endpoints;
    const own =
      cluster.name === 'front_door'
        ? (options.frontDoor ?? frontDoorAt(dir))
        : cluster.name.startsWith('mcp_ext_') && options.authz;
    endpoint.address = own ? addressOf(own) : loopback(options.backends[cluster.name] as number);
  }
  options.adjust?.(config);
  const configFile = join(dir, 'envoy.yaml');
  await writeFile(configFile, stringify(config));
  const running = await startProcess<true>({
    name: 'envoy',
    command: binary,
    args: ['-c', configFile, '--concurrency', '2', '--disable-hot-restart', '--log-level', 'info'],
    readyWhen: (line) => (line.includes('starting workers') ? true : undefined),
  });
  // It says so before it listens. The thread that goes on to do it answers its admin interface, and that only afterwards.
  await adminText(adminSocket, '/ready').catch(async (error: unknown) => {
    await running.stop();
    throw error;
  });
  return { ...running, port: options.port, adminSocket, accessLogFile };
}

function addressOf(target: string): Tree {
  if (target.startsWith('unix://')) return { pipe: { path: target.slice('unix://'.length) } };
  return loopback(Number(target.split(':').at(-1)));
}

function loopback(port: number): Tree {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}
