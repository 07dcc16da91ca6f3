/**
 * One MCP tool as plain data plus a function, so that the same table can be listed (for policy, for scopes, for docs)
 * and served, by either generation of the SDK. A tool gets its backend's data as an argument: nothing is global.
 */
import type { z } from 'zod';

export type ToolAnnotations = {
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
};

export type Tool<State, Schema extends z.ZodObject = z.ZodObject> = {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly annotations: ToolAnnotations;
  readonly inputSchema: Schema;
  /** Runs the tool. What it throws becomes a tool error (`isError`), in the thrown words. */
  readonly run: (args: z.output<Schema>, state: State) => unknown;
};

/** Hints for a tool that only looks. */
export const readOnly: ToolAnnotations = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
};

/** Hints for a tool that adds something; calling it twice adds it twice. */
export const additive: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: false,
  openWorldHint: false,
};

/** Hints for a tool whose effect cannot be taken back. */
export const destructive: ToolAnnotations = { ...additive, destructiveHint: true };

/** Returns a function that types one tool against its own schema and then forgets the schema, so that tools fit in one list. */
export function toolsOf<State>() {
  return <Schema extends z.ZodObject>(tool: Tool<State, Schema>): Tool<State> => tool as unknown as Tool<State>;
}

/** The result of a tool call as both SDKs want it: text for the model, the same as structured content for code. */
export function toolResult(result: unknown) {
  return {
    content: [{ type: 'text' as const, text: JSON.stringify(result) }],
    structuredContent: { result },
  };
}
