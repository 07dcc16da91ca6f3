/**
 * Clients that know no protected resource metadata, through a real Envoy: they take the origin of the MCP server for the
 * authorization server, find the real one by the metadata there, register, sign a user in and call a tool. The clients are the
 * official ones; what a client of 2025-03-26 would not read is kept from them on the way.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as v2 from '@modelcontextprotocol/client';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import * as oauth from 'oauth4webapi';
import { createBrowserProvider } from '../support/browser.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { closedPort } from '../support/memory.ts';
import { reconfigure } from '../support/reconfigure.ts';

const METADATA = '/.well-known/oauth-authorization-server';
const OPENID = '/.well-known/openid-configuration';
const REDIRECT = 'http://127.0.0.1:8975/callback';

let deployment: TestDeployment;
before(async () => {
  deployment = await startTestDeployment({
    adjustSidecar: (config) => {
      withoutCatalog(config);
      config.authorizationServerFacade = {
        issuer: config.issuers[0].issuer,
        // The reference authorization server gives no token for nowhere in particular, and these clients do not say where.
        addResourceParameter: true,
        registration: { clientId: 'claude-code', redirectUris: ['http://127.0.0.1/callback', 'https://app.example/callback'] },
      };
    },
  });
});
after(() => deployment.stop());

/** The network as a client of 2025-03-26 sees it: no RFC 9728, neither the document nor the way to it. */
function olderFetch(asked: string[]): typeof fetch {
  return async (input, init) => {
    const url = new URL(String(input));
    asked.push(`${init?.method ?? 'GET'} ${url.origin === deployment.origin ? '' : 'AS '}${url.pathname}`);
    if (url.pathname.startsWith('/.well-known/oauth-protected-resource')) return new Response(null, { status: 404 });
    const response = await deployment.fetch(url, init);
    const headers = new Headers([...response.headers].filter(([name]) => name !== 'www-authenticate'));
    return new Response(response.body, { status: response.status, headers });
  };
}

/** A user at a browser, and a client that knows nothing but what it wants. */
function createNewcomer() {
  const user = { username: 'alice', password: deployment.authorizationServer.passwords.alice ?? '' };
  let saved: Record<string, unknown> | undefined;
  let sent: URL | undefined;
  const browser = createBrowserProvider(user);
  return {
    ...browser,
    clientMetadata: {
      client_name: 'an older client',
      redirect_uris: [REDIRECT],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_post',
      scope: 'ledger:read',
    },
    clientInformation: () => saved as never,
    saveClientInformation: (information: object) => {
      saved = information as Record<string, unknown>;
    },
    redirectToAuthorization: async (url: URL) => {
      sent = url;
      await browser.redirectToAuthorization(url);
    },
    registered: () => saved ?? assert.fail('it did not register'),
    sentTo: () => sent ?? assert.fail('nobody was sent to sign in'),
  };
}

