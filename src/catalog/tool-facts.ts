/** What is known of a tool: by the configuration, which wins, or by the catalog. */
import type { Resource, ToolFacts } from '../resource.ts';
import type { CatalogTool, Views } from './view.ts';

const UNKNOWN_TOOL: ToolFacts = { title: null, annotations: {}, known: false };

/** One object for one tool of one view: its text is kept. */
const told = new WeakMap<CatalogTool, ToolFacts>();

export function toolFacts(resource: Pick<Resource, 'name' | 'tools'>, views: Views, tool: string | null): ToolFacts {
  if (tool === null) return UNKNOWN_TOOL;
  return resource.tools.get(tool) ?? ofCatalog(views(resource.name)?.tools.get(tool)) ?? UNKNOWN_TOOL;
}

function ofCatalog(tool: CatalogTool | undefined): ToolFacts | undefined {
  if (tool === undefined) return undefined;
  const before = told.get(tool);
  if (before !== undefined) return before;
  const facts: ToolFacts = { title: tool.title, annotations: tool.annotations, known: true };
  told.set(tool, facts);
  return facts;
}
