/** Token exchange against a real authorization server on loopback that lies, dawdles and fails. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { suite, type TestContext, test } from 'node:test';
import { createLocalJWKSet, createRemoteJWKSet, exportJWK, jwtVerify, SignJWT } from 'jose';
import type * as oauth from 'oauth4webapi';
import { type Credentials, clientAuthentication } from '../../../src/client-authentication.ts';
import { createExchange } from '../../../src/delegation/client.ts';
import type { Delegate, DelegationRequest } from '../../../src/delegation/delegation.ts';
import { createHttpClient } from '../../../src/http-client.ts';
import type { Result } from '../../../src/result.ts';
import { createIssuer, type Issuer } from '../../../src/token/issuer.ts';
import { type IssuerRules, verifyToken } from '../../../src/token/verify.ts';
import { ACTOR, AUDIENCE, delegationRequest, SUBJECT_TOKEN } from '../support/facts.ts';
import { type Answer, json, type Peer, silence, startPeer } from '../support/peer.ts';

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const SECRET = 'a secret: with/odd+characters & =';

interface Server {
  readonly peer: Peer;
  readonly issuer: string;
  /** The answer of the token endpoint. */
  token: Answer;
  metadata: Record<string, unknown>;
  /** Signs what an honest server would, but for these claims. */
  readonly issue: (claims?: object, header?: object, key?: KeyObject) => Promise<string>;
  readonly tokenRequests: () => URLSearchParams[];
}

async function startServer(t: TestContext): Promise<Server> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'as', alg: 'ES256', use: 'sig' }] };
  const peer = await startPeer(t, (response, seen) => {
    if (seen.path === '/token') return server.token(response, seen);
    if (seen.path === '/jwks') return json(jwks)(response, seen);
    if (seen.path === '/.well-known/oauth-authorization-server') return json(server.metadata)(response, seen);
    response.writeHead(404).end();
  });
  const issuer = peer.url;
  const server: Server = {
    peer,
    issuer,
    token: silence,
    metadata: { issuer, jwks_uri: `${issuer}/jwks`, token_endpoint: `${issuer}/token` },
    issue: (claims = {}, header = {}, key = privateKey) => {
      const now = Math.floor(Date.now() / 1000);
      const honest = {
        ...{ iss: issuer, sub: 'alice', client_id: ACTOR, aud: AUDIENCE, scope: 'ledger:getBalance' },
        ...{ act: { sub: ACTOR }, iat: now, exp: now + 5, jti: randomUUID() },
      };
      const jwt = new SignJWT({ ...honest, ...claims });
      return jwt.setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'as', ...header }).sign(key);
    },
    tokenRequests: () => peer.seen.filter(({ path }) => path === '/token').map(({ body }) => new URLSearchParams(body)),
  };
  server.token = async (response, seen) => json(tokenResponse(await server.issue()))(response, seen);
  return server;
}

function tokenResponse(token: unknown, changes: object = {}): object {
  return { access_token: token, issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5, ...changes };
}

interface Setup {
  readonly credentials?: Credentials;
  readonly timeoutMs?: number;
  readonly metadata?: () => Promise<oauth.AuthorizationServer>;
}

function exchangeAt(t: TestContext, { issuer }: Server, setup: Setup = {}): Delegate {
  const { credentials = { method: 'client_secret_basic', secret: SECRET }, timeoutMs = 5000 } = setup;
  const { fetch, close } = createHttpClient({ timeoutMs, maxResponseBytes: 65_536 });
  t.after(close);
  const known: Issuer = createIssuer({
    issuer,
    fetch,
    now: Date.now,
    cooldownMs: 30_000,
    maxAgeMs: 600_000,
    maxStaleMs: 600_000,
  });
  const rules: IssuerRules = {
    issuer,
    keySet: known.keySet,
    tokenTypes: new Set(['at+jwt']),
    algorithms: ['ES256'],
    audiences: new Set(),
    clients: null,
    claims: {},
    maxLifetimeSeconds: 5,
    clockToleranceSeconds: 5,
  };
  return createExchange({
    metadata: setup.metadata ?? known.metadata,
    clientId: ACTOR,
    clientAuthentication: clientAuthentication(credentials),
    fetch,
    verify: (token) => verifyToken(token, new Map([[issuer, rules]]), Date.now()),
    rules: { actor: ACTOR, allowMissingActor: false },
    now: Date.now,
  });
}

