/** What the tools of the everything-server are made of: one shape for all of them, and the world that they share. */
import {
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  type InputRequiredResult,
  type JsonSchemaType,
  type RequestStateCodec,
  type ServerContext,
} from '@modelcontextprotocol/server';
import type { TaskStore } from './everything-tasks.ts';

export interface EverythingTool {
  readonly name: string;
  readonly description: string;
  /** Its arguments as a JSON Schema of draft 2020-12; none, if absent. */
  readonly inputSchema?: JsonSchemaType;
  /** What it throws becomes `isError`, unless it is a protocol error. */
  readonly call: (args: Record<string, any>, ctx: ServerContext, world: World) => Answer | Promise<Answer>;
}

/** A task is no CallToolResult, and the SDK has no type for it. */
export type Answer = CallToolResult | InputRequiredResult | Record<string, unknown>;

/** What outlives a request: the modern era has a new server object for each. */
export interface World {
  readonly tasks: TaskStore;
  readonly states: RequestStateCodec<{ round: number }>;
  /** Lists that can change have one entry more in every second state. */
  readonly extra: { tool: boolean; prompt: boolean };
  /** Tells every open session and listen stream. */
  readonly announce: (what: 'tools' | 'prompts') => void;
}

/** A pixel, and a tenth of a millisecond of silence. */
export const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
export const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQIAAACAgA==';

export function textResult(text: string): CallToolResult {
  return { content: [{ type: 'text', text }] };
}

/** What the client declared with this very request; nothing in the legacy era, where the SDK asks the session itself. */
export function clientCapabilities(ctx: ServerContext): ClientCapabilities {
  return (ctx.mcpReq.envelope as Record<string, ClientCapabilities> | undefined)?.[CLIENT_CAPABILITIES_META_KEY] ?? {};
}

/** A schema of an object whose members are all strings and all needed. */
export function stringsSchema(...names: string[]) {
  const properties = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  return { type: 'object' as const, properties, required: names };
}
