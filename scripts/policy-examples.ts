/**
 * The examples of docs/reviewing-policy.md and docs/explaining-decisions.md, made by running the very commands that stand there:
 * a folder with the reference policies as they are (`main`), as a pull request has them (`policies`), and a morning of decisions.
 */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openJudge } from '../src/tools/judge.ts';
import { openToolOpa } from '../src/tools/loading.ts';
import { idOf, morning, POLICIES, recordedLine } from '../test/support/decision-lines.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const TABLE = 'permissions/data.yaml';
const DECISIONS = 400;

/** The pull request: what stands in the table, and what is to stand there. */
const CHANGES: readonly (readonly [string, string])[] = [
  ['limits: {analyst: 1000000}} # in cents: 10,000.00', 'limits: {analyst: 1500000}} # in cents: 15,000.00'],
  [
    'getAuditTrail: {scopes: [ledger:read, audit:read], roles: [auditor]}',
    'getAuditTrail: {scopes: [ledger:read, audit:read], roles: [controller]}',
  ],
  ['listAccounts: {scopes: [ledger:read], roles: any}', 'listAccounts: {scopes: [ledger:read], roles: any, ttl_seconds: 2}'],
];

interface Example {
  readonly command: string;
  readonly output: string;
  readonly code: number;
}

interface Examples {
  readonly folder: string;
  /** Runs a command as it stands in the document, with that folder as the current one. */
  readonly run: (command: string) => Promise<Example>;
  readonly remove: () => Promise<void>;
}

async function openExamples(): Promise<Examples> {
  const folder = await mkdtemp(join(tmpdir(), 'policy-examples-'));
  for (const name of ['main', 'policies']) {
    await cp(POLICIES, join(folder, name), { recursive: true, filter: (path) => !path.endsWith('.tar.gz') });
  }
  await writeFile(join(folder, 'policies', TABLE), changed(await readFile(join(folder, 'policies', TABLE), 'utf8')));
  const opa = openToolOpa();
  try {
    const judge = await openJudge(join(folder, 'main'), opa, { maxTtlSeconds: 5 });
    const lines = morning(DECISIONS).map((asked, index) => recordedLine(judge, asked, index));
    await writeFile(join(folder, 'decisions.ndjson'), `${lines.join('\n')}\n`);
  } finally {
    await opa.close();
  }
  return { folder, run: (command) => runCommand(command, folder), remove: () => rm(folder, { recursive: true }) };
}

function changed(table: string): string {
  return CHANGES.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`${TABLE} has no line "${from}": mend the example`);
    return text.replace(from, to);
  }, table);
}

/** Words are separated by spaces, but for what stands in single quotes. */
function runCommand(command: string, cwd: string): Promise<Example> {
  const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? (plain as string));
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [MAIN, ...words.slice(1)], { cwd }, (_, output, errors) =>
      // How fast the machine is, is not what the example is about.
      resolve({ command, output: (output + errors).replace(/^\d+ decisions per second\n/m, ''), code: child.exitCode ?? -1 }),
    );
  });
}

function block({ command, output, code }: Example): string {
  if ((code !== 0 && code !== 1) || /^Error/m.test(output)) throw new Error(`${command}\n${output}`);
  return `\`\`\`console\n$ ${command}\n${output.trimEnd()}\n$ echo $?\n${code}\n\`\`\``;
}

type Make = (examples: Examples) => Promise<string>;

const shown =
  (command: string): Make =>
  async ({ run }) =>
    block(await run(command));

const COMMANDS = {
  replay: 'mcp-ext-authz policy replay --bundle policies --against main decisions.ndjson',
  markdown: 'mcp-ext-authz policy replay --bundle policies --against main --fail-on allow-to-deny --markdown decisions.ndjson',
  eval: `mcp-ext-authz policy eval main --as alice --backend enterprise-ledger --tool transferFunds --args '{"from":"ACC-1","to":"ACC-2","amount":1200000,"currency":"EUR"}'`,
  allowed: 'mcp-ext-authz policy eval main --as bob --backend employee-directory --tool getManager',
} as const;

const REVIEWING: Readonly<Record<string, Make>> = {
  diff: async () => `\`\`\`diff\n${CHANGES.map(([from, to]) => `-      ${from}\n+      ${to}`).join('\n')}\n\`\`\``,
  replay: shown(COMMANDS.replay),
  markdown: async ({ run }) =>
    `\`\`\`sh\n${COMMANDS.markdown}\n\`\`\`\n\n${(await run(COMMANDS.markdown)).output.trimEnd().replace(/^/gm, '> ').replace(/ +$/gm, '')}`,
};

const EXPLAINING: Readonly<Record<string, Make>> = {
  eval: shown(COMMANDS.eval),
  allowed: shown(COMMANDS.allowed),
  explain: async ({ run, folder }) => block(await run(await explainCommand(folder))),
};

/** Of the first refusal for a limit. */
async function explainCommand(folder: string): Promise<string> {
  const lines = (await readFile(join(folder, 'decisions.ndjson'), 'utf8')).split('\n');
  const id = idOf(lines.findIndex((line) => line.includes('"reason":"role_missing"')));
  return `mcp-ext-authz policy explain ${id} --log decisions.ndjson --policy main`;
}

let made: Promise<ReadonlyMap<string, string>> | null = null;

/** By name, as they stand in the documents; made once. */
export function makeExamples(): Promise<ReadonlyMap<string, string>> {
  made ??= makeAll();
  return made;
}

async function makeAll(): Promise<ReadonlyMap<string, string>> {
  const examples = await openExamples();
  try {
    const makes = Object.entries({ ...REVIEWING, ...EXPLAINING });
    const parts = new Map<string, string>();
    for (const [name, make] of makes) parts.set(name, await make(examples));
    return parts;
  } finally {
    await examples.remove();
  }
}

function region(name: string): () => Promise<string> {
  return async () => (await makeExamples()).get(name) as string;
}

const regions = (makes: object) => Object.fromEntries(Object.keys(makes).map((name) => [name, region(name)]));

/** For scripts/docs.ts. */
export const POLICY_EXAMPLES = {
  'docs/reviewing-policy.md': regions(REVIEWING),
  'docs/explaining-decisions.md': regions(EXPLAINING),
};
