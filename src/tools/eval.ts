/**
 * `mcp-ext-authz policy eval`: what would be decided if this person called this tool with these arguments, which token the
 * backend would get, and why. No sidecar, no token and no OPA binary is needed.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text as readStream } from 'node:stream/consumers';
import { readConfigFile } from '../app/config-file.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import type { Opa } from '../opa/opa.ts';
import type { PolicyInput } from '../policy/input.ts';
import { imagineInput } from './asked-input.ts';
import { type Evaluation, evaluate } from './evaluation.ts';
import { checkInput } from './input-shape.ts';
import { describeFileProblem, EXIT, type Io, isFolder, readArguments, showProgress, ToolError, UsageError } from './io.ts';
import { type Judge, openJudge } from './judge.ts';
import { type KnownBackend, type KnownBackends, readBackends, unknownBackend } from './known-backends.ts';
import { openToolOpa } from './loading.ts';
import { type Person, readPeople } from './people.ts';
import { isKnownReason } from './recorded.ts';
import { describeEvaluation } from './trace-text.ts';
import { describeSaid, describeToken, lastSaid } from './verdict-text.ts';

export const HELP = `mcp-ext-authz policy eval [DIR|BUNDLE] --as USER --tool NAME [--args JSON]

What would be decided, and why. DIR is a folder of Rego and data (policies, if it is there, or this one).

  --as USER          a name in the file of people, or a subject
  --people FILE      YAML: name → subject, client, scopes, claims (DIR/people.yaml, if it is there)
  --client ID        OAuth client id        --scopes A,B    scopes of the token
  --roles A,B        the claim "roles"      --claims JSON   further claims
  --tool NAME        the tool that is called, and --args JSON its arguments
  --method METHOD    another MCP method, as resources/read, with --target NAME-OR-URI or --params JSON
  --backend NAME     whose tool it is; can be left out where --config has one backend with that tool
  --config FILE      the sidecar's configuration: backends, annotations of tools, the longest lifetime of a token
  --catalog FILE     tools (\`catalog approve\`, \`catalog show --json\`), for their annotations
  --protocol REV     MCP revision (2025-11-25)
  --input FILE       a whole policy input as JSON instead of all that; - is standard input
  --time RFC3339     when it is asked (now)
  --trace            everything that was tried, not only what led to the answer
  --expect WORD      allow, deny or a reason: exits with 1 where it comes out otherwise
  --json             for programs
`;

const OPTIONS = {
  as: { type: 'string' },
  people: { type: 'string' },
  client: { type: 'string' },
  scopes: { type: 'string' },
  roles: { type: 'string' },
  claims: { type: 'string' },
  tool: { type: 'string' },
  args: { type: 'string' },
  method: { type: 'string' },
  target: { type: 'string' },
  params: { type: 'string' },
  backend: { type: 'string' },
  config: { type: 'string' },
  catalog: { type: 'string' },
  protocol: { type: 'string' },
  input: { type: 'string' },
  time: { type: 'string' },
  trace: { type: 'boolean' },
  expect: { type: 'string' },
  json: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof readArguments<typeof OPTIONS>>['values'];

const DEFAULT_TTL_SECONDS = 5;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS, 1);
  const path = positionals[0] ?? (existsSync('policies') ? 'policies' : '.');
  const now = readTime(values.time);
  checkExpectation(values.expect);
  const config = values.config === undefined ? null : await readConfigFile(values.config);
  const backends = await readBackends(config, values.catalog ?? config?.catalog.pinning?.file ?? null);
  const input = values.input === undefined ? await inputOf(values, path, backends, now) : await readInput(values.input);
  const opa = openToolOpa();
  try {
    const lacking = values.input === undefined ? [] : await findLacking(opa, input, values.input);
    const [judge, evaluation] = await showProgress('asking OPA', io, async () => {
      const opened = await openJudge(path, opa, { maxTtlSeconds: config?.delegation.maxTtlSeconds ?? DEFAULT_TTL_SECONDS });
      const evaluation = await evaluate(opened, opa, input, now);
      return [opened, { ...evaluation, doubts: [...lacking, ...evaluation.doubts] }] as const;
    });
    io.out.write(
      values.json ? `${JSON.stringify(toJson(judge, evaluation), null, 2)}\n` : describe(judge, evaluation, input, values),
    );
    return judgeExpectation(values.expect, evaluation, io);
  } finally {
    await opa.close();
  }
}

async function inputOf(values: Values, path: string, backends: KnownBackends, now: number): Promise<PolicyInput> {
  const { as: who, tool, method = 'tools/call' } = values;
  if (who === undefined) throw new UsageError('--as USER is needed: who asks');
  if (method === 'tools/call' && tool === undefined) throw new UsageError('--tool NAME is needed: what is called');
  const backend = findBackend(backends, values, tool);
  return imagineInput({
    person: await findPerson(who, values, path),
    resource: backend,
    method,
    target: tool ?? values.target ?? null,
    args: values.args === undefined ? (method === 'tools/call' ? {} : null) : readObject('--args', values.args),
    params: values.params === undefined ? null : readObject('--params', values.params),
    revision: values.protocol ?? '2025-11-25',
    facts: (tool === undefined ? undefined : backend.tools.get(tool)) ?? { title: null, annotations: {}, known: false },
    now,
  });
}

function findBackend(backends: KnownBackends, { backend: name, config }: Values, tool: string | undefined): KnownBackend {
  const all = [...backends.values()];
  if (name !== undefined) {
    if (config !== undefined && !backends.has(name))
      throw new UsageError(`--backend ${name}: there is none of that name, only ${[...backends.keys()].join(', ')}`);
    return checkTool(backends.get(name) ?? unknownBackend(name), tool);
  }
  const having = all.filter(({ tools }) => tool !== undefined && tools.has(tool));
  const [only] = having.length > 0 ? having : all;
  if (only === undefined || (having.length > 0 ? having : all).length > 1)
    throw new UsageError(`--backend NAME is needed${all.length > 0 ? `, one of ${[...backends.keys()].join(', ')}` : ''}`);
  return checkTool(only, tool);
}

function checkTool(backend: KnownBackend, tool: string | undefined): KnownBackend {
  const { name, tools, hasAllTools } = backend;
  if (tool !== undefined && hasAllTools && !tools.has(tool))
    throw new UsageError(`--tool ${tool}: ${name} has none of that name, only ${[...tools.keys()].join(', ')}`);
  return backend;
}

async function findPerson(who: string, values: Values, path: string): Promise<Person> {
  const known = await findKnown(who, values.people ?? (await peopleBeside(path)));
  const client = values.client ?? known?.client ?? null;
  if (client === null)
    throw new UsageError(
      known === null
        ? `${who} is in no file of people: say --people FILE or --client ID`
        : `${who} has no client: say --client ID`,
    );
  const claims = values.claims === undefined ? {} : readObject('--claims', values.claims);
  const roles = values.roles === undefined ? {} : { roles: readList(values.roles) };
  return {
    subject: known?.subject ?? who,
    issuer: known?.issuer ?? null,
    client,
    scopes: values.scopes === undefined ? (known?.scopes ?? []) : readList(values.scopes),
    claims: { ...known?.claims, ...claims, ...roles },
  };
}

async function findKnown(who: string, file: string | null): Promise<Person | null> {
  return (file === null ? null : (await readPeople(file)).get(who)) ?? null;
}

async function peopleBeside(path: string): Promise<string | null> {
  const beside = (await isFolder(path)) ? join(path, 'people.yaml') : null;
  return beside !== null && existsSync(beside) ? beside : null;
}

function readList(text: string): string[] {
  return text.split(/[,\s]+/).filter(Boolean);
}

function readObject(option: string, text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // Said below.
  }
  throw new UsageError(`${option}: is no JSON object`);
}

function readTime(text: string | undefined): number {
  const time = text === undefined ? Date.now() : Date.parse(text);
  if (Number.isNaN(time)) throw new UsageError(`--time ${text}: is no RFC 3339 time`);
  return time;
}

async function readInput(file: string): Promise<PolicyInput> {
  const text = await (file === '-' ? readStream(process.stdin) : readFile(file, 'utf8')).catch((cause: unknown) => {
    throw describeFileProblem(file, cause);
  });
  try {
    const input: unknown = JSON.parse(text);
    if (isObject(input)) return input as unknown as PolicyInput;
  } catch {
    // Said below.
  }
  throw new ToolError(`${file}: is no JSON object`);
}

async function findLacking(opa: Opa, input: unknown, file: string): Promise<string[]> {
  const lacking = await checkInput(opa, input, file);
  return lacking.length === 0 ? [] : [`the sidecar would have what ${file} lacks: ${lacking.join('; ')}`];
}

function describe(judge: Judge, evaluation: Evaluation, input: PolicyInput, { trace: full = false }: Values): string {
  const { judged } = evaluation;
  const { principal, mcp } = input;
  const lines = [
    ...describeSaid(lastSaid(judged)),
    ...(judged.token === null ? [] : ['', ...describeToken(judged.token)]),
    '',
    `asked     ${principal?.subject} by ${principal?.clientId}: ${mcp?.method ?? mcp?.kind} ${mcp?.targets?.map(({ name }) => name).join(', ') ?? ''} at ${mcp?.backend}`,
    `policy    ${judge.path}, revision ${judge.revision}`,
  ];
  lines.push(...describeEvaluation(evaluation, full));
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

function toJson(judge: Judge, { input, judged, inbound, outbound, data, doubts }: Evaluation): object {
  const { reason, allow } = lastSaid(judged);
  return {
    allow,
    reason,
    ...judged,
    policy: { path: judge.path, revision: judge.revision, digest: judge.digest },
    input,
    trace: { inbound, outbound },
    data,
    doubts,
  };
}

function checkExpectation(expected: string | undefined): void {
  if (expected === undefined || expected === 'allow' || expected === 'deny' || isKnownReason(expected)) return;
  throw new UsageError(`--expect ${expected}: give allow, deny or a reason, as docs/denials.md lists them`);
}

function judgeExpectation(expected: string | undefined, { judged }: Evaluation, { err }: Io): number {
  const { allow, reason } = lastSaid(judged);
  if (expected === undefined || expected === reason || expected === (allow ? 'allow' : 'deny')) return EXIT.fine;
  err.write(`expected ${expected}, and it is ${allow ? 'allow' : reason}\n`);
  return EXIT.found;
}
