/** Settings of the façade: what is refused, and what must agree with the rest. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ConfigError, parseConfig } from '../../../src/config.ts';
import { type minimalConfig, yamlOf } from '../support/config.ts';

type Tree = ReturnType<typeof minimalConfig>;

const ISSUER = 'https://as.example';
const REDIRECT = 'http://127.0.0.1/callback';

function parse(facade: object, adjust: (config: Tree) => void = () => {}) {
  return parseConfig(
    yamlOf((config) => {
      config.authorizationServerFacade = { issuer: ISSUER, ...facade };
      adjust(config);
    }),
  ).authorizationServerFacade;
}

function problemsOf(facade: object, adjust?: (config: Tree) => void): readonly string[] {
  try {
    parse(facade, adjust);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems;
  }
  return [];
}

const redirecting = (...redirectUris: string[]) => ({ registration: { clientId: 'x', redirectUris } });

suite('the façade', () => {
  test('is off unless it is there, and does little then', () => {
    assert.equal(parseConfig(yamlOf()).authorizationServerFacade, undefined);
    assert.deepEqual(parse({}), { issuer: ISSUER, addResourceParameter: false });
    assert.equal(parse(redirecting(REDIRECT))?.registration?.path, '/register');
  });

  test('takes redirect URIs of web, native and loopback clients', () => {
    const uris = [
      'https://app.example/cb',
      REDIRECT,
      'http://localhost:3334/oauth/callback',
      'http://[::1]/cb',
      'cursor://a.b/cb',
    ];
    assert.deepEqual(problemsOf(redirecting(...uris)), []);
  });

  test('takes no redirect URI that goes to somebody else, or to a script', () => {
    for (const uri of [
      '/callback',
      'https://app.example/*',
      'https://app.example/cb#x',
      'https://u:p@app.example/cb',
      'http://app.example/cb',
      'http://localhost.evil.example/cb',
      'javascript:alert(1)',
      'data:text/html,x',
      'file:///etc/passwd',
      'https://app.example/a b',
      '',
    ]) {
      const [problem = ''] = problemsOf(redirecting(uri));
      assert.match(problem, /^authorizationServerFacade\.registration\.redirectUris\[0\]: use an https/, uri);
    }
    assert.match(problemsOf(redirecting())[0] ?? '', /redirectUris/);
  });

  test('points at an issuer that is there, for a resource that accepts it', () => {
    assert.deepEqual(problemsOf({ issuer: 'https://other.example' }), [
      'authorizationServerFacade.issuer: https://other.example is not among issuers',
    ]);
    const problem = 'authorizationServerFacade.resource: there is no such resource that accepts tokens of the issuer';
    assert.deepEqual(problemsOf({ resource: 'nobody' }), [problem]);
    const elsewhere = (config: Tree) => {
      config.issuers.push({ issuer: 'https://other.example' });
      config.resources[0].issuers = ['https://other.example'];
    };
    assert.deepEqual(problemsOf({}, elsewhere), [problem]);
    assert.deepEqual(problemsOf({ resource: 'ledger' }), []);
  });

  test('has its registration where nothing else is', () => {
    const at = (path: string) => problemsOf({ registration: { path, clientId: 'x', redirectUris: [REDIRECT] } });
    assert.deepEqual(at('/oauth/register'), []);
    assert.match(at('/ledger/mcp')[0] ?? '', /registration\.path: is the path of a resource/);
    assert.match(at('/.well-known/register')[0] ?? '', /registration\.path: is where documents are/);
    for (const path of ['register', '/', '/a?b', '/a//b', 'https://x.example/y'])
      assert.match(at(path)[0] ?? '', /absolute path/, path);
  });
});
