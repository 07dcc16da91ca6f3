/**
 * The public documents over plain HTTP: our keys and issuer metadata for backends (RFC 7517, RFC 8414), and the protected
 * resource metadata for meshes that route it here rather than answer it in the Check.
 */
import { publicAnswer } from '../check/answer.ts';
import { noFacts } from '../http.ts';
import { type HttpListener, type Page, serveHttp } from '../http-server.ts';
import type { Live } from './ports.ts';

const JWKS_PATH = '/.well-known/jwks.json';
const ISSUER_PATH = '/.well-known/oauth-authorization-server';

/** @param live the configuration in force, asked for at each request. */
export function serveWellKnown(listen: string, live: () => Live): Promise<HttpListener> {
  return serveHttp(listen, (path, host): Page | null => {
    const { mint, config, ports } = live();
    if (path === JWKS_PATH) return mint && { body: JSON.stringify(mint.jwks), headers: { 'cache-control': 'max-age=60' } };
    const issuer = config.delegation.mint?.issuer;
    if (issuer !== undefined && path === issuerMetadataPath(issuer)) return { body: JSON.stringify(issuerMetadata(issuer)) };
    const answer = publicAnswer({ ...noFacts(), method: 'GET', path, host }, ports.resources, ports.allowedOrigins);
    return answer && { body: answer.response.body, headers: Object.fromEntries(answer.response.headers) };
  });
}

/** Where RFC 8414 section 3.1 puts the metadata of an issuer with a path. */
function issuerMetadataPath(issuer: string): string {
  const { pathname } = new URL(issuer);
  return ISSUER_PATH + (pathname === '/' ? '' : pathname);
}

/** An issuer without endpoints: it only signs. */
function issuerMetadata(issuer: string): object {
  return { issuer, jwks_uri: new URL(JWKS_PATH, issuer).href, response_types_supported: [], grant_types_supported: [] };
}