function asked(changes: Partial<DelegationRequest> = {}): DelegationRequest {
  return delegationRequest({ deadlineMs: Date.now() + 4000, ...changes });
}

type Outcome = readonly [reason: string, cause: string];

function outcomeOf(result: Result<unknown>): Outcome {
  if (result.ok) return ['ok', ''];
  const { reason, cause } = result.denial;
  return [reason, cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)];
}

suite('a token exchange', () => {
  test('gives the token of an honest server', async (t) => {
    const server = await startServer(t);
    const result = await exchangeAt(t, server)(asked());
    assert.ok(result.ok, String(outcomeOf(result)));
    const keys = createRemoteJWKSet(new URL(`${server.issuer}/jwks`));
    const { payload } = await jwtVerify(result.value.token, keys, { audience: AUDIENCE });
    assert.equal(result.value.tokenId, payload.jti);
    assert.equal(result.value.expiresAt, payload.exp);
  });

  test('sends what RFC 8693 asks for, once, and the secret in no other place', async (t) => {
    const server = await startServer(t);
    await exchangeAt(t, server)(asked());
    const [form, ...more] = server.tokenRequests();
    assert.deepEqual(more, []);
    assert.deepEqual(Object.fromEntries(form ?? []), {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: SUBJECT_TOKEN,
      subject_token_type: ACCESS_TOKEN,
      requested_token_type: ACCESS_TOKEN,
      audience: AUDIENCE,
      scope: 'ledger:getBalance',
    });
    const sent = server.peer.seen.find(({ path }) => path === '/token');
    assert.equal(sent?.method, 'POST');
    assert.match(sent?.headers['content-type'] ?? '', /^application\/x-www-form-urlencoded/);
  });

  test('is made anew for every operation', async (t) => {
    const server = await startServer(t);
    const exchange = exchangeAt(t, server);
    const results = await Promise.all([exchange(asked()), exchange(asked()), exchange(asked())]);
    assert.equal(new Set(results.map((result) => result.ok && result.value.tokenId)).size, 3);
    assert.equal(server.tokenRequests().length, 3);
  });
});

suite('the gateway proves who it is', () => {
  test('by client_secret_basic, encoded as RFC 6749 section 2.3.1 says', async (t) => {
    const server = await startServer(t);
    await exchangeAt(t, server)(asked());
    const { authorization = '' } = server.peer.seen.find(({ path }) => path === '/token')?.headers ?? {};
    const [id, secret] = Buffer.from(authorization.replace('Basic ', ''), 'base64').toString().split(':');
    assert.equal(id, ACTOR.replaceAll('-', '%2D'));
    assert.equal(decodeURIComponent((secret ?? '').replaceAll('+', ' ')), SECRET);
  });

  test('by client_secret_post', async (t) => {
    const server = await startServer(t);
    const result = await exchangeAt(t, server, { credentials: { method: 'client_secret_post', secret: SECRET } })(asked());
    assert.ok(result.ok);
    const [form] = server.tokenRequests();
    assert.equal(form?.get('client_id'), ACTOR);
    assert.equal(form?.get('client_secret'), SECRET);
    assert.equal(server.peer.seen.find(({ path }) => path === '/token')?.headers.authorization, undefined);
  });

  for (const [alg, pair] of [
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['Ed25519', generateKeyPairSync('ed25519')],
  ] as const) {
    test(`by private_key_jwt, signed anew each time (${alg})`, async (t) => {
      const server = await startServer(t);
      const keyPem = String(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
      const exchange = exchangeAt(t, server, { credentials: { method: 'private_key_jwt', keyPem, kid: 'gw' } });
      assert.ok((await exchange(asked())).ok);
      assert.ok((await exchange(asked())).ok);
      const keys = createLocalJWKSet({ keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'gw', alg }] });
      const ids = new Set<unknown>();
      for (const form of server.tokenRequests()) {
        assert.equal(form.get('client_assertion_type'), 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
        const { payload, protectedHeader } = await jwtVerify(form.get('client_assertion') ?? '', keys, {
          issuer: ACTOR,
          subject: ACTOR,
          audience: server.issuer,
          requiredClaims: ['exp', 'jti'],
        });
        assert.equal(protectedHeader.kid, 'gw');
        assert.ok((payload.exp as number) - (payload.iat as number) <= 60);
        ids.add(payload.jti);
      }
      assert.equal(ids.size, 2);
    });
  }
});

