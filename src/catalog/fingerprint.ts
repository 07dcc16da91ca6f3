/**
 * What a model is told of a tool, as one text that is the same for the same content (in the manner of RFC 8785: members
 * sorted, no space), and its SHA-256. Both eras of a server give the same: what only one of them sends is left out.
 */
import { createHash } from 'node:crypto';
import { isObject } from '../mcp/message.ts';

const MEMBERS = ['name', 'title', 'description', 'inputSchema', 'outputSchema', 'annotations'] as const;

/** The members of a tool, as it stands in a list, that are compared; null for what is no tool. */
export function definitionOf(tool: unknown): Readonly<Record<string, unknown>> | null {
  if (!isObject(tool)) return null;
  return Object.fromEntries(MEMBERS.filter((member) => says(tool[member])).map((member) => [member, tool[member]]));
}

/** An empty set of annotations says what none says. */
function says(value: unknown): boolean {
  return value !== undefined && !(isObject(value) && Object.keys(value).length === 0);
}

/** Of a tool as a list has it. What is no tool has a fingerprint too, and it is that of no tool. */
export function fingerprintOf(tool: unknown): string {
  return createHash('sha256')
    .update(canonicalJson(definitionOf(tool)))
    .digest('base64url');
}

/** Of values that came from JSON. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`);
  return `{${members.join(',')}}`;
}
