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

/**
 * What the names of credentials and identities have in common. Servers and proxies have made up hundreds of such names; the
 * words are few. Stems count anywhere in a name, words only as one of its parts.
 */
const TELLING_STEM =
  /authori[sz]|authenti|credential|token|jwt|apikey|secret|passw|cookie|session|impersonat|user(?!-?agent)|client-?id|email|identit|principal/;
const TELLING_WORDS = new Set(
  [
    'auth webauth bearer dpop assertion saml oidc oauth oauth2 iap key signature passport',
    'user uid login logon mail upn sub subject account person consumer customer employee caller agent from act actor acting behalf delegation delegated',
    'admin sudo creds privilege privileges entitlement entitlements universalid',
    'cert clientcert spiffe svid dn cn group groups role roles scope scopes claim claims permission permissions',
    'tenant tenantid org orgid workspace',
  ].flatMap((line) => line.split(' ')),
);
const TELLING_PAIR = /(^|-)(client-(name|verify|san)|(ssl|tls)-(client|verify)|remote-name|run-as)(-|$)/;

/** What would make a server take the request for another than was judged, or Envoy take an order for one of ours. */
const REDIRECTING =
  /^(x-(http-)?method(-override)?|x-(original|rewrite)-(url|uri|path|method)|grpc-timeout)$|^(x-)?mcp-|^x-envoy-(?!external-address$|internal$|decorator-operation$|peer-metadata)/;

/** Names with a telling word that say nothing of who calls; and what MCP defines, in its own spelling. */
const HARMLESS =
  /^(user-agent|x-user-agent|idempotency-key|mcp-(session-id|protocol-version|method|name|param-[a-z0-9-]+)|sec-(fetch|ch|websocket)-[a-z0-9-]+)$/;

/** Names repeat from request to request; a client that makes up new ones cannot make this grow. */
const judged = new LRUCache<string, boolean>({ max: 1000 });
const MAX_KEPT_NAME = 64;

/** Whether the backend could take a header of this name for an identity, a credential or an order of ours. */
export function isIdentityHeader(name: string): boolean {
  const known = judged.get(name);
  if (known !== undefined) return known;
  const verdict = !HARMLESS.test(name) && isTelling(canonical(name));
  if (name.length <= MAX_KEPT_NAME) judged.set(ownCopy(name), verdict);
  return verdict;
}

/** A piece of a string would keep all of it, which is a whole request. */
function ownCopy(name: string): string {
  return Buffer.from(name).toString();
}

function isTelling(name: string): boolean {
  if (REDIRECTING.test(name) || TELLING_STEM.test(name) || TELLING_PAIR.test(name)) return true;
  return name.split('-').some((word) => TELLING_WORDS.has(word));
}

/** A name that is canonical already, as nearly all are. */
const PLAIN_NAME = /^[a-z0-9]+(-[a-z0-9]+)*$/;

/** The name as the most careless server sees it: case does not count, and whatever is no letter or digit is a hyphen. */
function canonical(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]+/g, '-');
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
  const set = Object.entries(extra).filter(([name]) => delegation === null || name !== tokenHeader);
  if (delegation !== null) {
    set.push([tokenHeader, tokenHeader === 'authorization' ? `Bearer ${delegation.token}` : delegation.token]);
  }
  // Envoy removes last: a name we set must not be among those we remove.
  const ours = new Set(set.map(([name]) => name));
  const twins = new Set([tokenHeader, ...ours].map(canonical));
  const remove: string[] = [];
  for (const name of headers.keys()) {
    if (!ours.has(name) && (isIdentityHeader(name) || twins.has(PLAIN_NAME.test(name) ? name : canonical(name))))
      remove.push(name);
  }
  return { set, remove };
}
