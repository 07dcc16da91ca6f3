/**
 * The Authorization header (RFC 6750 section 2.1): one bearer token, or which 401.
 * Envoy joins two Authorization headers with a comma, so a comma is two headers. Tokens are never read from the query.
 */
import type { HttpFacts } from '../http.ts';
import { deny, ok, type Result } from '../result.ts';

const MAX_TOKEN_CHARACTERS = 8192;

export function readBearer(http: HttpFacts): Result<string> {
  const values = http.headers.get('authorization');
  if (values === undefined) return deny({ reason: 'token_missing' });
  const value = values[0];
  if (values.length !== 1 || value === undefined || value.includes(',')) return deny({ reason: 'token_malformed' });
  const match = /^([A-Za-z][A-Za-z0-9-]*) (\S+)$/.exec(value);
  if (match === null) return deny({ reason: value.trim() === '' ? 'token_missing' : 'token_malformed' });
  const [, scheme, token] = match as unknown as [string, string, string];
  if (scheme.toLowerCase() !== 'bearer') return deny({ reason: 'token_scheme_unsupported' });
  if (token.length > MAX_TOKEN_CHARACTERS || !/^[A-Za-z0-9._~+/-]+=*$/.test(token)) return deny({ reason: 'token_malformed' });
  return ok(token);
}
