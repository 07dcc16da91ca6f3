/**
 * A small file of people to ask about: `policy eval --as alice` means the alice of this file. YAML, by name: subject (the
 * name itself, if absent), client, scopes and claims, as they would stand in an access token. No tokens, nothing secret.
 */
import { parseDocument } from 'yaml';
import { isObject, type JsonObject } from '../mcp/message.ts';
import { readText, ToolError } from './io.ts';

export interface Person {
  readonly subject: string;
  readonly client: string | null;
  readonly scopes: readonly string[];
  readonly claims: JsonObject;
  readonly issuer: string | null;
}

export type People = ReadonlyMap<string, Person>;

const MEMBERS = new Set(['subject', 'client', 'scopes', 'claims', 'issuer']);

/** Rejects with ToolError. */
export async function readPeople(path: string): Promise<People> {
  const text = await readText(path);
  return parsePeople(text, path);
}

export function parsePeople(text: string, path: string): People {
  const document = parseDocument(text, { uniqueKeys: true, strict: true });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) throw new ToolError(`${path}: ${problem.message.split('\n')[0]}`);
  const file: unknown = document.toJS({ maxAliasCount: 100 });
  if (!isObject(file)) throw new ToolError(`${path}: is no map of people by name`);
  return new Map(Object.entries(file).map(([name, person]) => [name, toPerson(`${path}: ${name}`, name, person)]));
}

function toPerson(where: string, name: string, person: unknown): Person {
  if (!isObject(person)) throw new ToolError(`${where}: is no map`);
  const stray = Object.keys(person).find((member) => !MEMBERS.has(member));
  if (stray !== undefined) throw new ToolError(`${where}.${stray}: there is no such member, only ${[...MEMBERS].join(', ')}`);
  const { subject = name, client = null, scopes = [], claims = {}, issuer = null } = person;
  if (typeof subject !== 'string') throw new ToolError(`${where}.subject: is no text`);
  if (client !== null && typeof client !== 'string') throw new ToolError(`${where}.client: is no text`);
  if (issuer !== null && typeof issuer !== 'string') throw new ToolError(`${where}.issuer: is no text`);
  if (!Array.isArray(scopes) || !scopes.every((scope) => typeof scope === 'string'))
    throw new ToolError(`${where}.scopes: is no list of scopes`);
  if (!isObject(claims)) throw new ToolError(`${where}.claims: is no map`);
  return { subject, client, scopes, claims, issuer };
}
