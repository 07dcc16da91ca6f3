/**
 * What `mcp-ext-authz catalog` says: text for a terminal or a pipe. Whatever a backend wrote is shown with its control and
 * invisible characters spelt out, since they are there to be seen by a model and not by a person.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Approvals } from '../catalog/approvals.ts';
import { definitionOf } from '../catalog/fingerprint.ts';
import type { BackendView, CatalogTool } from '../catalog/view.ts';
import { isObject } from '../mcp/message.ts';

/** Colours, or none. */
export interface Paint {
  readonly bold: (text: string) => string;
  readonly added: (text: string) => string;
  readonly removed: (text: string) => string;
  readonly dim: (text: string) => string;
}

export function createPaint(isTerminal: boolean): Paint {
  const colour = (code: number) => (text: string) => (isTerminal ? `\u001b[${code}m${text}\u001b[0m` : text);
  return { bold: colour(1), added: colour(32), removed: colour(31), dim: colour(2) };
}

/** One tool whose definition is not the approved one; `null` where there is none on that side. */
export interface Difference {
  readonly tool: string;
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly now: Readonly<Record<string, unknown>> | null;
}

/** A tool as it stood in the list, as far as it is compared. */
export function currentDefinition(tool: CatalogTool): Readonly<Record<string, unknown>> {
  const { title, description, ...rest } = tool;
  return (
    definitionOf({
      ...rest,
      ...(title === null ? {} : { title }),
      ...(description === null ? {} : { description }),
    }) ?? {}
  );
}

export function differences(backend: string, view: BackendView, approvals: Approvals): Difference[] {
  const approved = approvals.get(backend) ?? new Map();
  const names = [...new Set([...approved.keys(), ...view.tools.keys()])].sort();
  return names.flatMap((tool) => {
    const [before, now] = [approved.get(tool), view.tools.get(tool)];
    if (before?.fingerprint === now?.fingerprint) return [];
    return [{ tool, before: before?.definition ?? null, now: now === undefined ? null : currentDefinition(now) }];
  });
}

export function describeDifferences(backend: string, found: readonly Difference[], paint: Paint): string {
  if (found.length === 0) return `${paint.bold(backend)}: as approved\n`;
  return `${paint.bold(backend)}\n${found.map((one) => describeDifference(one, paint)).join('')}`;
}

function describeDifference({ tool, before, now }: Difference, paint: Paint): string {
  if (now === null) return `  ${paint.removed(`- ${spell(tool)}`)}  approved, and not offered any more\n`;
  if (before === null)
    return `  ${paint.added(`+ ${spell(tool)}`)}  never approved\n${indent(describeText(now.description, paint))}`;
  const members = changedMembers(before, now, '');
  return `  ${paint.bold(`~ ${spell(tool)}`)}\n${members.map((member) => describeMember(member, paint)).join('')}`;
}

function describeText(description: unknown, paint: Paint): string {
  return typeof description === 'string' ? `${paint.dim(spell(description))}\n` : '';
}

interface Member {
  readonly path: string;
  readonly before: unknown;
  readonly now: unknown;
}

/** Down to the member that differs: a schema as a whole is too much to compare by eye. */
function changedMembers(before: unknown, now: unknown, path: string): Member[] {
  if (isDeepStrictEqual(before, now)) return [];
  if (!isObject(before) || !isObject(now)) return [{ path, before, now }];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
  return keys.flatMap((key) => changedMembers(before[key], now[key], path === '' ? key : `${path}.${key}`));
}

function describeMember({ path, before, now }: Member, paint: Paint): string {
  const lines = (sign: string, value: unknown): string =>
    value === undefined
      ? ''
      : indent(`${spell(typeof value === 'string' ? value : JSON.stringify(value))}\n`, `        ${sign} `);
  return `      ${spell(path)}\n${paint.removed(lines('-', before))}${paint.added(lines('+', now))}`;
}

export function describeView(backend: string, view: BackendView, paint: Paint): string {
  const eras = [view.eras.legacy ? 'up to 2025-11-25' : '', view.eras.modern ? '2026-07-28' : ''].filter((era) => era !== '');
  const tools = [...view.tools.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return `${paint.bold(backend)}  ${paint.dim(`MCP ${eras.join(' and ')}`)}\n${tools.map((tool) => describeTool(tool, paint)).join('')}`;
}

function describeTool({ name, title, annotations, inputSchema }: CatalogTool, paint: Paint): string {
  const hints = Object.entries(annotations).map(([hint, value]) => `${spell(hint)}: ${spell(JSON.stringify(value))}`);
  const about = [title === null ? '' : spell(title), hints.join(', ')].filter((text) => text !== '').join(' · ');
  return `  ${paint.bold(spell(name))}  ${paint.dim(about)}\n${describeArguments(inputSchema)}`;
}

function describeArguments({ properties, required }: CatalogTool['inputSchema']): string {
  if (!isObject(properties)) return '';
  const needed = Array.isArray(required) ? required : [];
  return Object.entries(properties)
    .map(([name, schema]) => `      ${spell(name)}${needed.includes(name) ? '' : '?'}: ${spell(describeType(schema))}\n`)
    .join('');
}

function describeType(schema: unknown): string {
  if (!isObject(schema)) return 'anything';
  if (Array.isArray(schema.enum)) return schema.enum.map((one) => JSON.stringify(one)).join(' | ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (Array.isArray(schema.anyOf)) return schema.anyOf.map(describeType).join(' | ');
  if (schema.type === 'array') return `array of ${describeType(schema.items)}`;
  const limits = ['format', 'pattern', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'minLength', 'maxLength']
    .filter((limit) => schema[limit] !== undefined)
    .map((limit) => `${limit} ${String(schema[limit])}`);
  const type = Array.isArray(schema.type) ? schema.type.join(' | ') : String(schema.type ?? 'anything');
  return limits.length === 0 ? type : `${type} (${limits.join(', ')})`;
}

/** A line break stays one; everything else that cannot be seen is spelt out. */
export function spell(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}\u{e0000}-\u{e007f}]/gu, (character) =>
    character === '\n' ? character : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

function indent(text: string, start = '      '): string {
  return text.replace(/^(?=.)/gm, start);
}
