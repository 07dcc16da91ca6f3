/** What a whole sidecar needs around it: an issuer with keys, a folder with a bundle and a minting key, a configuration. */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { exportJWK, SignJWT } from 'jose';
import { type Config, parseConfig } from '../../../src/config.ts';
import { echoBundle } from './bundles.ts';
import { type minimalConfig, yamlOf } from './config.ts';
import { callOf } from './facts.ts';
import { json, type Peer, startPeer } from './peer.ts';

type Adjust = (config: ReturnType<typeof minimalConfig>) => void;

export interface World {
  readonly dir: string;
  readonly issuer: Peer;
  /** A token that the sidecar accepts, but for these claims. */
  readonly token: (claims?: object) => Promise<string>;
  /** Ports are 0, delegation is minted, decisions go to `decisions.log`. */
  readonly yaml: (adjust?: Adjust) => string;
  readonly config: (adjust?: Adjust) => Config;
  readonly writeBundle: (options?: Parameters<typeof echoBundle>[0]) => Promise<void>;
  readonly path: (name: string) => string;
}

export const RESOURCE = 'https://gateway.example/ledger/mcp';

export async function createWorld(t: TestContext): Promise<World> {
  const dir = await mkdtemp(join(tmpdir(), 'unit-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const path = (name: string): string => join(dir, name);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] };
  const issuer = await startPeer(t, json(jwks));
  const mintKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  await writeFile(path('mint.pem'), mintKey.export({ type: 'pkcs8', format: 'pem' }));

  const writeBundle: World['writeBundle'] = async (options) => writeFile(path('bundle.tar.gz'), await echoBundle(options));
  await writeBundle();

  const yaml: World['yaml'] = (adjust = () => {}) =>
    yamlOf((config) => {
      config.server = { listen: '127.0.0.1:0', drainMs: 2000 };
      config.admin = { listen: '127.0.0.1:0' };
      config.wellKnown = { listen: '127.0.0.1:0' };
      config.issuers = [{ issuer: issuer.url, jwksUri: `${issuer.url}/jwks` }];
      config.resources[0].tools = { getBalance: { annotations: { readOnlyHint: true } } };
      config.policy.bundleFile = path('bundle.tar.gz');
      // So that a busy machine ends nothing but what never ends.
      config.policy.timeoutMs = 500;
      config.delegation = {
        actor: 'ai-identity-gateway',
        mode: 'mint',
        mint: { issuer: 'https://gateway.example/authz', keys: [{ kid: 'm1', keyFile: path('mint.pem') }] },
      };
      config.decisionLog = { file: path('decisions.log') };
      adjust(config);
    });

  const token: World['token'] = (claims = {}) => {
    const now = Math.floor(Date.now() / 1000);
    const honest = { iss: issuer.url, sub: 'alice', client_id: 'claude-code', aud: RESOURCE, scope: 'ledger:read' };
    return new SignJWT({ ...honest, iat: now, exp: now + 300, jti: randomUUID(), ...claims })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k1' })
      .sign(privateKey);
  };

  return { dir, issuer, token, yaml, config: (adjust) => parseConfig(yaml(adjust)), writeBundle, path };
}

/** The body of a call that `echo` decides about. */
export function callBody(args: object = {}, tool = 'getBalance'): string {
  return JSON.stringify(callOf(tool, args));
}
