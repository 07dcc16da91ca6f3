/**
 * The reference deployment for one test file: started once, stopped at the end, in a folder of its own. Beside it stands an
 * issuer whose keys are ours, so that tokens no honest server would issue can be brought as well.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Deployment, type DeploymentOptions, startDeployment } from '../../examples/reference/deployment.ts';
import { type Sidecar, startSidecar } from '../../examples/reference/gateway.ts';
import { createCallers, type TokenOf } from './callers.ts';
import { startTestIssuer, type TestIssuer } from './issuer.ts';
import { readMetrics, type Samples } from './metrics.ts';
import { followLines, type LineFile } from './ndjson.ts';
import { openWire, type Wire } from './wire.ts';

type Tree = Record<string, any>;

export interface TestDeployment extends Deployment {
  readonly port: number;
  readonly testIssuer: TestIssuer;
  readonly tokenOf: TokenOf;
  readonly wire: Wire;
  readonly decisions: LineFile;
  readonly accessLog: LineFile;
  /** What `/metrics` of a sidecar shows; by default of the first one. */
  readonly metrics: (admin?: string) => Promise<Samples>;
  /** The sidecar again, where Envoy looks for it, after it was ended. */
  readonly restartSidecar: () => Promise<Sidecar>;
  /** Another sidecar with the same configuration, in a folder of its own; `adjust` comes last. */
  readonly startAnotherSidecar: (name: string, adjust?: (config: Tree) => void) => Promise<Sidecar>;
}

export type TestDeploymentOptions = Partial<Omit<DeploymentOptions, 'dir'>>;

export const LEDGER = '/enterprise-ledger/mcp';
export const DIRECTORY = '/employee-directory/mcp';

export async function startTestDeployment(options: TestDeploymentOptions = {}): Promise<TestDeployment> {
  const dir = await mkdtemp(join(tmpdir(), 'mcp-ext-authz-'));
  const testIssuer = await startTestIssuer();
  const adjustSidecar = (config: Tree, urls: Readonly<Record<string, string>>) => {
    config.issuers.push(testIssuerConfig(testIssuer));
    // So that a busy machine ends nothing but what never ends.
    config.policy.timeoutMs = 500;
    options.adjustSidecar?.(config, urls);
  };
  const deployment = await startDeployment({ ...options, dir, adjustSidecar }).catch(async (error: unknown) => {
    await testIssuer.stop();
    throw error;
  });
  const port = Number(new URL(deployment.origin).port);
  const wire = openWire(port, deployment.certificates.caPem);
  const more: (() => Promise<unknown>)[] = [];
  const start = async (folder: string, adjust?: (config: Tree) => void): Promise<Sidecar> => {
    const another = await startSidecar({
      ...deployment.sidecarOptions,
      dir: folder,
      adjust: (config) => {
        adjustSidecar(config, deployment.backendUrls);
        adjust?.(config);
      },
    });
    more.push(() => another.stop());
    return another;
  };
  return {
    ...deployment,
    port,
    testIssuer,
    tokenOf: createCallers(deployment.authorizationServer),
    wire,
    decisions: followLines(deployment.sidecar.decisionLogFile),
    accessLog: followLines(deployment.envoy.accessLogFile),
    metrics: (admin = deployment.sidecar.ready.admin) => readMetrics(admin),
    restartSidecar: () =>
      start(dir, (config) => {
        config.server.listen = deployment.sidecar.ready.target;
      }),
    startAnotherSidecar: async (name, adjust) => start(await mkdtemp(join(dir, `${name}-`)), adjust),
    stop: async () => {
      wire.close();
      for (const stop of more) await stop();
      await deployment.stop();
      await testIssuer.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** No requests of the sidecar's own at the backends, and so no front door: for tests that count. */
export function withoutCatalog(config: Tree): void {
  for (const resource of config.resources) delete resource.url;
  delete config.frontDoor;
}

/** How the sidecar is told about the issuer in our hands. */
export function testIssuerConfig({ issuer, jwksUri }: TestIssuer): Tree {
  return {
    issuer,
    jwksUri,
    algorithms: ['ES256', 'RS256'],
    clients: ['claude-code', 'bedrock-agentcore'],
    maxLifetimeSeconds: 3600,
  };
}