suite('a server that says no', () => {
  const answers: readonly (readonly [name: string, answer: Answer, reason: string, cause: RegExp])[] = [
    ...['invalid_grant', 'invalid_target', 'invalid_scope', 'invalid_request', 'access_denied'].map(
      (error) =>
        [
          error,
          json({ error, error_description: SUBJECT_TOKEN }, 400),
          'exchange_refused',
          new RegExp(`400, error ${error}$`),
        ] as const,
    ),
    ['access_denied with 403', json({ error: 'access_denied' }, 403), 'exchange_refused', /403/],
    ['invalid_client', json({ error: 'invalid_client' }, 401), 'exchange_unavailable', /401, error invalid_client$/],
    ['unauthorized_client', json({ error: 'unauthorized_client' }, 400), 'exchange_unavailable', /unauthorized_client/],
    ['unsupported_grant_type', json({ error: 'unsupported_grant_type' }, 400), 'exchange_unavailable', /unsupported/],
    ['invalid_grant with 500', json({ error: 'invalid_grant' }, 500), 'exchange_unavailable', /500/],
    [
      'an error that is no code',
      json({ error: `invalid_grant\r\nx: ${SUBJECT_TOKEN}` }, 400),
      'exchange_unavailable',
      /error none$/,
    ],
    ['an error that is an object', json({ error: { toString: 'invalid_grant' } }, 400), 'exchange_unavailable', /error none$/],
    ['429', json({}, 429), 'exchange_unavailable', /429/],
    ['500 in HTML', html(500), 'exchange_unavailable', /500, error none$/],
    ['503 without a body', (response) => void response.writeHead(503).end(), 'exchange_unavailable', /503/],
    ['204', (response) => void response.writeHead(204).end(), 'exchange_unavailable', /204/],
    ['201 with a token', json(tokenResponse('x.y.z'), 201), 'exchange_unavailable', /201/],
  ];
  for (const [name, answer, reason, cause] of answers) {
    test(`(${name}) is ${reason}, and its words stay outside`, async (t) => {
      const server = await startServer(t);
      server.token = answer;
      const result = outcomeOf(await exchangeAt(t, server)(asked()));
      assert.equal(result[0], reason);
      assert.match(result[1], cause);
      assert.ok(!result[1].includes(SUBJECT_TOKEN) && !result[1].includes(SECRET));
    });
  }
});

