/**
 * `npm run docs`: what docs/ says of the code is written from the code, so that it cannot drift. `--check` says whether it
 * is up to date. A whole file is generated, or what stands between `<!-- generated:NAME -->` and `<!-- /generated:NAME -->`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { BUNDLE_REFUSALS } from '../src/bundle/refusal.ts';
import { configSchema } from '../src/config-schema.ts';
import type { JsonObject } from '../src/mcp/message.ts';
import { METHODS, type MethodRow } from '../src/mcp/methods.ts';
import { REVISIONS } from '../src/mcp/revisions.ts';
import { createBuiltins, suppliedByTheSdk } from '../src/policy/builtins.ts';
import { POLICY_REASONS, REASONS, type Reason, reasonRow } from '../src/reasons.ts';
import { createMetrics } from '../src/telemetry/metrics.ts';
import { POLICY_EXAMPLES } from './policy-examples.ts';
import { dataTable, inputTable, readSchema, table } from './schema-tables.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

export interface GeneratedFile {
  /** Relative to the root of the repository. */
  readonly path: string;
  readonly actual: string;
  readonly expected: string;
}

/** Every file with something generated in it, as it is and as it should be; but for examples, which take their time. */
export async function generatedFiles(): Promise<GeneratedFile[]> {
  const whole: GeneratedFile = { path: SCHEMA, actual: await read(SCHEMA), expected: configJsonSchema() };
  return [whole, ...(await filesWithRegions(REGIONS))];
}

/** Those whose examples are commands that are run. */
export function filesWithExamples(): Promise<GeneratedFile[]> {
  return filesWithRegions(POLICY_EXAMPLES);
}

type Regions = Readonly<Record<string, Readonly<Record<string, () => string | Promise<string>>>>>;

function filesWithRegions(files: Regions): Promise<GeneratedFile[]> {
  const parts = Object.entries(files).map(async ([path, regions]): Promise<GeneratedFile> => {
    const actual = await read(path);
    let expected = actual;
    for (const [name, make] of Object.entries(regions)) expected = putRegion(path, expected, name, await make());
    return { path, actual, expected };
  });
  return Promise.all(parts);
}

/** The pages of the library of policies, and the documents that their modules read. */
export const LIBRARY_PAGES: readonly { readonly page: string; readonly documents: Readonly<Record<string, string>> }[] = [
  { page: 'docs/policies/rbac.md', documents: { 'data.rbac': 'rbac.v1' } },
  { page: 'docs/policies/scopes.md', documents: { 'data.scopes': 'scopes.v1' } },
  { page: 'docs/policies/abac.md', documents: { 'data.abac': 'abac.v1' } },
  { page: 'docs/policies/agent-and-user.md', documents: { 'data.agent_and_user': 'agent-and-user.v1' } },
  { page: 'docs/policies/read-only.md', documents: { 'data.read_only': 'read-only.v1' } },
  { page: 'docs/policies/tenancy.md', documents: { 'data.tenancy': 'tenancy.v1', 'data.tenants': 'tenants.v1' } },
  { page: 'docs/policies/outbound.md', documents: { 'data.outbound': 'outbound.v1' } },
  { page: 'docs/policies/windows.md', documents: { 'data.windows': 'windows.v1' } },
  { page: 'docs/policies/protocol.md', documents: { 'data.protocol': 'protocol.v1' } },
  { page: 'docs/policies/combine.md', documents: { 'data.mcp.lib.log_only': 'log-only.v1' } },
];

const SCHEMA = 'docs/config.schema.json';
const REGIONS: Regions = {
  'docs/denials.md': { overview: reasonsOverview, reasons: reasonsInFull },
  'docs/metrics.md': { metrics: metricsTable, buckets },
  'docs/configuration.md': { settings: settingsTables },
  'docs/protocol.md': { methods: methodsTable },
  'docs/policy.md': { input: () => inputTable(readSchema('input.v1')), reasons: policyReasonsTable, builtins: builtinsList },
  ...Object.fromEntries(LIBRARY_PAGES.map(({ page, documents }) => [page, { data: () => dataTables(documents) }])),
  'docs/bundles.md': { refusals: refusalsTable },
};

