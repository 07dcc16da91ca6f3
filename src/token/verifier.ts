/**
 * Verified tokens, kept: a signature is checked once, every request checks anew what can change (time, audience).
 * The cache holds hashes of tokens, never tokens, and an entry lives no longer than its token.
 */
import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { deny, ok, type Result } from '../result.ts';
import type { Introspect } from './introspect.ts';
import type { Principal } from './principal.ts';
import { type IssuerRules, verifyToken } from './verify.ts';

export interface VerifierOptions {
  readonly issuers: ReadonlyMap<string, IssuerRules>;
  /** Asks the one issuer whose tokens are not JWTs; null where all are. */
  readonly introspect?: Introspect | null;
  /** Our own name as an actor: a token that names it first is one of our delegation tokens. */
  readonly actor: string;
  readonly cacheEntries: number;
  readonly cacheTtlMs: number;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Milliseconds, monotonic: the age of what is kept, so that a clock set back cannot keep it longer. */
  readonly clock?: () => number;
  readonly onLookup?: (result: 'hit' | 'miss') => void;
}

/** What one protected resource accepts. */
export interface Expected {
  readonly audiences: ReadonlySet<string>;
  /** Issuers accepted at this resource. */
  readonly issuers: ReadonlySet<string>;
}

export interface Verifier {
  /** At once where the token is known, else when it is verified. */
  readonly verify: (token: string, expected: Expected) => Result<Principal> | Promise<Result<Principal>>;
  readonly cached: () => number;
}

export function createVerifier(options: VerifierOptions): Verifier {
  const { issuers, introspect = null, actor, now, onLookup, clock = () => performance.now() } = options;
  const cache = new LRUCache<string, Principal>({
    max: options.cacheEntries,
    ttl: options.cacheTtlMs,
    ttlResolution: 0,
    perf: { now: clock },
  });

  function verify(token: string, expected: Expected): Result<Principal> | Promise<Result<Principal>> {
    const key = hash('sha256', token, 'base64');
    const known = cache.get(key);
    const isHit = known !== undefined && remainingMs(known) > 0;
    onLookup?.(isHit ? 'hit' : 'miss');
    return isHit ? fit(known, expected) : verifyAnew(token, key, expected);
  }

  async function verifyAnew(token: string, key: string, expected: Expected): Promise<Result<Principal>> {
    const verified = introspect !== null && !isJwt(token) ? await introspect(token) : await verifyToken(token, issuers, now());
    if (!verified.ok) return verified;
    const principal = verified.value;
    if (remainingMs(principal) > 0) cache.set(key, principal, { ttl: Math.min(remainingMs(principal), options.cacheTtlMs) });
    return fit(principal, expected);
  }

  /** Without the clock tolerance: what is kept expires on the second. */
  function remainingMs({ expiresAt }: Principal): number {
    return expiresAt * 1000 - now();
  }

  /** What a token must be for this resource, whenever it was verified. */
  function fit(principal: Principal, expected: Expected): Result<Principal> {
    if (!expected.issuers.has(principal.issuer)) return deny({ reason: 'token_issuer_unknown' });
    const everywhere = issuers.get(principal.issuer)?.audiences;
    if (!principal.audience.some((one) => expected.audiences.has(one) || everywhere?.has(one))) {
      return deny({ reason: 'token_audience_mismatch' });
    }
    return principal.actor[0]?.sub === actor ? deny({ reason: 'token_is_delegation' }) : ok(principal);
  }

  return { verify, cached: () => cache.size };
}

/** Three segments: whatever else it is, no issuer is asked about it. */
function isJwt(token: string): boolean {
  return token.split('.').length === 3;
}
