/** Metadata of a façade, from that of the real server: what is passed on, what is not, and what is not good enough. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { facadeDocument } from '../../../src/facade/document.ts';

const REAL = {
  issuer: 'https://as.example',
  authorization_endpoint: 'https://as.example/authorize?tenant=acme',
  token_endpoint: 'https://as.example/token',
  jwks_uri: 'https://as.example/jwks',
  registration_endpoint: 'https://as.example/register',
  response_types_supported: ['code'],
  token_endpoint_auth_methods_supported: ['client_secret_basic'],
  code_challenge_methods_supported: ['S256'],
  authorization_response_iss_parameter_supported: true,
  signed_metadata: 'eyJhbGciOiJFUzI1NiJ9.e30.x',
  mtls_endpoint_aliases: { token_endpoint: 'https://mtls.as.example/token' },
  dpop_signing_alg_values_supported: ['ES256'],
};
const PLAIN = { issuer: 'https://gateway.example', registrationEndpoint: null, resource: null };

suite('the document', () => {
  test('says our name and the real endpoints, and nothing that goes with the real name', () => {
    const { authorization_response_iss_parameter_supported: _, ...rest } = REAL;
    const { signed_metadata: _1, mtls_endpoint_aliases: _2, dpop_signing_alg_values_supported: _3, ...kept } = rest;
    assert.deepEqual(facadeDocument(REAL, PLAIN), { ...kept, issuer: 'https://gateway.example' });
  });

  test('leads to our registration where there is one, and says that public clients are served', () => {
    const registrationEndpoint = 'https://gateway.example/register';
    const ours = facadeDocument(REAL, { ...PLAIN, registrationEndpoint });
    assert.equal(ours?.registration_endpoint, registrationEndpoint);
    assert.deepEqual(ours?.token_endpoint_auth_methods_supported, ['client_secret_basic', 'none']);
    const { token_endpoint_auth_methods_supported: _, ...silent } = REAL;
    // RFC 8414: what is left out means client_secret_basic.
    const methods = facadeDocument(silent, { ...PLAIN, registrationEndpoint })?.token_endpoint_auth_methods_supported;
    assert.deepEqual(methods, ['client_secret_basic', 'none']);
    const known = facadeDocument(
      { ...REAL, token_endpoint_auth_methods_supported: ['none'] },
      { ...PLAIN, registrationEndpoint },
    );
    assert.deepEqual(known?.token_endpoint_auth_methods_supported, ['none']);
  });

  test('has the resource in the query of the authorization endpoint, beside what is there', () => {
    const document = facadeDocument(REAL, { ...PLAIN, resource: 'https://gateway.example/ledger/mcp?a=b&c' });
    const { origin, searchParams } = new URL(String(document?.authorization_endpoint));
    assert.equal(origin, 'https://as.example');
    assert.deepEqual(
      [...searchParams],
      [
        ['tenant', 'acme'],
        ['resource', 'https://gateway.example/ledger/mcp?a=b&c'],
      ],
    );
    assert.equal(document?.token_endpoint, REAL.token_endpoint);
  });

  test('says what response types there are, which clients cannot do without', () => {
    const { response_types_supported: _, ...silent } = REAL;
    assert.deepEqual(facadeDocument(silent, PLAIN)?.response_types_supported, ['code']);
  });

  test('is none where a browser or a code would be sent to an unsafe place', () => {
    for (const name of ['authorization_endpoint', 'token_endpoint']) {
      for (const value of [undefined, null, 7, '', 'javascript:alert(1)', 'http://as.example/x', 'https://u:p@as.example/x']) {
        assert.equal(facadeDocument({ ...REAL, [name]: value }, PLAIN), null, `${name} ${value}`);
      }
    }
  });

  test('leaves out other endpoints that are not safe', () => {
    const document = facadeDocument({ ...REAL, jwks_uri: 'http://as.example/jwks', op_tos_uri: 'javascript:x' }, PLAIN);
    assert.deepEqual([document?.jwks_uri, document?.op_tos_uri], [undefined, undefined]);
  });
});
