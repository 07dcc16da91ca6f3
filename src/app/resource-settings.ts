/** The protected resources of a configuration, the front door among them, and the secrets that bind ids to their callers. */

import { readSecret } from '../client-authentication.ts';
import { type Config, defaultPrefix } from '../config.ts';
import { publicName, type Resource, type ToolFacts } from '../resource.ts';
import { createSealer, type Sealer } from '../seal.ts';

/** The front door first: it is what the metadata at the root of a host describes. */
export function protectedResources(config: Config): Resource[] {
  const backends = config.resources.map((resource) => toBackend(resource, config));
  const { frontDoor } = config;
  if (frontDoor === undefined) return backends;
  const members = Object.entries(frontDoor.backends).map(([name, { prefix = defaultPrefix(name) }]) => ({
    resource: backends.find((backend) => backend.name === name) as Resource,
    prefix,
  }));
  const door: Resource = { ...entranceOf(frontDoor, config), delegation: 'none', tools: new Map(), url: null, members };
  return [door, ...backends];
}

function toBackend(resource: Config['resources'][number], config: Config): Resource {
  const tools = Object.entries(resource.tools).map(([tool, { title = null, annotations }]): [string, ToolFacts] => [
    tool,
    { title, annotations, known: true },
  ]);
  return {
    ...entranceOf(resource, config),
    delegation: resource.delegation ?? config.delegation.mode,
    tools: new Map(tools),
    url: resource.url ?? null,
    members: [],
  };
}

type Entrance = Omit<Resource, 'delegation' | 'tools' | 'url' | 'members'>;

function entranceOf(entrance: Config['resources'][number] | NonNullable<Config['frontDoor']>, { issuers }: Config): Entrance {
  return {
    name: entrance.name,
    path: entrance.path,
    publicNames: entrance.publicUrls.map(publicName),
    audiences: new Set([...entrance.publicUrls, ...entrance.audiences]),
    issuers: new Set(entrance.issuers ?? issuers.map(({ issuer }) => issuer)),
    scopesSupported: entrance.scopesSupported,
    challengeScopes: entrance.challengeScopes,
    strict: entrance.denials === 'strict',
    documentation: entrance.documentation ?? null,
  };
}

const SHORTEST_SECRET = 32;

/** Null where answers are not processed. Rejects where a secret cannot be read or is too short. */
export async function openSealer({ processing }: Config): Promise<Sealer | null> {
  if (processing === undefined) return null;
  const secrets = await Promise.all(processing.keys.map(readSecret));
  const short = secrets.findIndex((secret) => secret.length < SHORTEST_SECRET);
  if (short >= 0) throw new Error(`processing.keys[${short}]: a secret of at least ${SHORTEST_SECRET} characters is needed`);
  return createSealer(secrets.map((secret) => Buffer.from(secret)) as [Buffer, ...Buffer[]]);
}
