/** What the tools take, by backend: out of a file, or asked of the backends now, as `catalog show` does. */
import { askBackends } from '../app/catalog-command.ts';
import { readConfigFile } from '../app/config-file.ts';
import { ApprovalsInvalid, parseDefinitions } from '../catalog/approvals.ts';
import { isObject } from '../mcp/message.ts';
import { createLog } from '../telemetry/log.ts';
import { type ArgumentsSchema, argumentsSchema } from './argument-schemas.ts';
import { type Io, readText, ToolError } from './io.ts';

/** By backend, then by tool. */
export type ToolSchemas = Readonly<Record<string, Readonly<Record<string, ArgumentsSchema>>>>;

export interface ToolCatalog {
  readonly tools: ToolSchemas;
  /** Backends that cannot be asked: what their tools take is not known. */
  readonly unasked: readonly string[];
}

/** @param file as `catalog approve` or `catalog show --json` writes one. Rejects with ToolError. */
export async function readCatalogFile(file: string): Promise<ToolCatalog> {
  try {
    const definitions = parseDefinitions(await readText(file));
    const schemas = mapMap(definitions, (tools) => mapMap(tools, ({ inputSchema }) => schemaOf(inputSchema)));
    return { tools: schemas, unasked: [] };
  } catch (cause) {
    if (cause instanceof ApprovalsInvalid)
      throw new ToolError(`${file}: is no catalog of tools, as \`catalog show --json\` writes one: ${cause.message}`);
    throw cause;
  }
}

/** Rejects where one of them does not answer: a check against half of the tools would say nonsense. */
export async function askCatalog(configFile: string, { err }: Io): Promise<ToolCatalog> {
  const config = await readConfigFile(configFile);
  const offered = await askBackends(config, new Set(), createLog(err));
  const asked = mapMap(offered, ({ tools }) => mapMap(tools, ({ inputSchema }) => schemaOf(inputSchema)));
  return { tools: asked, unasked: config.resources.map(({ name }) => name).filter((name) => !offered.has(name)) };
}

function schemaOf(inputSchema: unknown): ArgumentsSchema {
  return isObject(inputSchema) ? argumentsSchema(inputSchema) : { type: 'object' };
}

function mapMap<V, W>(map: ReadonlyMap<string, V>, change: (value: V) => W): Record<string, W> {
  return Object.fromEntries([...map].map(([key, value]) => [key, change(value)]));
}
