/** `mcp-ext-authz policy init`: writes a policy to begin with, out of templates/policy/. Nothing that is there is touched. */
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { VERSION } from '../version.ts';
import { describeFileProblem, EXIT, type Io, readArguments, ToolError, UsageError } from './io.ts';

export const HELP = `mcp-ext-authz policy init [DIR]

Writes a policy to begin with into DIR (here: the current folder): rules, a table of who may do what, tests, and a workflow for
GitHub and GitLab that checks, tests and builds it. Refuses where one of its files is there already.
`;

/** Where each goes. Some of the names here would mean something to tools that look at this repository. */
export const STARTER: Readonly<Record<string, string>> = {
  'README.md': 'README.md',
  'access/data.yaml': 'access/data.yaml',
  'mcp/inbound.rego': 'mcp/inbound.rego',
  'mcp/inbound_test.rego': 'mcp/inbound_test.rego',
  'mcp/outbound.rego': 'mcp/outbound.rego',
  'mcp/outbound_test.rego': 'mcp/outbound_test.rego',
  'github-workflow.yaml': '.github/workflows/policy.yaml',
  'gitlab-ci.yaml': '.gitlab-ci.yml',
  gitignore: '.gitignore',
};

const TEMPLATES = new URL('../../templates/policy/', import.meta.url);

export async function run(args: readonly string[], { out }: Io): Promise<number> {
  const { positionals } = readArguments(args, {}, 1);
  const folder = positionals[0] ?? '.';
  // As of a variable that was never set.
  if (folder === '') throw new UsageError('the name of the folder is empty; . is this one');
  await refuseToOverwrite(folder);
  for (const [template, name] of Object.entries(STARTER)) {
    const text = await readFile(new URL(template, TEMPLATES), 'utf8');
    await write(join(folder, name), text.replaceAll('{{VERSION}}', VERSION));
    out.write(`${join(folder, name)}\n`);
  }
  const where = folder === '.' ? '' : ` ${folder}`;
  out.write(`\nNow \`mcp-ext-authz policy check${where}\`, \`policy test${where}\`, and read ${join(folder, 'README.md')}.\n`);
  return EXIT.fine;
}

async function refuseToOverwrite(folder: string): Promise<void> {
  const there: string[] = [];
  for (const name of Object.values(STARTER)) if (await exists(join(folder, name))) there.push(join(folder, name));
  if (there.length > 0) throw new ToolError(`nothing was written: ${there.join(', ')} would be overwritten`);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return false;
      throw describeFileProblem(path, cause);
    },
  );
}

async function write(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text, { flag: 'wx' });
  } catch (cause) {
    throw describeFileProblem(path, cause);
  }
}
