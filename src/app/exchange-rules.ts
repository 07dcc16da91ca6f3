/** What the gateway holds a token against that it got from its authorization server: one for a backend, or one of its own. */
import type { Config } from '../config.ts';
import type { Issuer } from '../token/issuer.ts';
import type { IssuerRules } from '../token/verify.ts';

type Exchange = NonNullable<Config['delegation']['exchange']>;

/** For `verifyToken`; audiences, clients and claims are what was asked for, and judged by who asked. */
export function exchangeRules(
  { issuer, tokenTypes, clockToleranceSeconds }: Exchange,
  { keySet }: Issuer,
  maxLifetimeSeconds: number,
): ReadonlyMap<string, IssuerRules> {
  const rules: IssuerRules = {
    issuer,
    keySet,
    tokenTypes: new Set(tokenTypes),
    algorithms: ['ES256', 'EdDSA', 'RS256', 'PS256', 'ES384', 'RS384', 'PS384', 'ES512', 'RS512', 'PS512'],
    audiences: new Set(),
    clients: null,
    claims: {},
    maxLifetimeSeconds,
    clockToleranceSeconds,
  };
  return new Map([[issuer, rules]]);
}
