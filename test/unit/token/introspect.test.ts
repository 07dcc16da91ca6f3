import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import * as oauth from 'oauth4webapi';
import { createHttpClient } from '../../../src/http-client.ts';
import { createIntrospection } from '../../../src/token/introspect.ts';
import { createVerifier } from '../../../src/token/verifier.ts';
import type { IssuerRules } from '../../../src/token/verify.ts';

/** Seconds. */
const NOW = 1_800_000_000;

let answer: { status: number; body: string } = { status: 200, body: '{}' };
const asked: { authorization: string | undefined; form: URLSearchParams }[] = [];
const server = createServer((request, response) => {
  let form = '';
  request.setEncoding('utf8').on('data', (chunk: string) => {
    form += chunk;
  });
  request.on('end', () => {
    asked.push({ authorization: request.headers.authorization, form: new URLSearchParams(form) });
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
  });
});
const client = createHttpClient({ timeoutMs: 20_000, maxResponseBytes: 10_000 });
let issuer = '';

const rules = (): IssuerRules => ({
  issuer,
  keySet: { keyFor: () => Promise.reject(new Error('no keys are needed')), held: () => null, warm: () => Promise.resolve() },
  tokenTypes: new Set(['at+jwt']),
  algorithms: ['ES256'],
  audiences: new Set(),
  clients: new Set(['claude-code']),
  claims: {},
  maxLifetimeSeconds: 3600,
  clockToleranceSeconds: 5,
});

const introspection = () =>
  createIntrospection({
    rules: rules(),
    metadata: async () => ({ issuer, introspection_endpoint: `${issuer}/introspect` }),
    clientId: 'ai-identity-gateway',
    clientAuthentication: oauth.ClientSecretBasic('s3cret'),
    fetch: client.fetch,
    now: () => NOW * 1000,
  });

const active = (claims: object = {}) => ({
  status: 200,
  body: JSON.stringify({
    active: true,
    token_type: 'Bearer',
    sub: 'alice',
    client_id: 'claude-code',
    aud: 'https://gateway.example/mcp',
    scope: 'a b',
    exp: NOW + 60,
    ...claims,
  }),
});

describe('token introspection (RFC 7662)', () => {
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    await client.close();
    server.close();
  });

  it('makes a principal of an active token, and authenticates itself', async () => {
    answer = active();
    const result = await introspection()('opaque-token');
    assert.ok(result.ok);
    assert.equal(result.value.issuer, issuer);
    assert.equal(result.value.subject, 'alice');
    assert.deepEqual(result.value.scopes, ['a', 'b']);
    assert.equal(asked.at(-1)?.form.get('token'), 'opaque-token');
    assert.match(asked.at(-1)?.authorization ?? '', /^Basic /);
  });

  const refused: [what: string, answer: () => { status: number; body: string }, reason: string][] = [
    ['an inactive token', () => ({ status: 200, body: '{"active":false}' }), 'token_inactive'],
    ['active as a string', () => ({ status: 200, body: '{"active":"true"}' }), 'introspection_unavailable'],
    ['an answer that is no object', () => ({ status: 200, body: '[true]' }), 'introspection_unavailable'],
    ['an answer that is no JSON', () => ({ status: 200, body: '<html>' }), 'introspection_unavailable'],
    ['an error', () => ({ status: 500, body: '{"active":true}' }), 'introspection_unavailable'],
    ['another issuer', () => active({ iss: 'https://evil.example' }), 'token_issuer_unknown'],
    ['a refresh token', () => active({ token_type: 'Refresh' }), 'token_type_wrong'],
    ['a token of which no type is told', () => active({ token_type: undefined }), 'token_type_wrong'],
    ['a token bound by its type', () => active({ token_type: 'DPoP' }), 'token_type_wrong'],
    ['no expiry', () => active({ exp: undefined }), 'token_claims_invalid'],
    ['an expiry that has passed', () => active({ exp: NOW - 60 }), 'token_expired'],
    ['a life that is too long', () => active({ exp: NOW + 7200 }), 'token_lifetime_excessive'],
    ['not yet valid', () => active({ nbf: NOW + 60 }), 'token_not_yet_valid'],
    ['a bound token', () => active({ cnf: { jkt: 'x' } }), 'token_bound'],
    ['no subject', () => active({ sub: undefined }), 'token_claims_invalid'],
    ['no audience', () => active({ aud: undefined }), 'token_claims_invalid'],
    ['another client', () => active({ client_id: 'stranger' }), 'client_forbidden'],
  ];
  for (const [what, make, reason] of refused) {
    it(`refuses ${what}: ${reason}`, async () => {
      answer = make();
      const result = await introspection()('opaque-token');
      assert.equal(result.ok ? 'allowed' : result.denial.reason, reason);
    });
  }

  it('is asked about tokens that are no JWTs only, and its answer is kept', async () => {
    answer = active();
    const verifier = createVerifier({
      issuers: new Map([[issuer, rules()]]),
      introspect: introspection(),
      actor: 'ai-identity-gateway',
      cacheEntries: 10,
      cacheTtlMs: 1000,
      now: () => NOW * 1000,
    });
    const expected = { audiences: new Set(['https://gateway.example/mcp']), issuers: new Set([issuer]) };
    const before = asked.length;
    assert.ok((await verifier.verify('opaque-token', expected)).ok);
    assert.ok((await verifier.verify('opaque-token', expected)).ok);
    assert.equal((await verifier.verify('a.b.c', expected)).ok, false);
    assert.equal(asked.length, before + 1);
    const elsewhere = await verifier.verify('opaque-token', { ...expected, audiences: new Set(['https://other.example']) });
    assert.equal(elsewhere.ok ? 'allowed' : elsewhere.denial.reason, 'token_audience_mismatch');
  });
});