suite('a server that answers what cannot be used', () => {
  const cases: readonly (readonly [name: string, answer: (server: Server) => Promise<Answer> | Answer, cause: string])[] = [
    ['HTML', () => html(200), 'response'],
    ['an empty body', () => (response) => void response.end(), 'response'],
    ['an array', () => json([]), 'response'],
    ['no token', () => json({}), 'access_token'],
    ['the subject token', () => json(tokenResponse(SUBJECT_TOKEN)), 'access_token: the subject token came back'],
    [
      'a refresh token',
      async ({ issue }) => json(tokenResponse(await issue(), { issued_token_type: 'urn:x:refresh' })),
      'issued_token_type',
    ],
    ['a DPoP token', async ({ issue }) => json(tokenResponse(await issue(), { token_type: 'DPoP' })), 'token_type'],
    ['an opaque token', () => json(tokenResponse('2YotnFZFEjr1zCsicMWpAA')), 'token_malformed'],
    [
      'a token with a line break',
      async ({ issue }) => json(tokenResponse(`${await issue()}\r\nx-admin: true`)),
      'token_malformed',
    ],
    ['an unsigned token', async ({ issue }) => json(tokenResponse((await issue()).replace(/[^.]+$/, ''))), 'token_malformed'],
    ['a token of another issuer', ofToken({ iss: 'https://evil.example' }), 'token_issuer_unknown'],
    ['a token of the issuer with a slash', (server) => ofToken({ iss: `${server.issuer}/` })(server), 'token_issuer_unknown'],
    [
      'a token signed by somebody else',
      ofToken({}, {}, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
      'token_signature_invalid',
    ],
    ['a token of another kind', ofToken({}, { typ: 'JWT' }), 'token_type_wrong'],
    ['an expired token', ofToken({ iat: -20, exp: -15 }), 'token_expired'],
    ['a token that is just over', ofToken({ iat: -5, exp: -1 }), 'exp: expired'],
    ['a token that lives long', ofToken({ exp: 3600 }), 'token_lifetime_excessive'],
    ['a token of tomorrow', ofToken({ iat: 86_400, exp: 86_405 }), 'token_not_yet_valid'],
    ['a bound token', ofToken({ cnf: { jkt: 'x' } }), 'token_bound'],
    ['another subject', ofToken({ sub: 'bob' }), 'sub'],
    ['another audience', ofToken({ aud: 'https://other.internal' }), 'aud'],
    ['two audiences', ofToken({ aud: [AUDIENCE, 'https://other.internal'] }), 'aud'],
    ['no actor', ofToken({ act: undefined }), 'act'],
    ['another actor', ofToken({ act: { sub: 'mallory' } }), 'act'],
    ['an invented chain', ofToken({ act: { sub: ACTOR, act: { sub: 'mallory' } } }), 'act.act'],
    ['a wider scope', ofToken({ scope: 'ledger:getBalance ledger:transferFunds' }), 'scope: wider than asked'],
    ['no scope', ofToken({ scope: undefined }), 'scope: narrower than asked'],
    ['scopes as a list', ofToken({ scope: ['ledger:getBalance'] }), 'token_claims_invalid'],
    ['no id', ofToken({ jti: undefined }), 'jti'],
    ['the id of the subject token', ofToken({ jti: 'subject-jti' }), 'jti'],
  ];
  for (const [name, answer, cause] of cases) {
    test(`(${name}) is caught`, async (t) => {
      const server = await startServer(t);
      server.token = await answer(server);
      assert.deepEqual(outcomeOf(await exchangeAt(t, server)(asked())), ['exchange_invalid', cause]);
    });
  }

  test('and one with an audience in a list of one is fine', async (t) => {
    const server = await startServer(t);
    server.token = await ofToken({ aud: [AUDIENCE] })(server);
    assert.deepEqual(outcomeOf(await exchangeAt(t, server)(asked())), ['ok', '']);
  });

  test('and one whose keys cannot be had is not blamed for its token', async (t) => {
    const server = await startServer(t);
    server.metadata = { ...server.metadata, jwks_uri: `${server.issuer}/nowhere` };
    assert.deepEqual(outcomeOf(await exchangeAt(t, server)(asked())), ['exchange_unavailable', 'keys_unavailable']);
  });
});

suite('a server that is no help', () => {
  test('(it sends us elsewhere) is not followed', async (t) => {
    const server = await startServer(t);
    const elsewhere = await startPeer(t, json({}));
    for (const status of [301, 302, 303, 307, 308]) {
      server.token = (response) => void response.writeHead(status, { location: `${elsewhere.url}/token` }).end();
      const [reason, cause] = outcomeOf(await exchangeAt(t, server)(asked()));
      assert.equal(reason, 'exchange_unavailable');
      assert.match(cause, new RegExp(String(status)));
    }
    assert.deepEqual(elsewhere.seen, []);
  });

  test('(it answers too much) is cut off', async (t) => {
    const server = await startServer(t);
    server.token = (response) => void response.end(JSON.stringify(tokenResponse('x'.repeat(100_000))));
    assert.equal(outcomeOf(await exchangeAt(t, server)(asked()))[0], 'exchange_unavailable');
  });

  test('(it hangs up) is unavailable', async (t) => {
    const server = await startServer(t);
    server.token = (response) => void response.destroy();
    assert.equal(outcomeOf(await exchangeAt(t, server)(asked()))[0], 'exchange_unavailable');
    server.token = (response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{"access_token":');
      response.destroy();
    };
    assert.equal(outcomeOf(await exchangeAt(t, server)(asked()))[0], 'exchange_unavailable');
  });

  test('(it is not there) is unavailable', async (t) => {
    const server = await startServer(t);
    const metadata = async () => ({ issuer: server.issuer, token_endpoint: 'http://127.0.0.1:1/token' });
    assert.equal(outcomeOf(await exchangeAt(t, server, { metadata })(asked()))[0], 'exchange_unavailable');
  });

  test('(its metadata cannot be had) is unavailable', async (t) => {
    const server = await startServer(t);
    server.metadata = { issuer: 'https://evil.example', token_endpoint: `${server.issuer}/token` };
    assert.equal(outcomeOf(await exchangeAt(t, server)(asked()))[0], 'exchange_unavailable');
    assert.deepEqual(server.tokenRequests(), []);
  });

  test('(it names an endpoint on the open network without TLS) gets no secret', async (t) => {
    const server = await startServer(t);
    const elsewhere = { issuer: server.issuer, token_endpoint: 'http://as.example/token' };
    const plain = { issuer: 'https://as.example', token_endpoint: `${server.issuer}/token` };
    for (const named of [elsewhere, plain, { issuer: server.issuer }, { issuer: server.issuer, token_endpoint: 'ftp://x' }]) {
      const [reason] = outcomeOf(await exchangeAt(t, server, { metadata: async () => named })(asked()));
      assert.equal(reason, 'exchange_unavailable');
    }
    assert.deepEqual(server.tokenRequests(), []);
  });
});

suite('the deadline of the Check ends an exchange', () => {
  const soon = () => asked({ deadlineMs: Date.now() + 60 });

  test('before it begins', async (t) => {
    const server = await startServer(t);
    for (const deadlineMs of [0, Date.now(), Date.now() - 5000, Number.NaN]) {
      const result = await exchangeAt(t, server)(asked({ deadlineMs }));
      assert.equal(outcomeOf(result)[0], 'exchange_timeout', String(deadlineMs));
    }
    assert.deepEqual(server.tokenRequests(), []);
  });

  test('while the server is silent, and hangs up on it', async (t) => {
    const server = await startServer(t);
    const closed = new Promise<void>((resolve) => {
      server.token = (response) => void response.on('close', resolve);
    });
    assert.equal(outcomeOf(await exchangeAt(t, server)(soon()))[0], 'exchange_timeout');
    await closed;
  });

  test('while the server drips', async (t) => {
    const server = await startServer(t);
    server.token = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const drip = setInterval(() => response.write(' '), 5);
      response.on('close', () => clearInterval(drip));
    };
    assert.equal(outcomeOf(await exchangeAt(t, server)(soon()))[0], 'exchange_timeout');
  });

  test('while its metadata is looked for', async (t) => {
    const server = await startServer(t);
    const metadata = () => new Promise<never>(() => {});
    assert.equal(outcomeOf(await exchangeAt(t, server, { metadata })(soon()))[0], 'exchange_timeout');
  });

  test('while its keys are fetched', async (t) => {
    const server = await startServer(t);
    const slow = await startPeer(t, silence);
    server.metadata = { ...server.metadata, jwks_uri: `${slow.url}/jwks` };
    assert.equal(outcomeOf(await exchangeAt(t, server)(soon()))[0], 'exchange_timeout');
  });

  test('and so does the limit of our own client', async (t) => {
    const server = await startServer(t);
    server.token = silence;
    assert.equal(outcomeOf(await exchangeAt(t, server, { timeoutMs: 60 })(asked()))[0], 'exchange_timeout');
  });

  test('but not one that is very far away', async (t) => {
    const server = await startServer(t);
    for (const deadlineMs of [Date.now() + 2 ** 33, Number.POSITIVE_INFINITY]) {
      assert.deepEqual(outcomeOf(await exchangeAt(t, server)(asked({ deadlineMs }))), ['ok', '']);
    }
  });
});

function html(status: number): Answer {
  return (response) => void response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>');
}

/** A token response whose token has these claims; times count from now. */
function ofToken(claims: Record<string, unknown>, header: object = {}, key?: KeyObject): (server: Server) => Promise<Answer> {
  return async ({ issue }) => {
    const now = Math.floor(Date.now() / 1000);
    const times = Object.entries(claims).map(([name, value]) => [
      name,
      name === 'exp' || name === 'iat' ? now + Number(value) : value,
    ]);
    return json(tokenResponse(await issue(Object.fromEntries(times), header, key)));
  };
}
