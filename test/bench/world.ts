/** What a benchmark run asks: tokens of 100 principals, one Check for each tool, and the issuer that vouches for them. */
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { employeeDirectoryTools } from '../../examples/reference/employee-directory-tools.ts';
import { enterpriseLedgerTools } from '../../examples/reference/enterprise-ledger-tools.ts';

export const PRINCIPALS = 100;
export const ORIGIN = 'https://gateway.example';

/** Arguments with which policy allows the tool to an analyst who is an auditor too. */
const ARGUMENTS: Record<string, object> = {
  getAccount: { accountId: 'ACC-1001' },
  getBalance: { accountId: 'ACC-1001' },
  listTransactions: { accountId: 'ACC-1001', limit: 20 },
  getCustomerPII: { customerId: 'CUS-1' },
  getAuditTrail: { accountId: 'ACC-1001' },
  transferFunds: { from: 'ACC-1001', to: 'ACC-1002', amount: 125.5, currency: 'EUR' },
  createInvoice: { customerId: 'CUS-1', amount: 99.5, currency: 'EUR', lines: [{ text: 'Consulting', amount: 99.5 }] },
  getEmployee: { employeeId: 'E-1' },
  searchEmployees: { query: 'finance' },
  getManager: { employeeId: 'E-2' },
};

export type Identity = { readonly jwks: { keys: object[] }; readonly sign: (claims: object, typ?: string) => Promise<string> };

export async function createIdentity(issuer: string): Promise<Identity> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'bench', alg: 'RS256', use: 'sig' };
  return {
    jwks: { keys: [jwk] },
    sign: (claims) =>
      new SignJWT({ iss: issuer, ...claims }).setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid: 'bench' }).sign(privateKey),
  };
}

/** Access tokens of 100 users for both resources, an hour long. */
export function createTokens({ sign }: Identity): Promise<string[]> {
  const iat = Math.floor(Date.now() / 1000);
  return Promise.all(
    Array.from({ length: PRINCIPALS }, (_, index) =>
      sign({
        sub: `user-${index}`,
        client_id: 'claude-code',
        aud: [`${ORIGIN}/enterprise-ledger/mcp`, `${ORIGIN}/employee-directory/mcp`],
        scope: 'ledger:read ledger:write pii:read audit:read directory:read',
        roles: ['analyst', 'auditor'],
        tenant: 'acme',
        iat,
        exp: iat + 3600,
        jti: `token-${index}`,
      }),
    ),
  );
}

export type Call = { readonly backend: string; readonly path: string; readonly token: string; readonly body: string };

/** Principals and tools rotate with different periods, so that every pair comes round. */
export function createCalls(tokens: readonly string[]): Call[] {
  const tools = [
    ...enterpriseLedgerTools.map(({ name }) => ({ name, backend: 'enterprise-ledger' })),
    ...employeeDirectoryTools.map(({ name }) => ({ name, backend: 'employee-directory' })),
  ];
  return tokens.flatMap((token, index) =>
    tools.map(({ name, backend }, offset) => ({
      backend,
      path: `/${backend}/mcp`,
      token,
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: index * tools.length + offset,
        method: 'tools/call',
        params: {
          name,
          arguments: ARGUMENTS[name] ?? {},
          _meta: { progressToken: index },
        },
      }),
    })),
  );
}

/** A CheckRequest as Envoy sends it with the reference configuration. */
export function toCheckRequest({ path, token, body }: Call, index: number): object {
  const headers: [string, string][] = [
    [':authority', 'gateway.example'],
    [':path', path],
    [':method', 'POST'],
    [':scheme', 'https'],
    ['accept', 'application/json, text/event-stream'],
    ['content-type', 'application/json'],
    ['content-length', String(Buffer.byteLength(body))],
    ['authorization', `Bearer ${token}`],
    ['mcp-protocol-version', '2025-11-25'],
    ['user-agent', 'node'],
    ['accept-language', '*'],
    ['accept-encoding', 'gzip, deflate, br'],
    ['x-forwarded-for', '192.0.2.7'],
    ['x-forwarded-proto', 'https'],
    ['x-request-id', `5a1e2c3d-0000-4000-8000-${String(index).padStart(12, '0')}`],
  ];
  return {
    attributes: {
      source: { address: { socket_address: { address: '192.0.2.7', port_value: 40000 } } },
      destination: { address: { socket_address: { address: '192.0.2.1', port_value: 8443 } } },
      request: {
        time: { seconds: Math.floor(Date.now() / 1000), nanos: 0 },
        http: {
          id: String(index),
          method: 'POST',
          path,
          host: 'gateway.example',
          scheme: 'https',
          protocol: 'HTTP/2',
          size: Buffer.byteLength(body),
          raw_body: Buffer.from(body),
          header_map: { headers: headers.map(([key, value]) => ({ key, raw_value: Buffer.from(value) })) },
        },
      },
    },
  };
}
