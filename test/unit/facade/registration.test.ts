/** Registration that registers nobody: what is answered to whom, and which redirect URIs are the same. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { isSameRedirect, type Registration, registerClient } from '../../../src/facade/registration.ts';
import { type RequestSpec, request } from '../support/facts.ts';

const LOOPBACK = 'http://127.0.0.1/callback';
const WEB = 'https://app.example/callback';
const REGISTRATION: Registration = { path: '/register', clientId: 'mcp-public', redirectUris: [LOOPBACK, WEB, 'cursor://x/cb'] };

const register = (body: unknown, spec: RequestSpec = {}) =>
  registerClient(request({ path: '/register', body, ...spec }), REGISTRATION);

function errorOf(body: unknown, spec: RequestSpec = {}): string {
  const registered = register(body, spec);
  if (registered.ok) return assert.fail(`registered: ${JSON.stringify(registered.client)}`);
  return registered.refusal.error;
}

suite('who registers', () => {
  test('is told the client that is there, with what it asked for as far as that is so', () => {
    const asked = {
      redirect_uris: ['http://127.0.0.1:49152/callback', WEB],
      client_name: 'me',
      token_endpoint_auth_method: 'client_secret_post',
      grant_types: ['refresh_token', 'authorization_code', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
      response_types: ['code', 'token'],
      software_statement: 'x.y.z',
      scope: 'everything',
    };
    const registered = register(asked);
    assert.deepEqual(registered.ok && registered.client, {
      client_id: 'mcp-public',
      redirect_uris: ['http://127.0.0.1:49152/callback', WEB],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    });
  });

  test('needs no more than redirect URIs', () => {
    const registered = register({ redirect_uris: ['cursor://x/cb'] });
    assert.deepEqual(registered.ok && registered.client.grant_types, ['authorization_code']);
  });

  test('is refused with redirect URIs that are not all allowed, or none', () => {
    for (const uris of [undefined, null, [], WEB, {}, [WEB, 7], [WEB, 'https://evil.example/'], new Array(17).fill(WEB)]) {
      assert.equal(errorOf({ redirect_uris: uris }), 'invalid_redirect_uri', JSON.stringify(uris));
    }
  });

  test('is refused where it could not use what it would get', () => {
    const metadata = { redirect_uris: [WEB] };
    for (const change of [
      { grant_types: ['client_credentials'] },
      { grant_types: [] },
      { grant_types: 'authorization_code' },
      { grant_types: null },
      { response_types: ['token'] },
      { response_types: [['code']] },
    ]) {
      assert.equal(errorOf({ ...metadata, ...change }), 'invalid_client_metadata', JSON.stringify(change));
    }
  });

  test('is refused with a body that two parsers could read differently, is no object, too large or not whole', () => {
    const twice = `{"redirect_uris":["${WEB}"],"redirect_uris":["https://evil.example/"]}`;
    for (const body of ['', '{', '[]', 'null', '"x"', twice, `\ufeff{"redirect_uris":["${WEB}"]}`]) {
      assert.equal(errorOf(body), 'invalid_client_metadata', body);
    }
    const sound = { redirect_uris: [WEB] };
    assert.equal(errorOf({ ...sound, client_name: 'x'.repeat(16_384) }), 'invalid_client_metadata');
    assert.equal(errorOf(`{"redirect_uris":["${WEB}"],"x":${'['.repeat(20)}${']'.repeat(20)}}`), 'invalid_client_metadata');
    assert.equal(errorOf(sound, { partialBody: true }), 'invalid_client_metadata');
    assert.equal(errorOf(sound, { statedSize: 9999 }), 'invalid_client_metadata');
    for (const type of [null, 'text/plain', 'application/x-www-form-urlencoded', ['application/json', 'application/json']])
      assert.equal(errorOf(sound, { lines: { 'content-type': type } }), 'invalid_client_metadata', String(type));
    assert.equal(errorOf(sound, { lines: { 'content-encoding': 'gzip' } }), 'invalid_client_metadata');
  });

  test('never reads its own words in the refusal; the log has a short piece', () => {
    const registered = register({ redirect_uris: [`https://evil.example/${'x'.repeat(1000)}`] });
    assert.ok(!registered.ok);
    assert.ok(!registered.refusal.description.includes('evil'));
    assert.match(registered.refusal.cause ?? '', /^not allowed: https:\/\/evil\.example\/x+/);
    assert.ok((registered.refusal.cause ?? '').length < 300);
  });

  test('whatever comes, gets one answer or the other', () => {
    fc.assert(
      fc.property(fc.record({ redirect_uris: fc.jsonValue(), grant_types: fc.jsonValue() }, { requiredKeys: [] }), (body) => {
        const registered = register(body);
        if (registered.ok) assert.deepEqual(registered.client.redirect_uris, body.redirect_uris);
      }),
    );
  });
});

suite('two redirect URIs', () => {
  const same: readonly (readonly [asked: string, allowed: string])[] = [
    [WEB, WEB],
    ['http://127.0.0.1:1/callback', LOOPBACK],
    ['http://127.0.0.1:65535/callback', 'http://127.0.0.1:8080/callback'],
    ['http://127.0.0.1/callback', 'http://127.0.0.1:8080/callback'],
    ['http://[::1]:5000/callback?x=1', 'http://[::1]/callback?x=1'],
    ['http://localhost:3334/oauth/callback', 'http://localhost/oauth/callback'],
    ['http://localhost:3334', 'http://localhost'],
  ];
  const different: readonly (readonly [asked: string, allowed: string])[] = [
    ['https://app.example:8443/callback', WEB],
    ['https://app.example/callback/', WEB],
    ['https://app.example/callback?x', WEB],
    ['https://APP.example/callback', WEB],
    ['https://app.example/callback/../other', WEB],
    ['http://127.0.0.1:80@evil.example/callback', LOOPBACK],
    ['http://127.0.0.1:8080:1/callback', LOOPBACK],
    ['http://127.0.0.1:99999/callback', LOOPBACK],
    ['http://127.0.0.1:/callback', LOOPBACK],
    ['http://127.0.0.1.evil.example/callback', LOOPBACK],
    ['http://127.0.0.2/callback', LOOPBACK],
    ['http://localhost:1/callback', LOOPBACK],
    ['https://127.0.0.1:1/callback', LOOPBACK],
    ['http://127.0.0.1:1/callback#x', LOOPBACK],
    ['http://127.0.0.1:1/callback?x=1', LOOPBACK],
    ['http://127.0.0.1:1\\@evil.example/callback', LOOPBACK],
    ['http://127.0.0.1:1/other', LOOPBACK],
    ['http://127.0.0.1:1/callback\n', LOOPBACK],
  ];
  for (const [asked, allowed] of same) test(`${asked} is ${allowed}`, () => assert.ok(isSameRedirect(asked, allowed)));
  for (const [asked, allowed] of different)
    test(`${JSON.stringify(asked)} is not ${allowed}`, () => assert.ok(!isSameRedirect(asked, allowed)));
});
