/** One trusted issuer over real HTTP: where its metadata and keys are found, and which of them are not believed. */
import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite, type TestContext, test } from 'node:test';
import { createHttpClient } from '../../../src/http-client.ts';
import { createIssuer, type Issuer } from '../../../src/token/issuer.ts';
import { KeysUnavailable } from '../../../src/token/jwks.ts';
import { type Json, JWKS, NOW_MS } from './tokens.ts';

const OAUTH = '/.well-known/oauth-authorization-server';
const OIDC = '/.well-known/openid-configuration';

interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** An authorization server that answers by path; `{issuer}` in a body is its own URL. */
async function serve(t: TestContext, answers: Readonly<Record<string, Answer>>) {
  const asked: string[] = [];
  const listener: RequestListener = (request, response) => {
    asked.push(request.url ?? '');
    const { status = 200, headers = {}, body = {} } = answers[request.url ?? ''] ?? { status: 404 };
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text.replaceAll('{issuer}', issuer));
  };
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = createHttpClient({ timeoutMs: 20_000, maxResponseBytes: 65_536 });
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await client.close();
  });
  const causes: unknown[] = [];
  const trust = (name = issuer, jwksUri?: string): Issuer =>
    createIssuer({
      issuer: name,
      jwksUri,
      fetch: client.fetch,
      now: () => NOW_MS,
      cooldownMs: 30_000,
      maxAgeMs: 600_000,
      maxStaleMs: 3_600_000,
      onFetch: (_, cause) => causes.push(cause),
    });
  return { issuer, asked, causes, trust };
}

const metadata = (changes: Json = {}): Answer => ({ body: { issuer: '{issuer}', jwks_uri: '{issuer}/jwks', ...changes } });
const keys: Answer = { body: JWKS };
const header = { alg: 'ES256', kid: 'ES256' };

/** What went wrong, all the way down. */
function story(error: unknown): string {
  const parts: string[] = [];
  for (let one = error as { message?: string; cause?: unknown; errors?: unknown[] } | undefined; one; one = one.cause as never) {
    parts.push(String(one.message), ...(one.errors ?? []).map(story));
  }
  return parts.join(' | ');
}

suite('keys are found', () => {
  test('by RFC 8414', async (t) => {
    const { trust, asked } = await serve(t, { [OAUTH]: metadata(), '/jwks': keys });
    const { keySet } = trust();
    assert.equal((await keySet.keyFor(header)).type, 'public');
    assert.deepEqual(asked, [OAUTH, '/jwks']);
  });

  test('by OpenID Connect where RFC 8414 is not served', async (t) => {
    const { trust, asked } = await serve(t, { [OIDC]: metadata(), '/jwks': keys });
    await trust().keySet.keyFor(header);
    assert.deepEqual(asked, [OAUTH, OIDC, '/jwks']);
  });

  test('by both for an issuer with a path', async (t) => {
    const body = { issuer: '{issuer}/realms/acme', jwks_uri: '{issuer}/jwks' };
    const { trust, issuer, asked } = await serve(t, { [`/realms/acme${OIDC}`]: { body }, '/jwks': keys });
    await trust(`${issuer}/realms/acme`).keySet.keyFor(header);
    assert.deepEqual(asked, [`${OAUTH}/realms/acme`, `/realms/acme${OIDC}`, '/jwks']);
  });

  test('at a configured address without asking for metadata', async (t) => {
    const { trust, issuer, asked } = await serve(t, { '/keys': keys });
    await trust(issuer, `${issuer}/keys`).keySet.keyFor(header);
    assert.deepEqual(asked, ['/keys']);
  });

  test('where they have moved to, once they are not where they were', async (t) => {
    const answers: Record<string, Answer> = { [OAUTH]: metadata() };
    const { trust, issuer, asked } = await serve(t, answers);
    const { keySet, metadata: find } = trust();
    await assert.rejects(keySet.warm());
    answers[OAUTH] = metadata({ jwks_uri: '{issuer}/moved' });
    assert.equal((await find()).jwks_uri, `${issuer}/moved`);
    assert.deepEqual(asked, [OAUTH, '/jwks', OAUTH]);
  });

  test('and the metadata is asked for once', async (t) => {
    const { trust, issuer, asked } = await serve(t, { [OAUTH]: metadata({ token_endpoint: '{issuer}/token' }), '/jwks': keys });
    const trusted = trust();
    const [one, two] = await Promise.all([trusted.metadata(), trusted.metadata(), trusted.keySet.warm()]);
    assert.equal(one, two);
    assert.equal((await trusted.metadata()).token_endpoint, `${issuer}/token`);
    assert.deepEqual(asked, [OAUTH, '/jwks']);
  });
});