async function rejection(call: Promise<unknown>): Promise<any> {
  return call.then(
    (value) => assert.fail(`allowed: ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
}

function verifyWay(asked: readonly string[], newcomer: ReturnType<typeof createNewcomer>): void {
  assert.deepEqual(asked.filter((one) => !one.includes('oauth-protected-resource') && !one.endsWith('/mcp')).slice(0, 2), [
    `GET ${METADATA}`,
    'POST /register',
  ]);
  const { client_id, redirect_uris, token_endpoint_auth_method } = newcomer.registered();
  assert.deepEqual([client_id, redirect_uris, token_endpoint_auth_method], ['claude-code', [REDIRECT], 'none']);
  const { origin, searchParams } = newcomer.sentTo();
  assert.equal(origin, deployment.authorizationServer.issuer, 'the browser goes to the real authorization server');
  assert.deepEqual(searchParams.getAll('resource'), [deployment.ledgerUrl]);
}

describe('a client that knows nothing signs in through the façade', () => {
  test('SDK v1', async () => {
    const asked: string[] = [];
    const newcomer = createNewcomer();
    const newTransport = () =>
      new StreamableHTTPClientTransport(new URL(deployment.ledgerUrl), {
        authProvider: newcomer as never,
        fetch: olderFetch(asked),
      });
    const first = newTransport();
    assert.ok((await rejection(new Client({ name: 'test', version: '1' }).connect(first as never))) instanceof UnauthorizedError);
    verifyWay(asked, newcomer);
    await first.finishAuth(newcomer.lastCode());

    const client = new Client({ name: 'test', version: '1' });
    await client.connect(newTransport() as never);
    const { structuredContent } = (await client.callTool({ name: 'getBalance', arguments: { accountId: 'ACC-2001' } })) as any;
    assert.equal(structuredContent.result.balance, 986020);
    await client.close();
    const line = await deployment.decisions.waitFor('the call', ({ tool }) => tool === 'getBalance');
    assert.deepEqual([line.decision, line.subject, line.client_id], ['allow', 'alice', 'claude-code']);
  });

  const newV2 = (newcomer: ReturnType<typeof createNewcomer>, asked: string[]) => ({
    transport: new v2.StreamableHTTPClientTransport(new URL(deployment.ledgerUrl), {
      authProvider: newcomer as never,
      fetch: olderFetch(asked),
    }),
    client: new v2.Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'legacy' } }),
  });

  test('SDK v2, which compares the issuer of the document with where it found it', async () => {
    const asked: string[] = [];
    const newcomer = createNewcomer();
    const first = newV2(newcomer, asked);
    assert.ok((await rejection(first.client.connect(first.transport))) instanceof v2.UnauthorizedError);
    verifyWay(asked, newcomer);
    await first.transport.finishAuth(newcomer.lastCode());

    const { client, transport } = newV2(newcomer, asked);
    await client.connect(transport);
    const { structuredContent } = (await client.callTool({ name: 'listAccounts', arguments: {} })) as any;
    assert.equal(structuredContent.result.length, 3);
    await client.close();
  });

  test('SDK v2 that is shown the iss of the real authorization server refuses the code', async () => {
    const newcomer = createNewcomer();
    const { client, transport } = newV2(newcomer, []);
    assert.ok((await rejection(client.connect(transport))) instanceof v2.UnauthorizedError);
    assert.equal(newcomer.lastCallback().get('iss'), deployment.authorizationServer.issuer);
    const error = await rejection(transport.finishAuth(newcomer.lastCallback()));
    assert.ok(error instanceof v2.IssuerMismatchError, String(error));
    assert.equal(newcomer.tokens(), undefined);
  });
});

describe('the documents', () => {
  const get = async (path: string, init?: RequestInit) => deployment.fetch(deployment.origin + path, init);

  test('are where clients look, each with the issuer that belongs there and the endpoints of the real server', async () => {
    const real = (await (await fetch(deployment.authorizationServer.issuer + METADATA)).json()) as any;
    const { origin } = deployment;
    const places = [
      [METADATA, origin, deployment.ledgerUrl],
      [OPENID, origin, deployment.ledgerUrl],
      [`${METADATA}/enterprise-ledger/mcp`, deployment.ledgerUrl, deployment.ledgerUrl],
      [`${METADATA}/employee-directory/mcp`, deployment.directoryUrl, deployment.directoryUrl],
      [`${OPENID}/employee-directory/mcp`, deployment.directoryUrl, deployment.directoryUrl],
      [`/employee-directory/mcp${OPENID}`, deployment.directoryUrl, deployment.directoryUrl],
    ] as const;
    for (const [path, issuer, resource] of places) {
      const response = await get(path);
      assert.equal(response.status, 200, path);
      assert.equal(response.headers.get('access-control-allow-origin'), '*');
      const document = (await response.json()) as any;
      assert.equal(document.issuer, issuer, path);
      assert.equal(document.registration_endpoint, `${origin}/register`);
      assert.equal(document.authorization_endpoint, `${real.authorization_endpoint}?resource=${encodeURIComponent(resource)}`);
      for (const name of ['token_endpoint', 'jwks_uri', 'code_challenge_methods_supported'])
        assert.deepEqual(document[name], real[name], name);
      assert.equal(real.authorization_response_iss_parameter_supported, true);
      assert.ok(!('authorization_response_iss_parameter_supported' in document));
    }
    const line = await deployment.decisions.waitFor('the document', ({ reason }) => reason === 'facade_served');
    assert.deepEqual([line.decision, line.backend, line.status], ['allow', 'enterprise-ledger', 200]);
  });

  test('satisfy a client that takes RFC 8414 at its word', async () => {
    for (const issuer of [deployment.origin, deployment.directoryUrl]) {
      const url = new URL(issuer);
      const response = await oauth.discoveryRequest(url, {
        algorithm: 'oauth2',
        [oauth.customFetch]: (address) => deployment.fetch(address),
      });
      assert.equal((await oauth.processDiscoveryResponse(url, response)).issuer, issuer);
    }
  });

  test('name the configured origin, whatever a header claims', async () => {
    const answer = await deployment.wire.http1({
      method: 'GET',
      path: METADATA,
      authority: '127.0.0.1',
      headers: [
        ['x-forwarded-host', 'evil.example'],
        ['forwarded', 'host=evil.example'],
      ],
      body: null,
    });
    assert.equal(answer.status, 200);
    assert.equal(JSON.parse(answer.body).issuer, deployment.origin);
    assert.ok(!answer.body.includes('evil.example'));
  });

  test('have a HEAD and a preflight, and nothing else', async () => {
    const head = await deployment.wire.http2({
      method: 'HEAD',
      path: METADATA,
      authority: 'localhost',
      headers: [],
      body: null,
      until: 'head',
    });
    assert.deepEqual([head.status, head.headers.get('content-type')], [200, ['application/json']]);
    const preflight = await get(METADATA, { method: 'OPTIONS', headers: { origin: 'https://inspector.example' } });
    assert.deepEqual([preflight.status, preflight.headers.get('access-control-allow-origin')], [204, '*']);
    assert.equal((await get(METADATA, { method: 'POST', body: '{}' })).status, 404);
    assert.equal((await get('/register')).status, 404);
  });
});

describe('registration', () => {
  const register = async (body: string, headers: Record<string, string> = { 'content-type': 'application/json' }) => {
    const response = await deployment.fetch(`${deployment.origin}/register`, { method: 'POST', headers, body });
    return { status: response.status, headers: response.headers, body: (await response.json()) as any };
  };

  test('gives the client id that is there, and keeps nothing of what was sent', async () => {
    const { status, headers, body } = await register(
      JSON.stringify({ client_name: 'x', redirect_uris: ['http://127.0.0.1:33418/callback', 'https://app.example/callback'] }),
    );
    assert.equal(status, 201);
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.deepEqual(body, {
      client_id: 'claude-code',
      redirect_uris: ['http://127.0.0.1:33418/callback', 'https://app.example/callback'],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code'],
      response_types: ['code'],
    });
    const line = await deployment.decisions.waitFor('the registration', ({ reason }) => reason === 'client_registered');
    assert.deepEqual([line.decision, line.status], ['allow', 201]);
  });

  test('is refused in the words of RFC 7591', async () => {
    const redirects = (...uris: unknown[]) => JSON.stringify({ redirect_uris: uris });
    const refused: readonly (readonly [error: string, ...Parameters<typeof register>])[] = [
      ['invalid_redirect_uri', redirects('https://evil.example/callback')],
      ['invalid_redirect_uri', redirects('https://app.example/callback', 'https://evil.example/callback')],
      ['invalid_redirect_uri', redirects('http://127.0.0.1:80@evil.example/callback')],
      ['invalid_redirect_uri', '{}'],
      ['invalid_client_metadata', '{"redirect_uris":["http://127.0.0.1/callback"],"redirect_uris":["https://evil.example/"]}'],
      ['invalid_client_metadata', JSON.stringify({ redirect_uris: [REDIRECT], grant_types: ['client_credentials'] })],
      ['invalid_client_metadata', JSON.stringify({ redirect_uris: [REDIRECT], client_name: 'x'.repeat(20_000) })],
      ['invalid_client_metadata', redirects(REDIRECT), { 'content-type': 'text/plain' }],
    ];
    for (const [error, ...sent] of refused) {
      const { status, body, headers } = await register(...sent);
      assert.deepEqual([status, body.error], [400, error], sent[0].slice(0, 200));
      assert.deepEqual(Object.keys(body), ['error', 'error_description']);
      assert.ok(!JSON.stringify([body, [...headers]]).includes('evil.example'), 'nothing of it is said back');
    }
    const line = await deployment.decisions.waitFor('the refusal', ({ reason }) => reason === 'registration_refused');
    assert.deepEqual([line.decision, line.status], ['deny', 400]);
    assert.match(JSON.stringify(line), /not allowed: https:\/\/evil\.example\/callback/);
  });
});

test('while the real metadata cannot be had the documents are a clear 503, and registration goes on', async () => {
  const dead = `http://127.0.0.1:${await closedPort()}`;
  const restore = await reconfigure(deployment, (config) => {
    config.issuers.push({ issuer: dead, jwksUri: `${dead}/jwks` });
    config.authorizationServerFacade.issuer = dead;
  });
  const response = await deployment.fetch(deployment.origin + METADATA);
  assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '1']);
  assert.equal(((await response.json()) as any).error, 'temporarily_unavailable');
  const body = JSON.stringify({ redirect_uris: [REDIRECT] });
  const headers = { 'content-type': 'application/json' };
  assert.equal((await deployment.fetch(`${deployment.origin}/register`, { method: 'POST', headers, body })).status, 201);
  const line = await deployment.decisions.waitFor('the failure', ({ reason }) => reason === 'facade_unavailable');
  assert.equal(line.decision, 'error');
  assert.match(JSON.stringify(line), /no metadata for http:\/\/127\.0\.0\.1/);
  await restore();
  assert.equal((await deployment.fetch(deployment.origin + METADATA)).status, 200);
});

test('without the setting there is nothing', async () => {
  const restore = await reconfigure(deployment, (config) => {
    delete config.authorizationServerFacade;
  });
  for (const path of [METADATA, OPENID, `${METADATA}/enterprise-ledger/mcp`, `/enterprise-ledger/mcp${OPENID}`]) {
    assert.equal((await deployment.fetch(deployment.origin + path)).status, 404, path);
  }
  assert.equal((await deployment.fetch(`${deployment.origin}/register`, { method: 'POST', body: '{}' })).status, 404);
  await restore();
});
