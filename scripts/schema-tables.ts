/** JSON Schemas of policies/schemas/ as tables in Markdown: what a policy is told, and what the library's modules read. */
import { readFileSync } from 'node:fs';

export interface DataSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly examples?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, DataSchema>>;
  readonly items?: DataSchema;
  readonly additionalProperties?: DataSchema | boolean;
  readonly anyOf?: readonly DataSchema[];
}

export function readSchema(name: string): DataSchema {
  return JSON.parse(readFileSync(new URL(`../policies/schemas/${name}.json`, import.meta.url), 'utf8')) as DataSchema;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

const code = (text: unknown): string => `\`${String(text)}\``;

/** Every field, with what it is in the schema's example. */
export function inputTable(schema: DataSchema): string {
  const example = schema.examples?.[0];
  const rows = fieldsBelow(schema, '').map(([path, field]) => [
    code(path),
    typeOf(field),
    field.description ?? '',
    exampleOf(example, path, field),
  ]);
  return table(['field of `input`', 'type', 'what it is', 'for example'], rows);
}

/** Of a group its members tell. */
function exampleOf(example: unknown, path: string, field: DataSchema): string {
  if (field.properties !== undefined || field.items?.properties !== undefined) return '';
  const steps = path.split('.').flatMap((step) => (step.endsWith('[]') ? [step.slice(0, -2), '0'] : [step]));
  const value = steps.reduce((part: unknown, step) => (part as Record<string, unknown> | undefined)?.[step], example);
  return value === undefined ? '' : code(JSON.stringify(value));
}

/** Names that the author chooses are in capitals. */
export function dataTable(schema: DataSchema, path: string): string {
  const rows = fieldsBelow(schema, path).map(([at, field, required]) => [
    code(at),
    typeOf(field),
    `${required ? 'Required. ' : ''}${field.description ?? ''}`,
  ]);
  const own = rows.length === 0 ? [[code(path), typeOf(schema), schema.description ?? '']] : rows;
  return table(['field', 'type', 'what it is'], own);
}

type Field = readonly [path: string, schema: DataSchema, required: boolean];

function fieldsBelow(schema: DataSchema, above: string): Field[] {
  const told = new Map<string, string>();
  const named = Object.entries(schema.properties ?? {}).flatMap(([name, field]): Field[] => {
    const path = above === '' ? name : `${above}.${name}`;
    const required = schema.required?.includes(name) ?? false;
    const { description: _, ...shape } = field;
    const twin = told.get(JSON.stringify(shape));
    const below = fieldsBelow(field, path);
    if (twin !== undefined && below.length > 0)
      return [[path, { ...field, description: `${field.description} Its members are those of \`${twin}\`.` }, required]];
    told.set(JSON.stringify(shape), name);
    return [[path, field, required], ...below];
  });
  const any = schema.additionalProperties;
  const chosen = typeof any === 'object' ? fieldsBelow(any, above === '' ? 'NAME' : `${above}.${nameOf(above)}`) : [];
  const items = schema.items === undefined ? [] : fieldsBelow(schema.items, `${above}[]`);
  return [...named, ...chosen, ...items];
}

/** What the names of a map stand for. */
function nameOf(path: string): string {
  if (/\.roles$/.test(path)) return 'ROLE';
  if (/\.agents$/.test(path)) return 'CLIENT';
  if (/tenants$/.test(path)) return 'TENANT';
  if (/\.(tools|prompts|resources|at_most_by_role)$/.test(path)) return 'NAME';
  return 'BACKEND';
}

function typeOf(schema: DataSchema): string {
  if (schema.const !== undefined) return code(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ');
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.items !== undefined) return `array of ${typeOf(schema.items)}`;
  if (typeof schema.additionalProperties === 'object') return `map to ${typeOf(schema.additionalProperties)}`;
  return Array.isArray(schema.type) ? schema.type.join(' or ') : String(schema.type);
}