suite('metadata is not believed', () => {
  const cases: Record<string, [answers: Readonly<Record<string, Answer>>, says: RegExp]> = {
    'that names another issuer': [{ [OAUTH]: metadata({ issuer: 'https://evil.example' }) }, /issuer/],
    'that names the issuer with a slash': [{ [OAUTH]: metadata({ issuer: '{issuer}/' }) }, /another issuer/],
    'that names the issuer in upper case': [{ [OAUTH]: metadata({ issuer: 'HTTP://127.0.0.1' }) }, /issuer/],
    'without an issuer': [{ [OAUTH]: { body: { jwks_uri: '{issuer}/jwks' } } }, /issuer/],
    'with an issuer that is no text': [{ [OAUTH]: metadata({ issuer: ['{issuer}'] }) }, /issuer/],
    'that is a redirect': [{ [OAUTH]: { status: 302, headers: { location: OIDC } } }, /no metadata/],
    'that is no JSON': [{ [OAUTH]: { body: '<html>' } }, /no metadata/],
    'that is a list': [{ [OAUTH]: { body: [] } }, /no metadata/],
    'that is too large': [{ [OAUTH]: metadata({ padding: 'x'.repeat(70_000) }) }, /no metadata/],
    'that comes with an error': [{ [OAUTH]: { ...metadata(), status: 500 } }, /no metadata/],
  };
  for (const [what, [answers, says]] of Object.entries(cases)) {
    test(what, async (t) => {
      const { trust, asked } = await serve(t, { ...answers, '/jwks': keys });
      const { keySet } = trust();
      await assert.rejects(keySet.keyFor(header), (error) => error instanceof KeysUnavailable && says.test(story(error)));
      assert.equal(keySet.held(), null);
      assert.ok(!asked.includes('/jwks'), 'no key is fetched on its word');
    });
  }

  test('when only one of the two documents is good, that one is', async (t) => {
    const { trust } = await serve(t, {
      [OAUTH]: metadata({ issuer: 'https://evil.example' }),
      [OIDC]: metadata(),
      '/jwks': keys,
    });
    await trust().keySet.keyFor(header);
  });
});

suite('an address for keys is not followed', () => {
  const uris = [
    'http://evil.example/jwks',
    'http://169.254.169.254/latest',
    'http://127.0.0.1.evil.example/jwks',
    'ftp://127.0.0.1/jwks',
  ];
  const odd = [
    'file:///etc/passwd',
    'data:application/json,{}',
    'https://user:pass@127.0.0.1/jwks',
    'https://127.0.0.1/jwks#x',
    '/jwks',
    '',
  ];
  for (const uri of [...uris, ...odd, undefined, 7]) {
    test(String(uri), async (t) => {
      const { trust, asked } = await serve(t, { [OAUTH]: metadata({ jwks_uri: uri }), '/jwks': keys });
      await assert.rejects(trust().keySet.keyFor(header), (error) => /names no https jwks_uri/.test(story(error)));
      assert.ok(!asked.includes('/jwks'));
    });
  }
});

suite('a key set is not believed', () => {
  const cases: Record<string, Answer> = {
    'that is a redirect': { status: 302, headers: { location: '/other' } },
    'that comes with an error': { ...keys, status: 500 },
    'with another success': { ...keys, status: 206 },
    'that is no JSON': { body: 'keys' },
    'that is no key set': { body: { error: 'x' } },
    'that is too large': { body: { keys: [...JWKS.keys, { kty: 'x', padding: 'x'.repeat(70_000) }] } },
  };
  for (const [what, answer] of Object.entries(cases)) {
    test(what, async (t) => {
      const { trust, issuer, asked, causes } = await serve(t, { '/jwks': answer, '/other': keys });
      await assert.rejects(trust(issuer, `${issuer}/jwks`).keySet.keyFor(header), KeysUnavailable);
      assert.deepEqual(asked, ['/jwks']);
      assert.equal(causes.length, 1);
    });
  }

  test('while nobody listens', async (t) => {
    const { trust } = await serve(t, {});
    const { keySet, metadata: ask } = trust('http://127.0.0.1:9');
    await assert.rejects(keySet.keyFor(header), KeysUnavailable);
    await assert.rejects(ask(), AggregateError);
  });

  test('metadata that failed is asked for again', async (t) => {
    const answers: Record<string, Answer> = { '/jwks': keys };
    const { trust } = await serve(t, answers);
    const { metadata: ask } = trust();
    await assert.rejects(ask(), AggregateError);
    answers[OIDC] = metadata();
    assert.ok(await ask());
  });
});
