/**
 * `mcp-ext-authz policy check`: OPA's strict check with the published input and, where a catalog is given, with the arguments
 * of the tools; built-ins that the sidecar lacks; rules that have to be there; what they may answer; the shape of data.
 */
import { readFileSync } from 'node:fs';
import { REQUIRED_ENTRYPOINTS } from '../bundle/compile.ts';
import { openOpa } from '../opa/opa.ts';
import type { OpaProblem } from '../opa/requests.ts';
import { POLICY_REASONS } from '../reasons.ts';
import { findDataProblems } from './data-shape.ts';
import { findShapeProblems } from './decision-shape.ts';
import { EXIT, type Io, readArguments, showProgress, UsageError } from './io.ts';
import { LACKING_BUILTINS } from './lacking-builtins.ts';
import { askOpa, OPA_OPTIONS } from './loading.ts';
import { describeProblem, isWarning, sortProblems } from './problems.ts';
import { readSourceFolder, type SourceFolder } from './source-folder.ts';
import { askCatalog, readCatalogFile, type ToolCatalog } from './tool-catalog.ts';

export const HELP = `mcp-ext-authz policy check [DIR]

Finds the mistakes in a policy that can be found without running it, in DIR (here: the current folder): what OPA's strict check
finds; names that input does not have; built-ins that the sidecar does not have; decisions that it would refuse; data that
is not what the schemas of annotations (\`data.x: schema["name"]\`) say.

With the tools' own schemas it finds more: arguments that no tool has, or not the tool that a rule is about
(\`input.mcp.tool == "…"\`), and tools that nobody offers. They come from one of

  --config FILE     the sidecar's configuration: asks its backends now, as \`catalog show\` does
  --catalog FILE    the file of \`catalog approve\`, or what \`catalog show --json\` wrote

Exits with 0 where nothing is wrong (warnings may be), 1 where something is, 2 where it was not asked as it should be.
`;

const OPTIONS = { config: { type: 'string' }, catalog: { type: 'string' } } as const;

const INPUT = 'input.v1';
const INPUT_SCHEMA = new URL('../../policies/schemas/input.v1.json', import.meta.url);

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS, 1);
  if (values.config !== undefined && values.catalog !== undefined)
    throw new UsageError('--config and --catalog: give one of them');
  const folder = await readSourceFolder(positionals[0] ?? '.');
  const catalog = await showProgress('asking the backends', io, () => readCatalog(values, io));
  const { problems, data, modules } = await showProgress('checking', io, () => check(folder, catalog));
  for (const one of problems) io.out.write(describeProblem(one, folder));
  for (const line of data) io.out.write(`${line}\n`);
  const errors = problems.filter((one) => !isWarning(one)).length + data.length;
  io.out.write(`${summarise(errors, problems.length + data.length - errors, modules)}\n${describeCatalog(catalog)}\n`);
  return errors === 0 ? EXIT.fine : EXIT.found;
}

async function readCatalog(values: { config?: string | undefined; catalog?: string | undefined }, io: Io) {
  if (values.catalog !== undefined) return readCatalogFile(values.catalog);
  return values.config === undefined ? null : askCatalog(values.config, io);
}

async function check(folder: SourceFolder, catalog: ToolCatalog | null) {
  const opa = openOpa(OPA_OPTIONS);
  try {
    const { result, errors } = await askOpa(opa, {
      command: 'check',
      files: folder.files,
      schemas: { ...folder.schemas, ...toolSchemas(catalog), [INPUT]: JSON.parse(readFileSync(INPUT_SCHEMA, 'utf8')) },
      input_schema: INPUT,
      ...(catalog === null ? {} : { tools: allTools(catalog) }),
      lacking_builtins: LACKING_BUILTINS,
      reasons: [...POLICY_REASONS],
      entrypoints: REQUIRED_ENTRYPOINTS,
    });
    const modules = Object.keys(folder.files).filter((name) => name.endsWith('.rego')).length;
    // What is offered where nobody was asked is not known.
    const isSure = ({ code }: OpaProblem): boolean => code !== 'tool_unknown' || catalog?.unasked.length === 0;
    const written = await askOpa(opa, { command: 'decisions', files: folder.files, entrypoints: REQUIRED_ENTRYPOINTS });
    const decisions = findShapeProblems(result?.types ?? {}, written.result ?? []);
    const found = (more: readonly OpaProblem[]) => sortProblems([...more.filter(isSure), ...decisions]);
    if (errors !== undefined) return { problems: found(errors), data: [], modules };
    const data = await findDataProblems(folder.files, folder.schemas, (query, files) =>
      askOpa(opa, { command: 'eval', query, files }),
    );
    return { problems: found(result.warnings), data, modules };
  } finally {
    await opa.close();
  }
}

/** By the names that annotations have for them: `schema["tools/BACKEND/TOOL"]`. */
function toolSchemas(catalog: ToolCatalog | null): Record<string, object> {
  const named = Object.entries(catalog?.tools ?? {}).flatMap(([backend, tools]) =>
    Object.entries(tools).map(([tool, schema]): [string, object] => [`tools/${backend}/${tool}`, schema]),
  );
  return Object.fromEntries(named);
}

/** A backend that was not asked may have tools that take anything: rules about no tool in particular cannot be judged then. */
function allTools({ tools, unasked }: ToolCatalog): Record<string, Record<string, object>> {
  const unknown = unasked.map((backend) => [backend, { '(not known)': { type: 'object' } }] as const);
  return { ...tools, ...Object.fromEntries(unknown) };
}

function summarise(errors: number, warnings: number, modules: number): string {
  const files = `${modules} Rego file${modules === 1 ? '' : 's'}`;
  const warned = warnings === 0 ? '' : `, ${warnings} warning${warnings === 1 ? '' : 's'}`;
  return `${files}: ${errors === 0 ? 'nothing wrong' : `${errors} error${errors === 1 ? '' : 's'}`}${warned}`;
}

function describeCatalog(catalog: ToolCatalog | null): string {
  if (catalog === null) return 'arguments of tools were not looked at: --config or --catalog says what they are';
  const backends = Object.values(catalog.tools);
  const count = backends.reduce((sum, tools) => sum + Object.keys(tools).length, 0);
  const unasked =
    catalog.unasked.length === 0
      ? ''
      : `; without those of ${catalog.unasked.join(', ')}, which has no url: only rules that name a tool are held against arguments`;
  return `compared with the arguments of ${count} tool${count === 1 ? '' : 's'} of ${backends.length} backend${backends.length === 1 ? '' : 's'}${unasked}`;
}
