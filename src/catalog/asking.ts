/**
 * Asks one backend everything a catalog holds: which eras it speaks, and all its lists to their last page. Sessions that
 * were opened for it are closed again.
 */
import type { JsonObject } from '../mcp/message.ts';
import { isObject } from '../mcp/message.ts';
import { type Bounds, type Connection, isMethodUnknown, type Reach, tryConnect } from './connection.ts';
import { canonicalJson } from './fingerprint.ts';
import { CatalogInvalid, readNames, readTools } from './reading.ts';
import type { BackendView, List } from './view.ts';

export interface AskLimits {
  readonly timeoutMs: number;
  /** Of each list. */
  readonly maxItems: number;
  readonly maxBytes: number;
}

export interface Told {
  readonly view: BackendView;
  /** Each list as it was sent, to see whether it changed. */
  readonly texts: Readonly<Record<List, string>>;
  readonly counts: Readonly<Record<List | 'resource_templates', number>>;
}

/** Handshakes and ends of both eras, beside the pages. */
const REQUESTS_BESIDE_PAGES = 8;
const MAX_PAGES = 256;

/** Rejects where the backend cannot be reached, refuses, or says what cannot be used. */
export async function askBackend(reach: Reach, limits: AskLimits, stopped: AbortSignal): Promise<Told> {
  const signal = AbortSignal.any([stopped, AbortSignal.timeout(limits.timeoutMs)]);
  const bounds: Bounds = { ...limits, maxRequests: REQUESTS_BESIDE_PAGES + MAX_PAGES, signal };
  const opened: Connection[] = [];
  try {
    const modern = await tryConnect(reach, 'modern', bounds);
    if (modern !== null) opened.push(modern);
    const legacy = await tryConnect(reach, 'legacy', bounds);
    if (legacy !== null) opened.push(legacy);
    const [best] = opened;
    if (best === undefined) throw new CatalogInvalid('it answers neither server/discover nor initialize as an MCP server does');
    return await readAll(best, { legacy: legacy !== null, modern: modern !== null }, limits, signal);
  } catch (cause) {
    // The client's own words for an abort do not say whose it was.
    throw signal.aborted && !(cause instanceof CatalogInvalid) ? signal.reason : cause;
  } finally {
    await Promise.all(opened.map(({ close }) => close()));
  }
}

async function readAll({ client }: Connection, eras: BackendView['eras'], limits: AskLimits, signal: AbortSignal): Promise<Told> {
  const capabilities = (client.getServerCapabilities() ?? {}) as JsonObject;
  const read = async (method: string, capability: string, member: string): Promise<unknown[]> =>
    isObject(capabilities[capability]) ? readPages(client, method, member, limits, signal) : [];
  const tools = await read('tools/list', 'tools', 'tools');
  const prompts = await read('prompts/list', 'prompts', 'prompts');
  const resources = await read('resources/list', 'resources', 'resources');
  const templates = await read('resources/templates/list', 'resources', 'resourceTemplates').catch((cause: unknown) => {
    if (isMethodUnknown(cause)) return [];
    throw cause;
  });
  const instructions = client.getInstructions() ?? null;
  const view: BackendView = {
    reachable: true,
    eras,
    capabilities,
    instructions,
    tools: readTools(tools),
    resourceUris: readNames(resources, 'resource', 'uri'),
    resourceTemplates: [...readNames(templates, 'resource template', 'uriTemplate')],
  };
  const counts = {
    tools: tools.length,
    prompts: readNames(prompts, 'prompt', 'name').size,
    resources: resources.length,
    resource_templates: templates.length,
  };
  const texts = {
    tools: canonicalJson(tools),
    prompts: canonicalJson(prompts),
    resources: canonicalJson([resources, templates]),
  };
  return { view, texts, counts };
}

async function readPages(
  client: Connection['client'],
  method: string,
  member: string,
  { maxItems, timeoutMs }: AskLimits,
  signal: AbortSignal,
): Promise<unknown[]> {
  const items: unknown[] = [];
  const cursors = new Set<string>();
  let cursor: unknown;
  do {
    const params = cursor === undefined ? {} : { cursor };
    const page = await client.request({ method, params }, AS_IT_IS, { timeout: timeoutMs, signal });
    const listed = page[member];
    if (!Array.isArray(listed)) throw new CatalogInvalid(`${method} was answered without ${member}`);
    items.push(...listed);
    if (items.length > maxItems) throw new CatalogInvalid(`${method} has more than ${maxItems} items`);
    cursor = page.nextCursor;
    if (cursor === undefined) return items;
    if (typeof cursor !== 'string') throw new CatalogInvalid(`${method} was answered with a cursor that is no text`);
    if (cursors.has(cursor)) throw new CatalogInvalid(`${method} goes in a circle: a cursor came twice`);
    cursors.add(cursor);
  } while (cursors.size < MAX_PAGES);
  throw new CatalogInvalid(`${method} has more than ${MAX_PAGES} pages`);
}

/** A result schema that leaves the result alone: it is read by `reading.ts`, member by member. */
const AS_IT_IS = {
  '~standard': {
    version: 1 as const,
    vendor: 'mcp-ext-authz',
    validate: (value: unknown) => (isObject(value) ? { value } : { issues: [{ message: 'the result is no object' }] }),
    types: undefined as unknown as { readonly input: JsonObject; readonly output: JsonObject },
  },
};
