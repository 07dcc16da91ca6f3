/**
 * The Authorization header (RFC 6750 section 2.1): one bearer token, or which 401.
 * Envoy joins two Authorization headers with a comma, so a comma is two headers. Tokens are never read from the query.
 */
import type { HttpFacts } from '../http.ts';
import { deny, ok, type Result } from '../result.ts';

const MAX_TOKEN_CHARACTERS = 8192;
const CREDENTIALS = /^bearer ([A-Za-z0-9._~+/-]+=*)$/i;
/** Of one scheme, whichever: no comma. */
const ANY_CREDENTIALS = /^([A-Za-z][A-Za-z0-9-]*) [^\s,]+$/;

export function readBearer(http: HttpFacts): Result<string> {
  const values = http.headers.get('authorization');
  if (values === undefined) return deny({ reason: 'token_missing' });
  const [value] = values;
  if (values.length !== 1 || value === undefined) return deny({ reason: 'token_malformed' });
  const token = CREDENTIALS.exec(value)?.[1];
  if (token !== undefined && token.length <= MAX_TOKEN_CHARACTERS) return ok(token);
  if (value.trim() === '') return deny({ reason: 'token_missing' });
  const scheme = ANY_CREDENTIALS.exec(value)?.[1]?.toLowerCase() ?? 'bearer';
  return deny({ reason: scheme === 'bearer' ? 'token_malformed' : 'token_scheme_unsupported' });
}
