/**
 * The approved tools: a YAML file made to be reviewed, with the whole definition of each tool beside its fingerprint.
 * A file whose definitions do not have the fingerprints written there is refused, so what was reviewed is what counts.
 */
import { parseDocument, stringify } from 'yaml';
import { isObject, type JsonObject } from '../mcp/message.ts';
import { canonicalJson, definitionOf, fingerprintOf } from './fingerprint.ts';

export interface ApprovedTool {
  readonly fingerprint: string;
  /** Day of the approval, as in 2026-11-30. */
  readonly approved: string;
  readonly definition: JsonObject;
}

/** By backend and by tool. */
export type Approvals = ReadonlyMap<string, ReadonlyMap<string, ApprovedTool>>;

/** The file cannot be used; the message says where it is wrong. */
export class ApprovalsInvalid extends Error {
  override name = 'ApprovalsInvalid';
}

/** Throws ApprovalsInvalid. */
export function parseApprovals(text: string): Approvals {
  return mapTools(text, readTool);
}

/** Definitions of tools by backend and tool: of this file, or of what `catalog show --json` writes. Throws ApprovalsInvalid. */
export function parseDefinitions(text: string): ReadonlyMap<string, ReadonlyMap<string, JsonObject>> {
  return mapTools(text, (path, name, tool) => {
    if (isObject(tool) && isObject(tool.definition) && tool.definition.name === name) return tool.definition;
    throw new ApprovalsInvalid(`${path}.definition: is not of this tool`);
  });
}

type Read<T> = (path: string, name: string, tool: unknown) => T;

function mapTools<T>(text: string, read: Read<T>): Map<string, Map<string, T>> {
  const document = parseDocument(text, { uniqueKeys: true, strict: true });
  const [error] = [...document.errors, ...document.warnings];
  if (error !== undefined) throw new ApprovalsInvalid(error.message.split('\n')[0]);
  const file: unknown = document.toJS({ maxAliasCount: 0 });
  if (!isObject(file) || file.version !== 1 || !isObject(file.backends)) {
    throw new ApprovalsInvalid('the file: needs `version: 1` and `backends`');
  }
  return new Map(
    Object.entries(file.backends).map(([backend, tools]) => {
      if (!isObject(tools)) throw new ApprovalsInvalid(`backends.${backend}: is no map of tools`);
      return [
        backend,
        new Map(Object.entries(tools).map(([name, tool]) => [name, read(`backends.${backend}.${name}`, name, tool)])),
      ];
    }),
  );
}

function readTool(path: string, name: string, tool: unknown): ApprovedTool {
  if (!isObject(tool)) throw new ApprovalsInvalid(`${path}: is no map`);
  const { fingerprint, approved, definition } = tool;
  if (typeof approved !== 'string' || !/^\d{4}-\d\d-\d\d$/.test(approved))
    throw new ApprovalsInvalid(`${path}.approved: is no day`);
  if (!isObject(definition) || definition.name !== name) throw new ApprovalsInvalid(`${path}.definition: is not of this tool`);
  if (fingerprintOf(definition) !== fingerprint) {
    throw new ApprovalsInvalid(`${path}: the definition does not have this fingerprint; remove the tool and approve it again`);
  }
  return { fingerprint, approved, definition };
}

/** In a stable order, so that a change of one tool is a change of its lines alone. */
export function writeApprovals(approvals: Approvals): string {
  const backends = sorted(approvals).map(([backend, tools]) => [
    backend,
    Object.fromEntries(
      sorted(tools).map(([name, { fingerprint, approved, definition }]) => [
        name,
        { fingerprint, approved, definition: JSON.parse(canonicalJson(definitionOf(definition))) },
      ]),
    ),
  ]);
  return (
    HEAD + stringify({ version: 1, backends: Object.fromEntries(backends) }, { aliasDuplicateObjects: false, lineWidth: 120 })
  );
}

const HEAD = `# Tools as they were approved. Written by \`mcp-ext-authz catalog approve\`: review each change as code that a model reads.
`;

function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}
