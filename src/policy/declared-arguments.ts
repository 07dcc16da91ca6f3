/**
 * `data.mcp.arguments[backend][tool]`: the names of the arguments that policy reads of a tool's call, "*" for every other tool
 * of that backend. It is given no others. A backend that is not named there has all of them passed.
 */
import { PolicyRefused } from '../bundle/refusal.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import type { Declared } from './evaluator-messages.ts';

const EVERY_OTHER = '*';

/** @param text the data as JSON. Throws PolicyRefused. */
export function readDeclaredIn(text: string): Declared {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw new PolicyRefused('data_invalid', 'the data is not JSON');
  }
  if (!isObject(data)) throw new PolicyRefused('data_invalid', 'the data is not a JSON object');
  return readDeclared(data);
}

/** Throws PolicyRefused where they are not as described. */
export function readDeclared(data: JsonObject): Declared {
  const mcp = own(data, 'mcp');
  const declared = isObject(mcp) ? own(mcp, 'arguments') : undefined;
  if (declared === undefined) return {};
  if (isObject(declared) && Object.values(declared).every(isTools)) return declared as Declared;
  throw new PolicyRefused('data_invalid', 'data.mcp.arguments is not lists of names, by tool, by backend');
}

function isTools(tools: unknown): boolean {
  return isObject(tools) && Object.values(tools).every(isNames);
}

function isNames(names: unknown): boolean {
  return Array.isArray(names) && names.every((name) => typeof name === 'string');
}

/** @returns null: all are passed. */
export function indexDeclared(declared: Declared): (backend: string, tool: string) => ReadonlySet<string> | null {
  const backends = new Map(
    Object.entries(declared).map(([backend, tools]) => [
      backend,
      new Map(Object.entries(tools).map(([tool, names]) => [tool, new Set(names)])),
    ]),
  );
  return (backend, tool) => {
    const tools = backends.get(backend);
    return tools?.get(tool) ?? tools?.get(EVERY_OTHER) ?? null;
  };
}

/** Of the arguments of a call those that may be passed. */
export function pickDeclared(args: JsonObject, declared: ReadonlySet<string> | null): JsonObject {
  if (declared === null) return args;
  return Object.fromEntries(Object.entries(args).filter(([name]) => declared.has(name)));
}

function own(object: JsonObject, member: string): unknown {
  return Object.hasOwn(object, member) ? object[member] : undefined;
}
