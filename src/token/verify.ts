/**
 * JWT access tokens (RFC 9068, RFC 8725) through jose, and what jose leaves to its caller: canonical encoding, duplicate
 * claims, depth, the token's type, a lifetime limit, bound tokens, keys named by the token itself.
 * jose's errors are mapped to reasons here and nowhere else.
 */
import { errors, type JWTHeaderParameters, jwtVerify } from 'jose';
import { readJson } from '../mcp/json.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import type { Reason } from '../reasons.ts';
import { deny, type Result } from '../result.ts';
import { type KeySet, KeysUnavailable } from './jwks.ts';
import { type Principal, toPrincipal } from './principal.ts';

/** What is accepted from one issuer. */
export interface IssuerRules {
  readonly issuer: string;
  readonly keySet: KeySet;
  /** Lower-case `typ` values without `application/`. */
  readonly tokenTypes: ReadonlySet<string>;
  readonly algorithms: readonly string[];
  /** Audiences that its tokens may carry at every resource. */
  readonly audiences: ReadonlySet<string>;
  /** Clients that may call; null: any that the issuer registered. */
  readonly clients: ReadonlySet<string> | null;
  /** Claims that must have one of these values. */
  readonly claims: Readonly<Record<string, readonly (string | number | boolean)[]>>;
  readonly maxLifetimeSeconds: number;
  readonly clockToleranceSeconds: number;
}

/** Header members that name or limit a key from within the token: never followed, so never accepted. */
const FORBIDDEN_HEADERS = ['jku', 'jwk', 'x5u', 'x5c', 'crit', 'b64', 'zip', 'enc'];
const LIMITS = { maxBytes: 8192, maxDepth: 16 };

/** Verifies everything about a token but its audience, which depends on the resource asked for. */
export async function verifyToken(
  token: string,
  issuers: ReadonlyMap<string, IssuerRules>,
  nowMs: number,
): Promise<Result<Principal>> {
  const parts = decodeParts(token);
  if (parts === null) return deny({ reason: 'token_malformed' });
  const { header, claims } = parts;

  const rules = typeof claims.iss === 'string' ? issuers.get(claims.iss) : undefined;
  if (rules === undefined) return deny({ reason: 'token_issuer_unknown' });
  const problem = headerProblem(header, rules);
  if (problem !== null) return deny({ reason: problem });

  try {
    await jwtVerify(token, (protectedHeader) => rules.keySet.keyFor(protectedHeader), {
      algorithms: [...rules.algorithms],
      issuer: rules.issuer,
      requiredClaims: ['exp', 'iat', 'sub', 'aud'],
      clockTolerance: rules.clockToleranceSeconds,
      currentDate: new Date(nowMs),
    });
  } catch (error) {
    return deny({ reason: reasonOf(error), cause: error });
  }
  return admit(claims, rules, nowMs);
}

/** Claims that are the issuer's own, against the rules for it. */
export function admit(claims: JsonObject, rules: IssuerRules, nowMs: number): Result<Principal> {
  if (claims.cnf !== undefined) return deny({ reason: 'token_bound' });
  const unfit = claimsProblem(claims, rules, nowMs);
  if (unfit !== null) return deny(unfit);
  const principal = toPrincipal(claims);
  if (!principal.ok) return principal;
  if (rules.clients !== null && !rules.clients.has(principal.value.clientId)) return deny({ reason: 'client_forbidden' });
  return principal;
}

/** Header and claims of a compact JWS in its only canonical spelling; null for anything else. */
function decodeParts(token: string): { header: JsonObject; claims: JsonObject } | null {
  const segments = token.split('.');
  if (segments.length !== 3 || token.length > LIMITS.maxBytes || !segments.every(isCanonical)) return null;
  const [header, claims] = segments.slice(0, 2).map((segment) => readJson(Buffer.from(segment, 'base64url'), LIMITS));
  if (!header?.ok || !claims?.ok || !isObject(header.value.value) || !isObject(claims.value.value)) return null;
  return { header: header.value.value, claims: claims.value.value };
}

function isCanonical(segment: string): boolean {
  return /^[A-Za-z0-9_-]+$/.test(segment) && Buffer.from(segment, 'base64url').toString('base64url') === segment;
}

function headerProblem(header: JsonObject, rules: IssuerRules): Reason | null {
  if (FORBIDDEN_HEADERS.some((name) => Object.hasOwn(header, name))) return 'token_malformed';
  const type = typeof header.typ === 'string' ? header.typ.toLowerCase().replace(/^application\//, '') : '';
  if (!rules.tokenTypes.has(type)) return 'token_type_wrong';
  if (!rules.algorithms.includes((header as JWTHeaderParameters).alg)) return 'token_algorithm_forbidden';
  return typeof header.kid === 'string' ? null : 'token_key_unknown';
}

function claimsProblem(claims: JsonObject, rules: IssuerRules, nowMs: number): { reason: Reason; cause?: string } | null {
  const { exp, iat, nbf = iat } = claims as { exp: number; iat: number; nbf?: number };
  if (!(Math.max(iat, nbf) <= nowMs / 1000 + rules.clockToleranceSeconds)) return { reason: 'token_not_yet_valid' };
  if (!(exp - iat <= rules.maxLifetimeSeconds)) return { reason: 'token_lifetime_excessive' };
  for (const [name, accepted] of Object.entries(rules.claims)) {
    const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
    if (!accepted.some((one) => one === value)) return { reason: 'token_claims_invalid', cause: `claim ${name}` };
  }
  return null;
}

function reasonOf(error: unknown): Reason {
  if (error instanceof KeysUnavailable) return 'keys_unavailable';
  if (error instanceof errors.JWTExpired) return 'token_expired';
  if (error instanceof errors.JWTClaimValidationFailed)
    return error.claim === 'nbf' && error.reason === 'check_failed' ? 'token_not_yet_valid' : 'token_claims_invalid';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'token_signature_invalid';
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) return 'token_key_unknown';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'token_algorithm_forbidden';
  return 'token_malformed';
}
