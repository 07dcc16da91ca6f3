/** Inputs out of a file: one, an array of them, or lines of a decision log that have what policy was asked in `input`; gzipped or not. */
import { isObject, type JsonObject } from '../mcp/message.ts';
import { ToolError } from './io.ts';
import { readEvents } from './log-events.ts';

export interface Inputs {
  readonly inputs: readonly JsonObject[];
  /** Lines without one, as of a decision log: refused before policy was asked, or not recorded. */
  readonly without: number;
}

/** Rejects with ToolError where there is none. @param most the first of them. */
export async function readInputs(file: string, most: number): Promise<Inputs> {
  const inputs: JsonObject[] = [];
  let without = 0;
  for await (const event of readEvents(file)) {
    const input = 'text' in event ? inputOf(parse(event.text)) : null;
    if (input === null) without++;
    else if (inputs.push(input) === most) break;
  }
  if (inputs.length > 0) return { inputs, without };
  throw new ToolError(
    `${file}: there is no input in it: give one as docs/policy.md describes it, or a decision log whose lines have \`input\``,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function inputOf(value: unknown): JsonObject | null {
  if (!isObject(value)) return null;
  if (isInput(value)) return value;
  return isObject(value.input) && isInput(value.input) ? value.input : null;
}

function isInput(value: JsonObject): boolean {
  return isObject(value.mcp) && isObject(value.principal);
}
