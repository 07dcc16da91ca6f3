/** A refusal as a value. */
import type { Reason } from './reasons.ts';

/** Why not. Everything but `cause` may reach the client. */
export interface Denial {
  readonly reason: Reason;
  /** Replaces the table's sentence. No secret, no token, no quotes. */
  readonly message?: string;
  /** All scopes that the operation needs, for a step-up challenge. */
  readonly requiredScopes?: readonly string[];
  /** For the log only: what was underneath. */
  readonly cause?: unknown;
  /** What could be read of the message before it was refused; `id` is the raw JSON token. */
  readonly read?: { readonly id?: string; readonly method?: string; readonly era?: 'legacy' | 'modern' };
  /** Extra members for `error.data`, from closed code paths only. */
  readonly data?: Readonly<Record<string, unknown>>;
}
