/** Keycloak, Envoy, the sidecar and two backends for one test file, with what a test needs to ask and to look at. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, fetch as undiciFetch } from 'undici';
import { startKeycloakDeployment } from '../../../../examples/keycloak/deployment.ts';
import { clientCredentials, signIn } from '../../../../examples/keycloak/sign-in.ts';
import type { RequestRecord } from '../../../../examples/reference/guarded-server.ts';
import { ask, lineOf, type Question, type Reply } from '../../../support/ask.ts';
import { readMetrics, type Samples } from '../../../support/metrics.ts';
import { followLines, type Line } from '../../../support/ndjson.ts';
import { reconfigure } from '../../../support/reconfigure.ts';
import { openWire } from '../../../support/wire.ts';
import { startPlainBackend } from './plain-backend.ts';
import { administer } from './realm.ts';

type Tree = Record<string, any>;
type UserName = 'alice' | 'bob' | 'carol';

export type World = Awaited<ReturnType<typeof startWorld>>;

export const GATEWAY = 'ai-identity-gateway';
export const ALL_SCOPES = 'ledger:read ledger:write pii:read audit:read directory:read';
const AGENTCORE_REDIRECT = 'https://bedrock-agentcore.us-east-1.amazonaws.com/identities/oauth2/callback';

export async function startWorld(home: string) {
  const dir = await mkdtemp(join(tmpdir(), 'mcp-ext-authz-keycloak-'));
  const deployment = await startKeycloakDeployment({
    dir,
    home,
    startDirectory: startPlainBackend,
    // So that a busy machine is no reason to refuse, and a second look at the keys needs no half minute.
    adjustEnvoy: (config) => {
      const [{ filter_chains }] = config.static_resources.listeners;
      const filters: Tree[] = filter_chains[0].filters[0].typed_config.http_filters;
      const extAuthz = filters.find(({ name }) => name === 'envoy.filters.http.ext_authz') as Tree;
      extAuthz.typed_config.grpc_service.timeout = '10s';
    },
    adjustSidecar: (config) => {
      config.issuers[0].keyCooldownMs = 1;
    },
  }).catch(async (error: unknown) => {
    await rm(dir, { recursive: true, force: true });
    throw error;
  });
  const { keycloak, port, certificates, sidecar, requests } = deployment;
  const wire = openWire(port, certificates.caPem);
  const agent = new Agent({ connect: { ca: certificates.caPem } });
  const decisions = followLines(sidecar.decisionLogFile);
  const metrics = (): Promise<Samples> => readMetrics(sidecar.ready.admin);
  const user = (username: UserName) => ({ username, password: keycloak.secrets.passwords[username] });
  const { issuer, secrets } = keycloak;
  const agentCore = { issuer, clientId: 'bedrock-agentcore', clientSecret: secrets.agentCoreSecret };

  return {
    ...deployment,
    dir,
    realm: administer(keycloak),
    user,
    metrics,
    decisions,
    /** `fetch` that trusts the local authority. */
    fetch: ((input: string | URL, init?: object) =>
      undiciFetch(input, { ...init, dispatcher: agent })) as unknown as typeof globalThis.fetch,
    /** Everything Keycloak gives a user of Claude Code. */
    signIn: (username: UserName, scope = ALL_SCOPES) => signIn({ issuer, clientId: 'claude-code', scope, user: user(username) }),
    /** The agent for a user. */
    signInThroughAgent: (username: UserName, scope = ALL_SCOPES) =>
      signIn({ ...agentCore, scope, user: user(username), redirectUri: AGENTCORE_REDIRECT }),
    /** The agent for itself. */
    agent: (scope = 'ledger:read directory:read') => clientCredentials({ ...agentCore, scope }),
    ask: (question: Question): Promise<Reply> => ask({ wire }, question),
    lineOf: (reply: Reply): Promise<Line> => lineOf({ decisions }, reply),
    /** Of what was asked for somebody; what the gateway asks in its own name comes when it likes. */
    lastSeen: (): RequestRecord =>
      requests.findLast(({ delegation }) => delegation?.sub !== GATEWAY) ?? assert.fail('no backend saw anything'),
    /** Another configuration of the sidecar; gives the way back. */
    reconfigure: (change: (config: Tree) => void) => reconfigure({ sidecar, metrics } as never, change),
    /** How often the sidecar has asked Keycloak for keys, and how often for tokens. */
    asked: async () => {
      const samples = await metrics();
      return {
        keys: samples.sum('mcp_ext_authz_jwks_fetches_total', { issuer }),
        tokens: samples.sum('mcp_ext_authz_delegations_total', { mode: 'exchange' }),
      };
    },
    stop: async () => {
      wire.close();
      await agent.destroy();
      await deployment.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
