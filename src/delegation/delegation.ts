/** The token for one operation (RFC 8693): asked for by policy, made by an authorization server or by ourselves. */
import type { Outbound } from '../policy/decision.ts';
import type { Result } from '../result.ts';
import type { Principal } from '../token/principal.ts';

export interface DelegationRequest {
  readonly subjectToken: string;
  readonly principal: Principal;
  readonly outbound: Outbound;
  /** The backend's name, for the count. */
  readonly backend: string;
  /** When the answer must be there, epoch milliseconds; from Envoy's deadline. */
  readonly deadlineMs: number;
}

export interface Delegation {
  readonly token: string;
  /** `jti` of the delegation token. */
  readonly tokenId: string;
  readonly audience: string;
  readonly scope: string;
  /** Epoch seconds. */
  readonly expiresAt: number;
  readonly actor: string;
}

export type Delegate = (request: DelegationRequest) => Result<Delegation> | Promise<Result<Delegation>>;
