/** Inputs out of a file: one, an array of them, or lines of a decision log that have what policy was asked in `input`. */
import { readFile } from 'node:fs/promises';
import { isObject, type JsonObject } from '../mcp/message.ts';
import { describeFileProblem, ToolError } from './io.ts';

export interface Inputs {
  readonly inputs: readonly JsonObject[];
  /** Lines of a decision log without one: refused before policy was asked, or not recorded. */
  readonly without: number;
}

/** Rejects with ToolError where there is none. @param most the first of them. */
export async function readInputs(file: string, most: number): Promise<Inputs> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw describeFileProblem(file, cause);
  });
  const values = parseWhole(text) ?? parseLines(file, text);
  const found = values.map(inputOf);
  const inputs = found.filter((one) => one !== null);
  if (inputs.length === 0) {
    throw new ToolError(
      `${file}: there is no input in it: give one as docs/policy.md describes it, or a decision log whose lines have \`input\``,
    );
  }
  return { inputs: inputs.slice(0, most), without: found.length - inputs.length };
}

function parseWhole(text: string): unknown[] | null {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [value];
  } catch {
    return null;
  }
}

function parseLines(file: string, text: string): unknown[] {
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    try {
      return [JSON.parse(line) as unknown];
    } catch (cause) {
      throw new ToolError(`${file}:${index + 1}: is not JSON: ${(cause as Error).message}`);
    }
  });
}

function inputOf(value: unknown): JsonObject | null {
  if (!isObject(value)) return null;
  if (isInput(value)) return value;
  return isObject(value.input) && isInput(value.input) ? value.input : null;
}

function isInput(value: JsonObject): boolean {
  return isObject(value.mcp) && isObject(value.principal);
}
