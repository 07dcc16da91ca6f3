/** What is known of backends and their tools without asking any: by a configuration, and by a file of tools. */
import { protectedResources } from '../app/resource-settings.ts';
import { parseDefinitions } from '../catalog/approvals.ts';
import type { Config } from '../config.ts';
import { isObject } from '../mcp/message.ts';
import type { ToolFacts } from '../resource.ts';
import { readText, ToolError } from './io.ts';

export interface KnownBackend {
  readonly name: string;
  readonly path: string;
  readonly url: string;
  readonly tools: ReadonlyMap<string, ToolFacts>;
  /** It has no others: a configuration names only those it says something about, a catalog all. */
  readonly hasAllTools: boolean;
}

export type KnownBackends = ReadonlyMap<string, KnownBackend>;

/** The configuration comes first: what it says of a tool is what the sidecar takes. */
export async function readBackends(config: Config | null, catalogFile: string | null): Promise<KnownBackends> {
  const known = new Map<string, KnownBackend>();
  for (const resource of config === null ? [] : protectedResources(config)) {
    if (resource.members.length > 0) continue;
    const { name, path, tools, publicNames } = resource;
    known.set(name, { name, path, url: publicNames[0]?.url ?? '', tools, hasAllTools: false });
  }
  if (catalogFile === null) return known;
  for (const [name, tools] of await readCatalog(catalogFile)) {
    const before = known.get(name) ?? unknownBackend(name);
    known.set(name, { ...before, tools: new Map([...tools, ...before.tools]), hasAllTools: true });
  }
  return known;
}

export function unknownBackend(name: string): KnownBackend {
  const path = `/${encodeURIComponent(name)}/mcp`;
  return { name, path, url: `https://gateway.example${path}`, tools: new Map(), hasAllTools: false };
}

async function readCatalog(path: string): Promise<Map<string, Map<string, ToolFacts>>> {
  const text = await readText(path);
  try {
    const definitions = [...parseDefinitions(text)];
    return new Map(
      definitions.map(([backend, tools]) => [
        backend,
        new Map([...tools].map(([tool, definition]) => [tool, factsOf(definition)])),
      ]),
    );
  } catch (cause) {
    throw new ToolError(`${path}: ${(cause as Error).message}`);
  }
}

function factsOf({ title, annotations }: Readonly<Record<string, unknown>>): ToolFacts {
  return { title: typeof title === 'string' ? title : null, annotations: isObject(annotations) ? annotations : {}, known: true };
}
