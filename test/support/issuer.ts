/**
 * An issuer whose keys are in our hands, so that any token can be made: expired, forged, misshapen, or simply for one of
 * a hundred callers. Its key set is served on loopback, and every fetch of it is counted.
 */
import { createHmac, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { listenOnLoopback } from '../../examples/reference/listen.ts';

/** What a token is to be; null takes away what it has by itself. */
export interface TokenSpec {
  /** `now+60` and the like become epoch seconds. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  /** Who signs: a published key (`es256`, `rs256`), one too weak, a stranger's, the public key as an HMAC secret, nobody. */
  readonly key?: 'es256' | 'rs256' | 'weak' | 'small-exponent' | 'stranger' | 'public-as-secret' | 'none';
  /** The payload as text, for what no serialiser writes; `{claims}` stands for the members. */
  readonly payload?: string;
  /** Adds a claim of this many characters. */
  readonly padding?: number;
  /** What is done to the finished token. */
  readonly tamper?: 'subject' | 'signature' | 'no-signature' | 'empty-signature' | 'last-character' | 'padding' | 'fourth-part';
}

export type TestIssuer = Awaited<ReturnType<typeof startTestIssuer>>;

/** What the token endpoint says to one request. */
export interface TokenAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: unknown;
  /** No answer at all, an end of the connection, or the first half of the body and then nothing. */
  readonly instead?: 'silence' | 'reset' | 'half';
}

/** Claims of alice as Claude Code brings them, for one resource. */
export function standardClaims(issuer: string, resource: string): Record<string, unknown> {
  return {
    iss: issuer,
    sub: 'alice',
    client_id: 'claude-code',
    aud: resource,
    scope: 'ledger:read ledger:write pii:read directory:read',
    roles: ['analyst'],
    tenant: 'acme',
    iat: 'now+0',
    exp: 'now+300',
    jti: randomUUID(),
  };
}

export async function startTestIssuer(port = 0) {
  const keys = {
    es256: { alg: 'ES256', ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) },
    rs256: { alg: 'RS256', ...generateKeyPairSync('rsa', { modulusLength: 2048 }) },
    weak: { alg: 'RS256', ...generateKeyPairSync('rsa', { modulusLength: 1024 }) },
    'small-exponent': { alg: 'RS256', ...generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }) },
  } as const;
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const jwks = {
    keys: Object.entries(keys).map(([kid, { alg, publicKey }]) => ({
      ...publicKey.export({ format: 'jwk' }),
      kid,
      alg,
      use: 'sig',
    })),
  };
  let fetches = 0;
  let answerToken: (parameters: URLSearchParams) => TokenAnswer = () => ({ status: 400, body: { error: 'unauthorized_client' } });
  let answerIntrospection: (parameters: URLSearchParams) => TokenAnswer = () => ({ body: { active: false } });
  const metadata = () => ({
    issuer,
    jwks_uri: `${issuer}/jwks`,
    token_endpoint: `${issuer}/token`,
    introspection_endpoint: `${issuer}/introspect`,
    response_types_supported: [],
  });
  const server = createServer((request, response) => {
    const sendJson = (value: unknown) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (request.url === '/jwks') {
      fetches += 1;
      sendJson(jwks);
    } else if (request.url === '/.well-known/oauth-authorization-server') sendJson(metadata());
    else if (request.method === 'POST' && (request.url === '/token' || request.url === '/introspect')) {
      const answer = request.url === '/token' ? answerToken : answerIntrospection;
      readForm(request).then(
        (form) => sendAnswer(response, answer(form)),
        () => response.destroy(),
      );
    } else response.writeHead(404).end();
  });
  const listening = await listenOnLoopback(server, port);
  const issuer = `http://127.0.0.1:${listening.port}`;

  function signatureOf(content: string, key: NonNullable<TokenSpec['key']>): string {
    const data = Buffer.from(content);
    if (key === 'none') return '';
    if (key === 'public-as-secret') {
      const secret = keys.es256.publicKey.export({ type: 'spki', format: 'pem' });
      return createHmac('sha256', secret).update(data).digest('base64url');
    }
    const privateKey: KeyObject = key === 'stranger' ? stranger : keys[key].privateKey;
    return sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url');
  }

  /** A token for a resource, by default alice's and in order. */
  function token(resource: string, spec: TokenSpec = {}): string {
    const { key = 'es256' } = spec;
    const known = key === 'stranger' || key === 'public-as-secret' || key === 'none' ? 'es256' : key;
    const alg = key === 'public-as-secret' ? 'HS256' : key === 'none' ? 'none' : keys[known].alg;
    const header = merged({ typ: 'at+jwt', alg, kid: known }, spec.header);
    const padding = spec.padding === undefined ? {} : { padding: 'x'.repeat(spec.padding) };
    const claims = merged({ ...standardClaims(issuer, resource), ...padding }, spec.claims);
    const payload = spec.payload?.replace('{claims}', JSON.stringify(claims).slice(1, -1)) ?? JSON.stringify(claims);
    const content = `${encode(JSON.stringify(header))}.${encode(payload)}`;
    return tampered(`${content}.${signatureOf(content, key)}`, spec.tamper);
  }

  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    token,
    /** How often the key set was fetched. */
    fetches: () => fetches,
    /** Makes it an authorization server that exchanges tokens, honestly or not. */
    answerTokenRequests: (answer: typeof answerToken) => {
      answerToken = answer;
    },
    /** Makes it an authorization server that is asked about tokens. */
    answerIntrospectionRequests: (answer: typeof answerIntrospection) => {
      answerIntrospection = answer;
    },
    stop: listening.stop,
  };
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}

function sendAnswer(response: ServerResponse, { status = 200, headers = {}, body = '', instead }: TokenAnswer): void {
  if (instead === 'silence') return;
  if (instead === 'reset') {
    response.destroy();
    return;
  }
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers });
  if (instead === 'half') response.write(text.slice(0, text.length / 2));
  else response.end(text);
}

function merged(defaults: Record<string, unknown>, changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const entries = Object.entries({ ...defaults, ...changes }).filter(([, value]) => value !== null);
  return Object.fromEntries(entries.map(([name, value]) => [name, moment(value)]));
}

function moment(value: unknown): unknown {
  const offset = typeof value === 'string' ? /^now([+-]\d+)$/.exec(value)?.[1] : undefined;
  return offset === undefined ? value : Math.floor(Date.now() / 1000) + Number(offset);
}

function tampered(token: string, tamper: TokenSpec['tamper']): string {
  const [header = '', payload = '', signature = ''] = token.split('.');
  switch (tamper) {
    case undefined:
      return token;
    case 'subject': {
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
      return `${header}.${encode(JSON.stringify({ ...claims, sub: 'mallory' }))}.${signature}`;
    }
    case 'signature': {
      const bytes = Buffer.from(signature, 'base64url');
      bytes[10] = (bytes[10] as number) ^ 1;
      return `${header}.${payload}.${bytes.toString('base64url')}`;
    }
    case 'no-signature':
      return `${header}.${payload}`;
    case 'empty-signature':
      return `${header}.${payload}.`;
    case 'last-character':
      return token.slice(0, -1) + neighbour(token.at(-1) as string);
    case 'padding':
      return `${token}==`;
    case 'fourth-part':
      return `${token}.e30`;
  }
}

/** The next character in base64url: for the last one of a 64-byte signature it reads as the same bytes. */
function neighbour(character: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return alphabet[alphabet.indexOf(character) + 1] as string;
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}
