/**
 * The reference deployment with other servers in the place of its own, that ask, tell and take their time: behind
 * `enterprise-ledger` one that keeps sessions, behind `employee-directory` one that speaks 2026-07-28 alone.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { changedBundle, changeJson } from './bundles.ts';
import { startTestDeployment, type TestDeployment, type TestDeploymentOptions } from './deployment.ts';
import { backendsKnown } from './door.ts';
import { type LegacyBackend, type ModernBackend, startLegacyBackend, startModernBackend } from './mcp-servers.ts';

type Tree = Record<string, any>;

export interface TalkingDeployment extends TestDeployment {
  readonly legacy: LegacyBackend;
  readonly modern: ModernBackend;
}

const TOOLS = {
  'enterprise-ledger': ['greet', 'insist', 'sample', 'report', 'interrupt', 'wait', 'late'],
  'employee-directory': ['hello', 'ask', 'meet', 'stall'],
};

export async function startTalkingDeployment(options: TestDeploymentOptions = {}): Promise<TalkingDeployment> {
  const [legacy, modern, bundle] = await Promise.all([startLegacyBackend(), startModernBackend(), openToAll()]);
  const urls: Record<string, string> = { 'enterprise-ledger': legacy.url, 'employee-directory': modern.url };
  const deployment = await startTestDeployment({
    ...options,
    delegation: 'mint',
    adjustSidecar: (config, own) => {
      const bundleFile = join(config.decisionLog.file, '..', 'talking.tar.gz');
      writeFileSync(bundleFile, bundle);
      config.policy.bundleFile = bundleFile;
      for (const resource of config.resources) resource.url = urls[resource.name];
      options.adjustSidecar?.(config, own);
    },
    adjustEnvoy: (config) => {
      for (const { name, load_assignment: assignment } of config.static_resources.clusters as Tree[]) {
        const url = urls[name.replaceAll('_', '-')];
        if (url === undefined) continue;
        assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value = Number(new URL(url).port);
      }
      options.adjustEnvoy?.(config);
    },
  });
  const stop = async () => {
    await deployment.stop();
    await Promise.all([legacy.stop(), modern.stop()]);
  };
  try {
    await backendsKnown(deployment);
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...deployment, legacy, modern, stop };
}

/** The committed policy, with rows for what these servers have. */
function openToAll(): Promise<Buffer> {
  return changedBundle((members) =>
    changeJson(members, '/data.json', ({ permissions: { backends } }) => {
      for (const [name, tools] of Object.entries(TOOLS)) {
        const [scope] = backends[name].scopes;
        const row = { scopes: [scope], roles: 'any' };
        const rows = (names: readonly string[]) => Object.fromEntries(names.map((one) => [one, row]));
        Object.assign(backends[name], {
          tools: rows(tools),
          prompts: rows(['visit']),
          resources: rows(['legacy://rules', 'modern://people']),
        });
      }
    }),
  );
}
