/**
 * The employee directory with a guard that takes Keycloak's tokens as Keycloak makes them by itself: no `act` is asked for,
 * whoever the token was issued to (`azp`) must be the gateway.
 */
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose';
import { type DelegationClaims, neededScope } from '../../../../examples/reference/delegation-guard.ts';
import { startEmployeeDirectory } from '../../../../examples/reference/employee-directory.ts';
import type { BackendOptions, McpHandler, RunningBackend } from '../../../../examples/reference/guarded-server.ts';
import { listenOnLoopback } from '../../../../examples/reference/listen.ts';

const GATEWAY = 'ai-identity-gateway';

export function startPlainBackend(options: BackendOptions): Promise<RunningBackend> {
  return startEmployeeDirectory(options, startPlainlyGuarded);
}

async function startPlainlyGuarded(
  backend: string,
  { issuers, record = () => {} }: BackendOptions,
  handle: McpHandler,
): Promise<RunningBackend> {
  const keySets = new Map(issuers.map(({ issuer, jwksUri }) => [issuer, createRemoteJWKSet(new URL(jwksUri))]));

  /** What is wrong with a token, or null. */
  async function findFault(token: string, scope: string): Promise<string | null> {
    const { iss: issuer = '' } = decodeJwt(token);
    const keySet = keySets.get(issuer);
    if (keySet === undefined) return 'the issuer is not trusted';
    const audience = `https://${backend}.internal/mcp`;
    const { payload } = await jwtVerify(token, keySet, { issuer, audience, requiredClaims: ['sub', 'exp', 'iat', 'jti'] });
    return claimFault(payload, scope);
  }

  const server = createServer(async (request, response) => {
    const body = await text(request);
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
    const message = body === '' ? undefined : JSON.parse(body);
    const refusal = await findFault(token, neededScope(backend, message)).catch((error: Error) => error.message);
    const claims = token === '' ? null : decodeJwt(token);
    record({
      time: new Date().toISOString(),
      backend,
      method: request.method ?? '',
      path: request.url ?? '',
      headers: { 'token-type': token === '' ? '' : String(decodeProtectedHeader(token).typ) },
      delegation: claims,
      verified: refusal === null,
      ...(refusal !== null && { refusal }),
      body,
    });
    if (refusal === null) return handle(request, response, message, claims as DelegationClaims);
    response.writeHead(401, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id: message?.id ?? null, error: { code: 401, message: refusal } }));
  });
  const listening = await listenOnLoopback(server, 0);
  return { ...listening, url: `http://127.0.0.1:${listening.port}/mcp` };
}

function claimFault({ azp, client_id: clientId, exp = 0, iat = 0, scope }: JWTPayload, needed: string): string | null {
  if (azp !== GATEWAY && clientId !== GATEWAY) return 'the token was not issued to the gateway';
  if (exp - iat > 5) return 'the token lives too long';
  return scope === needed ? null : `the token is not for ${needed}`;
}