function read(path: string): Promise<string> {
  return readFile(join(root, path), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
}

function putRegion(path: string, text: string, name: string, content: string): string {
  const [open, close] = [`<!-- generated:${name} -->`, `<!-- /generated:${name} -->`];
  const [start, end] = [text.indexOf(open), text.indexOf(close)];
  if (start < 0 || end < start) throw new Error(`${path} has no ${open} … ${close}`);
  return `${text.slice(0, start + open.length)}\n\n${content.trim()}\n\n${text.slice(end)}`;
}

const code = (text: unknown): string => `\`${String(text)}\``;

// Reasons

const reasons = Object.keys(REASONS) as Reason[];

/** What the table of reasons leaves to the code that answers. */
const STATUS_TEXT: Partial<Record<Reason, string>> = {
  allowed: 'the backend’s',
  metadata_served: '200',
  preflight_answered: '204',
  facade_served: '200',
  client_registered: '201',
  method_unknown: '404; 200 or 400 in the legacy era',
};

/** Answered as OAuth has it, without JSON-RPC. */
const OAUTH_ERRORS: ReadonlySet<Reason> = new Set<Reason>(['registration_refused', 'facade_unavailable']);

function statusOf(reason: Reason): string {
  const { status } = reasonRow(reason);
  return STATUS_TEXT[reason] ?? (status === 200 ? '200 or 403' : String(status));
}

function reasonsOverview(): string {
  const rows = reasons.map((reason) => {
    const { outcome, code: number } = reasonRow(reason);
    return [
      `[${code(reason)}](#${reason})`,
      outcome,
      statusOf(reason),
      outcome === 'allow' || OAUTH_ERRORS.has(reason) ? '' : String(number),
    ];
  });
  return table(['reason', 'decision', 'HTTP status', 'JSON-RPC code'], rows);
}

function reasonsInFull(): string {
  return reasons.map(reasonInFull).join('\n\n');
}

function reasonInFull(reason: Reason): string {
  const row = reasonRow(reason);
  const facts = [code(row.outcome), reason === 'allowed' ? 'the backend answers' : `HTTP ${statusOf(reason)}`];
  if (row.outcome !== 'allow' && !OAUTH_ERRORS.has(reason)) facts.push(`JSON-RPC ${row.code}`);
  if (row.status === 401) facts.push(row.oauth === null ? 'challenge without an error code' : `challenge ${code(row.oauth)}`);
  else if (row.oauth !== null) facts.push(`challenge ${code(row.oauth)}`);
  if (POLICY_REASONS.has(reason)) facts.push('a policy may give it');
  return `### ${reason}\n\n${facts.join(' · ')}\n\n> ${row.message}\n\n${row.help}`;
}

// Metrics

interface Described {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

/** Our own; what prom-client says of the process differs from platform to platform. */
export async function ownMetrics(): Promise<Described[]> {
  const { register } = createMetrics('');
  const labels = new Map(
    register.getMetricsAsArray().map((metric) => [metric.name, (metric as unknown as { labelNames: string[] }).labelNames]),
  );
  const all = await register.getMetricsAsJSON();
  return all
    .filter(({ name }) => name.startsWith('mcp_ext_authz_'))
    .map(({ name, help, type }) => ({ name, help, type: String(type), labelNames: labels.get(name) ?? [] }));
}

async function metricsTable(): Promise<string> {
  const rows = (await ownMetrics()).map(({ name, type, labelNames, help }) => [
    `<a id="${name}"></a>${code(name)}`,
    type,
    labelNames.map(code).join(', '),
    help,
  ]);
  return table(['name', 'type', 'labels', 'what it says'], rows);
}

function buckets(): string {
  const { upperBounds } = createMetrics('').checkDuration as unknown as { upperBounds: number[] };
  return `Buckets of every histogram, in seconds: ${upperBounds.map(code).join(', ')}.`;
}

// Settings

/** Draft 7: what editors understand. Defaults make a setting optional, so it is the schema of what is written. */
function configJsonSchema(): string {
  const schema = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' });
  return `${JSON.stringify({ ...schema, title: 'Configuration of mcp-ext-authz' }, null, 2)}\n`;
}

interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

export interface Setting {
  readonly path: string;
  readonly type: string;
  /** `required`, a value, or nothing. */
  readonly fallback: string;
  readonly description: string;
  /** A group of settings, not one. */
  readonly group: boolean;
}

export function settings(): Setting[] {
  const schema = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' }) as Schema;
  return members(schema, '');
}

function members({ properties = {}, required = [] }: Schema, above: string): Setting[] {
  return Object.entries(properties).flatMap(([name, schema]) =>
    setting(schema, above === '' ? name : `${above}.${name}`, required.includes(name)),
  );
}

function setting(schema: Schema, path: string, required: boolean): Setting[] {
  const below = belowOf(schema, path);
  const own: Setting = {
    path,
    type: typeOf(schema),
    fallback: required
      ? 'required'
      : below.length > 0 || schema.default === undefined
        ? ''
        : code(JSON.stringify(schema.default)),
    description: schema.description ?? '',
    group: below.length > 0,
  };
  return [own, ...below];
}

/** The settings inside a group; of alternatives each once. */
function belowOf(schema: Schema, path: string): Setting[] {
  if (isSecret(schema)) return [];
  if (schema.properties !== undefined) return members(schema, path);
  if (schema.items !== undefined) return belowOf(schema.items, `${path}[]`);
  if (typeof schema.additionalProperties === 'object') {
    const { description } = schema.additionalProperties;
    // A value that says what it is stands for itself.
    return (description === undefined ? belowOf : entry)(schema.additionalProperties, `${path}.NAME`);
  }
  return alternatives(schema.anyOf ?? schema.oneOf ?? [], path);
}

function entry(schema: Schema, path: string): Setting[] {
  return setting(schema, path, false);
}

/** Settings of a choice by `method`, each once, with the methods that it goes with. */
function alternatives(choices: readonly Schema[], path: string): Setting[] {
  const found = new Map<string, Setting & { readonly methods: readonly string[] }>();
  for (const choice of choices) {
    const method = code(choice.properties?.method?.const);
    for (const one of members(choice, path)) {
      found.set(one.path, { ...one, methods: [...(found.get(one.path)?.methods ?? []), method] });
    }
  }
  return [...found.values()].map(({ methods, ...one }) => {
    if (one.path === `${path}.method`) return { ...one, type: methods.join(', ') };
    return { ...one, description: `With ${methods.join(', ')}. ${one.description}`.trim() };
  });
}

function isSecret({ anyOf = [] }: Schema): boolean {
  return anyOf.length > 0 && anyOf.every(({ properties = {} }) => 'file' in properties || 'env' in properties);
}

function typeOf(schema: Schema): string {
  if (isSecret(schema)) return '`{file: PATH}` or `{env: NAME}`';
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ');
  if (schema.const !== undefined) return code(schema.const);
  if (schema.items !== undefined) return `list of ${manyOf(schema.items)}${schema.minItems === 1 ? ', not empty' : ''}`;
  if (typeof schema.additionalProperties === 'object') return mapType(schema.additionalProperties);
  if (schema.properties !== undefined || schema.oneOf !== undefined || schema.anyOf !== undefined) return 'group';
  if (Array.isArray(schema.type)) return schema.type.join(' or ');
  return schema.type === 'integer' ? `integer${range(schema)}` : String(schema.type ?? 'anything');
}

function manyOf(schema: Schema): string {
  if (schema.enum !== undefined || isSecret(schema)) return typeOf(schema);
  return typeOf(schema).replace(/\w+/g, (word) => (word === 'or' ? word : `${word}s`));
}

function mapType(values: Schema): string {
  if (values.type === undefined && values.properties === undefined) return 'map';
  return values.properties === undefined ? `map of names to ${typeOf(values)}` : 'map of names to groups';
}

/** What no file comes near is not worth telling. */
const ENDLESS: ReadonlySet<unknown> = new Set([undefined, Number.MAX_SAFE_INTEGER, 2 ** 31 - 1]);

function range({ minimum, exclusiveMinimum, maximum }: Schema): string {
  const from = minimum ?? (exclusiveMinimum === undefined ? undefined : exclusiveMinimum + 1);
  if (ENDLESS.has(maximum)) return from === undefined ? '' : `, from ${from}`;
  return `, ${from} to ${maximum}`;
}

function settingsTables(): string {
  const all = settings();
  return all
    .filter(({ path }) => !path.includes('.'))
    .map(({ path, description, type, fallback }) => {
      const rows = all
        .filter((one) => one.path.startsWith(`${path}.`) || one.path.startsWith(`${path}[]`))
        .map((one) => [code(one.path), one.type, one.fallback, one.description]);
      const notes = [fallback, type.startsWith('list') ? type : ''].filter((note) => note !== '').join('; ');
      const about = [notes === '' ? '' : `(${notes})`, description].filter((part) => part !== '').join(' ');
      return [`### ${path}`, about, table(['setting', 'type', 'default', 'meaning'], rows)]
        .filter((part) => part !== '')
        .join('\n\n');
    })
    .join('\n\n');
}

// Methods

/** Params with a member for every shape in the table, to see which objects a method names. */
const SAMPLE: JsonObject = {
  name: 'x',
  uri: 'x',
  taskId: 'x',
  level: 'x',
  requestId: 'x',
  progressToken: 'x',
  protocolVersion: 'x',
  capabilities: {},
  clientInfo: {},
  argument: { name: 'x', value: 'x' },
  notifications: { resourceSubscriptions: ['x'], taskIds: ['x'] },
};
const REFERENCES: readonly JsonObject[] = [
  { type: 'ref/prompt', name: 'x' },
  { type: 'ref/resource', uri: 'x' },
];

function methodsTable(): string {
  const rows = [...METHODS].map(([method, row]) => [
    code(method),
    row.kind,
    ...REVISIONS.map((revision) => (revision >= row.since && (row.until === null || revision <= row.until) ? 'yes' : '')),
    targetTypes(row).map(code).join(', '),
    row.mirrored === undefined ? '' : code(`params.${row.mirrored}`),
  ]);
  return table(['method', 'kind', ...REVISIONS, 'names', 'mirrored in `Mcp-Name`'], rows);
}

function targetTypes({ targets }: MethodRow): string[] {
  const found = REFERENCES.flatMap((ref) => targets({ ...SAMPLE, ref }) ?? []);
  return [...new Set(found.map(({ type }) => type))];
}

// Policy

function dataTables(documents: Readonly<Record<string, string>>): string {
  const parts = Object.entries(documents).map(([path, name]) => {
    const schema = readSchema(name);
    return `${code(path)}: ${schema.description} Schema: [${name}.json](../../policies/schemas/${name}.json).\n\n${dataTable(schema, path)}`;
  });
  return parts.join('\n\n');
}

function policyReasonsTable(): string {
  const rows = reasons
    .filter((reason) => POLICY_REASONS.has(reason))
    .map((reason) => [`[${code(reason)}](denials.md#${reason})`, reasonRow(reason).message]);
  return table(['reason', 'what the client is told, unless `message` says it better'], rows);
}

function builtinsList(): string {
  const ours = Object.keys(createBuiltins(Date.now)).sort();
  const families = Map.groupBy(ours, (name) => name.split('.', 1)[0]);
  const lines = [...families.values()].map((names) => `- ${names.map(code).join(', ')}`);
  return `Supplied by the sidecar:\n\n${lines.join('\n')}\n\nSupplied by the wasm SDK: ${suppliedByTheSdk.map(code).join(', ')}.`;
}

// Bundles

function refusalsTable(): string {
  const rows = Object.entries(BUNDLE_REFUSALS).map(([name, { meaning, remedy }]) => [
    `<a id="${name}"></a>${code(name)}`,
    meaning,
    remedy,
  ]);
  return table(['code', 'what was found', 'what to do'], rows);
}

if (import.meta.main) {
  const files = [...(await generatedFiles()), ...(await filesWithExamples())];
  const stale = files.filter(({ actual, expected }) => actual !== expected);
  if (process.argv.includes('--check')) {
    console.log(
      stale.length === 0
        ? 'docs/ is what the code gives'
        : `not what the code gives, run \`npm run docs\`: ${stale.map(({ path }) => path).join(', ')}`,
    );
    process.exitCode = stale.length === 0 ? 0 : 1;
  } else {
    await Promise.all(stale.map(({ path, expected }) => writeFile(join(root, path), expected)));
    console.log(
      stale.length === 0 ? 'docs/ is what the code gives already' : `wrote ${stale.map(({ path }) => path).join(', ')}`,
    );
  }
}
