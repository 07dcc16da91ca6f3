/** What came of asking a backend, in the words of the metric. */
import { ProtocolError, SdkHttpError, UnauthorizedError } from '@modelcontextprotocol/client';
import { OwnRequestRefused } from './own-fetch.ts';
import { CatalogInvalid } from './reading.ts';

/**
 * ok; refused: policy, delegation or the backend said no; invalid: what the backend answered cannot be used; unreachable:
 * it did not answer.
 */
export const OUTCOMES = ['ok', 'refused', 'invalid', 'unreachable'] as const;

export type Outcome = (typeof OUTCOMES)[number];

/** The client wraps what we and others throw, so the chain of causes is looked through. */
export function outcomeOf(thrown: unknown): Outcome {
  for (let cause = thrown, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if (cause instanceof CatalogInvalid) return 'invalid';
    if (cause instanceof OwnRequestRefused || cause instanceof UnauthorizedError) return 'refused';
    if (cause instanceof SdkHttpError) return ofStatus(cause.data.status ?? 0);
    if (cause instanceof ProtocolError || cause instanceof SyntaxError || cause.name === 'ZodError') return 'invalid';
  }
  return 'unreachable';
}

function ofStatus(status: number): Outcome {
  if (status === 401 || status === 403) return 'refused';
  return status >= 500 ? 'unreachable' : 'invalid';
}
