/**
 * What the backend gets to see of identity: our token, and nothing that the client sent in its place.
 * Look-alikes are found among the names that did arrive, so `X_Forwarded_User` and `x-forwarded-user` both go.
 */
import { LRUCache } from 'lru-cache';
import type { Headers } from '../http.ts';
import type { Delegation } from './delegation.ts';

export interface DelegationHeaders {
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

/** Credentials, identities that proxies assert, and names that are ours to set. Underscores count as hyphens. */
const LOOK_ALIKES = [
  /^(proxy-)?authorization$/,
  /^cookie$/,
  /^dpop$/,
  /^x-(auth|authenticated|forwarded|remote|ms-client|goog|amzn|amz)-?(request-)?(user|userid|email|groups?|roles?|principal|identity|access-token|id-token|oidc|claims|client|preferred-username|security-token).*$/,
  /^(remote|x-remote|x)-(user|email|groups?|roles?|subject|scopes?|tenant|actor|principal|identity)(-.*)?$/,
  /^x-(api-key|access-token|id-token|jwt|jwt-.*|token|act|sub|client-id|client-cert|ssl-client.*|delegation.*)$/,
  /^x-forwarded-client-cert$/,
  /^x-mcp-.*$/,
  /^x-envoy-auth-partial-body$/,
  /^grpc-timeout$/,
];

/** Names repeat from request to request; a client that makes up new ones cannot make this grow. */
const judged = new LRUCache<string, boolean>({ max: 1000 });

/** Whether the backend could take a header of this name for an identity. */
export function isIdentityHeader(name: string): boolean {
  const known = judged.get(name);
  if (known !== undefined) return known;
  const canonical = name.toLowerCase().replaceAll('_', '-');
  const verdict = LOOK_ALIKES.some((pattern) => pattern.test(canonical));
  judged.set(name, verdict);
  return verdict;
}

/**
 * @param delegation null where the backend is to get no token.
 * @param tokenHeader lower-case name of the header that carries the token.
 * @param extra headers that the outbound policy sets.
 */
export function delegationHeaders(
  headers: Headers,
  delegation: Delegation | null,
  tokenHeader: string,
  extra: Readonly<Record<string, string>>,
): DelegationHeaders {
  const set: [string, string][] = Object.entries(extra);
  if (delegation !== null) {
    set.push([tokenHeader, tokenHeader === 'authorization' ? `Bearer ${delegation.token}` : delegation.token]);
  }
  // Envoy removes last: a name we set must not be among those we remove.
  const ours = new Set(set.map(([name]) => name));
  const tokenTwin = tokenHeader.replaceAll('_', '-');
  const remove = [...headers.keys()].filter(
    (name) =>
      !ours.has(name) &&
      (isIdentityHeader(name) || name.replaceAll('_', '-') === tokenTwin || ours.has(name.replaceAll('_', '-'))),
  );
  return { set, remove };
}
