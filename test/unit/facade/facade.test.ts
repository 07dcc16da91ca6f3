/** Which document is where, under whose name, and what is answered while there is none. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { PublicAnswer } from '../../../src/check/answer.ts';
import { check } from '../../../src/check.ts';
import { createFacade, type FacadeOptions } from '../../../src/facade/facade.ts';
import type { HttpFacts } from '../../../src/http.ts';
import { publicName, type Resource } from '../../../src/resource.ts';
import { bare, ledger, NOW_MS, type RequestSpec, request } from '../support/facts.ts';
import { fakePorts } from '../support/ports.ts';

const REAL = { authorization_endpoint: 'https://as.example/authorize', token_endpoint: 'https://as.example/token' };
const OAUTH = '/.well-known/oauth-authorization-server';
const OPENID = '/.well-known/openid-configuration';
const directory: Resource = {
  ...ledger,
  name: 'directory',
  path: '/directory/mcp',
  publicNames: [publicName('https://gateway.example/directory/mcp'), publicName('https://people.example/directory/mcp')],
};
const registration = { path: '/register', clientId: 'mcp-public', redirectUris: ['http://127.0.0.1/callback'] };

const create = (options: Partial<FacadeOptions> = {}) =>
  createFacade({
    resources: [ledger, directory],
    metadata: () => REAL,
    addsResource: false,
    registration,
    now: () => NOW_MS,
    ...options,
  });

async function answerTo(http: HttpFacts, options: Partial<FacadeOptions> = {}): Promise<PublicAnswer> {
  return (await create(options)(http, NOW_MS + 1000)) ?? assert.fail('nothing was answered');
}

const get = (path: string, spec: RequestSpec = {}) => bare('GET', { path, ...spec });
const documentOf = async (http: HttpFacts, options: Partial<FacadeOptions> = {}) =>
  JSON.parse((await answerTo(http, options)).response.body);

suite('the documents', () => {
  test('are at every place where a client may look', async () => {
    const root = 'https://gateway.example';
    for (const [path, issuer, name] of [
      [OAUTH, root, 'ledger'],
      [OPENID, root, 'ledger'],
      [`${OAUTH}/ledger/mcp`, `${root}/ledger/mcp`, 'ledger'],
      [`${OPENID}/directory/mcp`, `${root}/directory/mcp`, 'directory'],
      [`/directory/mcp${OPENID}`, `${root}/directory/mcp`, 'directory'],
    ] as const) {
      const { reason, resource, response } = await answerTo(get(path));
      assert.deepEqual([reason, resource?.name, response.status], ['facade_served', name, 200], path);
      assert.equal(JSON.parse(response.body).issuer, issuer);
    }
    for (const path of ['/', '/ledger/mcp', `${OAUTH}/`, `${OAUTH}/ledger`, `/ledger/mcp${OAUTH}`, '/.well-known/jwks.json'])
      assert.equal(create()(get(path), NOW_MS), null, path);
  });

  test('go by the host that is asked, if it is one of ours', async () => {
    const issuerAt = async (host: string, path = OAUTH) => (await documentOf(get(path, { host }))).issuer;
    assert.equal(await issuerAt('people.example'), 'https://people.example');
    assert.equal(await issuerAt('people.example:443', `${OAUTH}/directory/mcp`), 'https://gateway.example/directory/mcp');
    assert.equal(await issuerAt('people.example', `${OAUTH}/directory/mcp`), 'https://people.example/directory/mcp');
    assert.equal(await issuerAt('evil.example'), 'https://gateway.example');
    const claimed = await answerTo(get(OAUTH, { lines: { 'x-forwarded-host': 'evil.example' } }));
    assert.ok(!JSON.stringify(claimed.response).includes('evil'));
  });

  test('at the root are for the first resource, and register at their own origin', async () => {
    const options = { resources: [directory, ledger], addsResource: true };
    const document = await documentOf(get(OAUTH, { host: 'people.example' }), options);
    assert.equal(document.registration_endpoint, 'https://people.example/register');
    const { searchParams } = new URL(document.authorization_endpoint);
    assert.equal(searchParams.get('resource'), 'https://people.example/directory/mcp');
    assert.equal((await documentOf(get(OAUTH), { registration: null })).registration_endpoint, undefined);
  });

  test('are an OAuth error where the real metadata is missing, unusable or late', async () => {
    const cause = new Error('down');
    for (const metadata of [() => Promise.reject(cause), () => ({}), () => new Promise<never>(() => {})]) {
      const answered = create({ metadata })(get(OAUTH), NOW_MS + 5);
      const { reason, response, cause: told } = (await answered) ?? assert.fail();
      assert.deepEqual([reason, response.status], ['facade_unavailable', 503]);
      assert.equal(JSON.parse(response.body).error, 'temporarily_unavailable');
      assert.ok(told !== undefined);
    }
  });
});

suite('in a Check', () => {
  const decide = (http: HttpFacts, facade = create()) => check(http, fakePorts({ facade }), NOW_MS + 1000);

  test('it answers at once, without a token, and says so', async () => {
    const verdict = await decide(get(OAUTH, { lines: { authorization: null } }));
    assert.deepEqual([verdict.outcome, verdict.reason, verdict.facts.resource?.name], ['allow', 'facade_served', 'ledger']);
    assert.equal(verdict.answer.kind, 'respond');
  });

  test('what it refuses is no allow, and has its cause for the log', async () => {
    const refused = await decide(request({ path: '/register', body: { redirect_uris: ['https://evil.example/'] } }));
    assert.deepEqual([refused.outcome, refused.reason], ['deny', 'registration_refused']);
    assert.match(String(refused.cause), /not allowed/);
    const broken = await decide(get(OAUTH), create({ metadata: () => Promise.reject(new Error('down')) }));
    assert.deepEqual([broken.outcome, broken.reason, String(broken.cause)], ['error', 'facade_unavailable', 'Error: down']);
  });

  test('everything else is decided as without it', async () => {
    assert.equal((await decide(request())).reason, 'allowed');
    for (const http of [get('/register'), bare('DELETE', { path: OAUTH }), request({ path: OAUTH }), get(`${OAUTH}/other`)])
      assert.equal((await decide(http)).reason, 'resource_unknown', `${http.method} ${http.path}`);
    const off = await check(get(OAUTH), fakePorts(), NOW_MS + 1000);
    assert.equal(off.reason, 'resource_unknown');
  });

  test('preflights are answered for any origin', async () => {
    for (const [path, methods] of [
      [OAUTH, 'GET, HEAD, OPTIONS'],
      ['/register', 'POST, OPTIONS'],
    ] as const) {
      const { reason, response } = await answerTo(bare('OPTIONS', { path, lines: { origin: 'https://inspector.example' } }));
      assert.deepEqual([reason, response.status], ['preflight_answered', 204]);
      const headers = new Map(response.headers);
      assert.equal(headers.get('access-control-allow-origin'), '*');
      assert.equal(headers.get('access-control-allow-methods'), methods);
    }
  });
});
