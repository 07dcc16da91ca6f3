/** An input as the sidecar would give it to a policy that declares which arguments it reads: without the others. */
import { isObject, type JsonObject } from '../mcp/message.ts';
import { indexDeclared, pickDeclared, readDeclared } from '../policy/declared-arguments.ts';

export interface Paring {
  readonly pare: <T>(input: T) => T;
  /** JSON text. */
  readonly pareText: (input: string) => string;
}

/** Throws PolicyRefused. @param data the data document. */
export function createParing(data: JsonObject): Paring {
  const declared = readDeclared(data);
  const find = indexDeclared(declared);

  function pare<T>(input: T): T {
    if (!isObject(input) || !isObject(input.mcp)) return input;
    const { backend, tool, arguments: given } = input.mcp;
    if (typeof backend !== 'string' || typeof tool !== 'string' || !isObject(given)) return input;
    return { ...input, mcp: { ...input.mcp, arguments: pickDeclared(given, find(backend, tool)) } };
  }

  // Most policies declare nothing: their inputs are not even parsed.
  const isNothing = Object.keys(declared).length === 0;
  return { pare, pareText: (text) => (isNothing ? text : JSON.stringify(pare(JSON.parse(text)))) };
}
