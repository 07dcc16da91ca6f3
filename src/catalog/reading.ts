/**
 * A backend's lists, read into what we keep. A backend is not trusted: a member of the wrong shape, a name twice or too
 * long, text that is no Unicode makes the whole answer one that is not used.
 */
import { isObject, type JsonObject } from '../mcp/message.ts';
import { canonicalJson, definitionOf, fingerprintOf } from './fingerprint.ts';
import type { CatalogTool } from './view.ts';

/** What a backend said cannot be used; the message says why, in words of ours. */
export class CatalogInvalid extends Error {
  override name = 'CatalogInvalid';
}

/** As in requests: a longer one is none that a person or a server made. */
const MAX_NAME = 2048;
/** A schema or description that a model is to read. */
const MAX_DEFINITION = 131_072;
/** Beyond any honest schema; keeps what walks it from running out of stack. */
const MAX_DEPTH = 64;

/** Throws CatalogInvalid. */
export function readTools(items: readonly unknown[]): Map<string, CatalogTool> {
  const tools = new Map<string, CatalogTool>();
  for (const item of items) {
    const tool = readTool(item);
    if (tools.has(tool.name)) throw new CatalogInvalid(`the tool ${show(tool.name)} is there twice`);
    tools.set(tool.name, tool);
  }
  return tools;
}

function readTool(item: unknown): CatalogTool {
  const tool = readItem(item, 'tool');
  const name = readName(tool, 'name', 'a tool');
  const about = `the tool ${show(name)}`;
  const { inputSchema, outputSchema, annotations = {} } = tool;
  if (!isObject(inputSchema) || inputSchema.type !== 'object')
    throw new CatalogInvalid(`${about} has no inputSchema of type object`);
  if (outputSchema !== undefined && !isObject(outputSchema))
    throw new CatalogInvalid(`${about} has an outputSchema that is no object`);
  if (!isObject(annotations)) throw new CatalogInvalid(`${about} has annotations that are no object`);
  const text = canonicalJson(definitionOf(tool));
  if (text.length > MAX_DEFINITION) throw new CatalogInvalid(`${about} is longer than ${MAX_DEFINITION} characters`);
  return {
    name,
    title: readText(tool, 'title', about),
    description: readText(tool, 'description', about),
    annotations,
    inputSchema,
    ...(outputSchema === undefined ? {} : { outputSchema }),
    fingerprint: fingerprintOf(tool),
  };
}

/** The names of the items of a list, each once. Throws CatalogInvalid. */
export function readNames(items: readonly unknown[], what: string, member: 'name' | 'uri' | 'uriTemplate'): Set<string> {
  const names = new Set<string>();
  for (const item of items) {
    const name = readName(readItem(item, what), member, `a ${what}`);
    if (names.has(name)) throw new CatalogInvalid(`the ${what} ${show(name)} is there twice`);
    names.add(name);
  }
  return names;
}

function readItem(item: unknown, what: string): JsonObject {
  if (!isObject(item)) throw new CatalogInvalid(`a ${what} is no object`);
  if (depthOf(item) > MAX_DEPTH) throw new CatalogInvalid(`a ${what} is nested more than ${MAX_DEPTH} deep`);
  if (hasLoneSurrogate(item)) throw new CatalogInvalid(`a ${what} is not Unicode`);
  return item;
}

function readName(item: JsonObject, member: string, about: string): string {
  const name = item[member];
  if (typeof name !== 'string' || name === '') throw new CatalogInvalid(`${about} has no ${member}`);
  if (name.length > MAX_NAME) throw new CatalogInvalid(`${about} has a ${member} of more than ${MAX_NAME} characters`);
  return name;
}

function readText(item: JsonObject, member: string, about: string): string | null {
  const text = item[member];
  if (text === undefined) return null;
  if (typeof text !== 'string') throw new CatalogInvalid(`${about} has a ${member} that is no text`);
  return text;
}

/** Level by level, so that depth cannot exhaust the stack; stops as soon as it is too much. */
function depthOf(value: unknown): number {
  let level: unknown[] = [value];
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []));
    if (level.length === 0) return depth;
  }
  return MAX_DEPTH + 1;
}

/** JSON.stringify writes one as an escape, so it is looked for where it stands. */
function hasLoneSurrogate(value: unknown): boolean {
  if (typeof value === 'string') return !value.isWellFormed();
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, one]) => !key.isWellFormed() || hasLoneSurrogate(one));
}

/** A name of theirs in a sentence of ours. */
function show(name: string): string {
  return JSON.stringify(name.length > 64 ? `${name.slice(0, 64).toWellFormed()}…` : name);
}
