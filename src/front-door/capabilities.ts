/**
 * What the front door says it can do: what its backends can, together. A backend that the client does not reach by a session
 * of its own kind counts as far as its lists and calls go, for those are put differently on the way.
 */
import type { ServerCapabilities } from '@modelcontextprotocol/server';
import { isObject, type JsonObject } from '../mcp/message.ts';

/** Of one backend; `isNative`: it speaks the client's era, so that what needs a session or a stream of its kind works too. */
export interface MemberCapabilities {
  readonly capabilities: JsonObject;
  readonly isNative: boolean;
}

const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

export function uniteCapabilities(members: readonly MemberCapabilities[], era: 'legacy' | 'modern'): ServerCapabilities {
  const native = members.filter(({ isNative }) => isNative).map(({ capabilities }) => capabilities);
  const all = members.map(({ capabilities }) => capabilities);
  const has = (from: readonly JsonObject[], name: string): boolean => from.some((one) => isObject(one[name]));
  const flag = (from: readonly JsonObject[], name: string, member: string): object =>
    from.some((one) => isObject(one[name]) && one[name][member] === true) ? { [member]: true } : {};

  const resources = { ...flag(all, 'resources', 'listChanged'), ...flag(native, 'resources', 'subscribe') };
  return {
    ...(has(all, 'tools') ? { tools: flag(all, 'tools', 'listChanged') } : {}),
    ...(has(all, 'prompts') ? { prompts: flag(all, 'prompts', 'listChanged') } : {}),
    ...(has(all, 'resources') ? { resources } : {}),
    ...(has(all, 'completions') ? { completions: {} } : {}),
    ...(has(native, 'logging') ? { logging: {} } : {}),
    ...tasksOf(native, era),
  };
}

/** A capability up to 2025-11-25, an extension from then on. */
function tasksOf(native: readonly JsonObject[], era: 'legacy' | 'modern'): Partial<ServerCapabilities> {
  if (era === 'legacy') {
    const tasks = native.flatMap((one) => (isObject(one.tasks) ? [one.tasks] : []));
    return tasks.length === 0 ? {} : { tasks: unite(tasks) as NonNullable<ServerCapabilities['tasks']> };
  }
  const isOffered = native.some(({ extensions }) => isObject(extensions) && isObject(extensions[TASKS_EXTENSION]));
  return isOffered ? { extensions: { [TASKS_EXTENSION]: {} } } : {};
}

/** Tasks as MCP knows them are three objects deep. */
function unite(objects: readonly JsonObject[], depth = 3): JsonObject {
  const united: Record<string, unknown> = {};
  for (const key of new Set(objects.flatMap((one) => Object.keys(one)))) {
    const inner = objects.map((one) => one[key]).filter(isObject);
    if (inner.length > 0 && key !== '__proto__') united[key] = depth === 0 ? {} : unite(inner, depth - 1);
  }
  return united;
}

/** Characters of one backend's instructions that go on. */
const MAX_INSTRUCTIONS = 4096;

/** Each backend's word under the prefix by which its tools are known. */
export function joinInstructions(members: readonly { readonly prefix: string; readonly instructions: unknown }[]): object {
  const words = members.flatMap(({ prefix, instructions }) =>
    typeof instructions === 'string' && instructions.trim() !== ''
      ? [`Of what begins with ${prefix}_:\n${instructions.trim().slice(0, MAX_INSTRUCTIONS).toWellFormed()}`]
      : [],
  );
  return words.length === 0 ? {} : { instructions: words.join('\n\n') };
}
