/** OPA for the tools: a person waits for it, perhaps on a busy machine, and is told where it does not come to an answer. */
import { OPA_DEFAULTS, type Opa, OpaFailed, openOpa } from '../opa/opa.ts';
import { ToolError } from './io.ts';

const TIMEOUT_MS = 300_000;

/** What it cannot do is a ToolError. */
export function openToolOpa(): Opa {
  const opa = openOpa({ ...OPA_DEFAULTS, timeoutMs: TIMEOUT_MS });
  return {
    ...opa,
    ask: (request) =>
      opa.ask(request).catch((cause: unknown) => {
        throw cause instanceof OpaFailed ? new ToolError(cause.message) : cause;
      }),
  };
}
