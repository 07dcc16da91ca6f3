import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { Delegation } from '../../../src/delegation/delegation.ts';
import { delegationHeaders, isIdentityHeader } from '../../../src/delegation/headers.ts';
import { ACTOR, AUDIENCE, DELEGATION_TOKEN, headers, NOW } from '../support/facts.ts';

const delegation: Delegation = {
  token: DELEGATION_TOKEN,
  tokenId: 'delegation-jti',
  audience: AUDIENCE,
  scope: 'ledger:getBalance',
  expiresAt: NOW + 5,
  actor: ACTOR,
};

/** What proxies, gateways and frameworks are known to take for an identity or a credential. */
const IDENTITIES = [
  // HTTP and OAuth
  ...['authorization', 'proxy-authorization', 'cookie', 'cookie2', 'dpop', 'from', 'signature', 'signature-input'],
  ...[
    'client-cert',
    'client-cert-chain',
    'txn-token',
    'x-authorization',
    'x-original-authorization',
    'x-forwarded-authorization',
  ],
  // oauth2-proxy, Traefik, nginx auth_request, Vouch, Pomerium, Authelia, Grafana
  ...['x-auth-request-user', 'x-auth-request-email', 'x-auth-request-groups', 'x-auth-request-preferred-username'],
  ...['x-auth-request-access-token', 'x-forwarded-user', 'x-forwarded-email', 'x-forwarded-groups', 'x-forwarded-access-token'],
  ...['x-forwarded-preferred-username', 'x-forwarded-tls-client-cert', 'x-forwarded-tls-client-cert-info', 'x-vouch-user'],
  ...['x-pomerium-jwt-assertion', 'x-pomerium-claim-email', 'remote-user', 'remote-groups', 'remote-email', 'remote-name'],
  ...[
    'x-remote-user',
    'x-remote-group',
    'x-remote-extra-scopes',
    'x-webauth-user',
    'x-webauth-email',
    'x-auth-user',
    'x-auth-token',
  ],
  // Envoy, Istio, Kong, Kubernetes, SPIFFE
  ...['x-forwarded-client-cert', 'x-jwt-payload', 'x-jwt-claim-sub', 'x-consumer-id', 'x-consumer-username', 'x-userinfo'],
  ...[
    'x-consumer-custom-id',
    'x-anonymous-consumer',
    'x-credential-identifier',
    'x-authenticated-userid',
    'x-authenticated-scope',
  ],
  ...['impersonate-user', 'impersonate-group', 'impersonate-extra-roles', 'x-spiffe-id', 'x-on-behalf-of'],
  // clouds
  ...[
    'x-goog-authenticated-user-email',
    'x-goog-authenticated-user-id',
    'x-goog-iap-jwt-assertion',
    'x-serverless-authorization',
  ],
  ...['x-endpoint-api-userinfo', 'x-apigateway-api-userinfo', 'x-goog-api-key', 'x-amzn-oidc-data', 'x-amzn-oidc-identity'],
  ...['x-amzn-oidc-accesstoken', 'x-amz-security-token', 'x-amzn-mtls-clientcert', 'x-amzn-mtls-clientcert-subject'],
  ...['x-ms-client-principal', 'x-ms-client-principal-id', 'x-ms-client-principal-name', 'x-ms-token-aad-access-token'],
  ...['cf-access-jwt-assertion', 'cf-access-authenticated-user-email', 'cf-access-client-id', 'cf-access-client-secret'],
  ...['tailscale-user-login', 'tailscale-user-name', 'ocp-apim-subscription-key', 'x-functions-key'],
  // what applications make up
  ...['x-user', 'x-user-id', 'x-userid', 'x-username', 'x-user-email', 'x-email', 'x-role', 'x-roles', 'x-groups', 'x-tenant'],
  ...[
    'x-tenant-id',
    'x-org-id',
    'x-scope-orgid',
    'x-subject',
    'x-actor',
    'x-act',
    'x-sub',
    'x-principal',
    'x-identity',
    'x-scopes',
  ],
  ...[
    'x-api-key',
    'x-apikey',
    'api-key',
    'apikey',
    'x-access-token',
    'access-token',
    'x-id-token',
    'x-token',
    'x-jwt',
    'x-secret',
  ],
  ...[
    'x-session-id',
    'x-session-token',
    'x-client-id',
    'x-client-cert',
    'x-ssl-client-cert',
    'x-ssl-client-s-dn',
    'x-ssl-client-verify',
  ],
  ...[
    'ssl-client-cert',
    'x-tls-client-serial',
    'x-client-dn',
    'private-token',
    'x-vault-token',
    'x-hasura-role',
    'x-delegation-token',
  ],
  ...[
    'x-remoteuser',
    'x-authuser',
    'x-clientid',
    'mcp-authorization',
    'mcp-user',
    'mcp-subject',
    'sec-authorization',
    'sec-user',
  ],
  ...['x-authtoken', 'x-accesstoken', 'x-forwarded-useremail', 'oidc-claim-sub', 'x-csrf-token'],
];

const REDIRECTING = [
  ...['x-http-method-override', 'x-http-method', 'x-method-override', 'x-original-url', 'x-original-uri', 'x-rewrite-url'],
  ...['x-mcp-backend', 'x-mcp-authorized', 'grpc-timeout', 'x-envoy-upstream-rq-timeout-ms', 'x-envoy-retry-on'],
  ...['x-envoy-max-retries', 'x-envoy-original-path', 'x-envoy-auth-partial-body', 'x-envoy-hedge-on-per-try-timeout'],
];

const LEGITIMATE = [
  ...['host', 'accept', 'accept-encoding', 'accept-language', 'cache-control', 'connection', 'content-length', 'content-type'],
  ...[
    'content-encoding',
    'date',
    'expect',
    'if-none-match',
    'last-event-id',
    'origin',
    'pragma',
    'range',
    'referer',
    'te',
    'via',
  ],
  ...['user-agent', 'x-user-agent', 'sec-fetch-user', 'sec-fetch-mode', 'sec-ch-ua', 'dnt', 'priority', 'idempotency-key'],
  ...['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'x-real-ip', 'forwarded', 'x-request-id'],
  ...['x-correlation-id', 'traceparent', 'tracestate', 'baggage', 'b3', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-sampled'],
  ...['x-amzn-trace-id', 'x-cloud-trace-context', 'x-envoy-external-address', 'x-envoy-internal', 'x-client-version'],
  ...['mcp-session-id', 'mcp-protocol-version', 'mcp-method', 'mcp-name', 'mcp-param-tenant-id', 'mcp-param-user'],
];

suite('a header', () => {
  for (const name of [...IDENTITIES, ...REDIRECTING]) {
    test(`${name} does not get through, in whatever spelling`, () => {
      const spellings = [
        name,
        name.replaceAll('-', '_'),
        name.replaceAll('-', '.'),
        name.toUpperCase(),
        name.replaceAll('-', '--'),
      ];
      for (const spelling of spellings) assert.ok(isIdentityHeader(spelling), spelling);
    });
  }

  test('that is none of these gets through', () => {
    assert.deepEqual(LEGITIMATE.filter(isIdentityHeader), []);
  });

  test('of MCP gets through in its own spelling only', () => {
    for (const name of ['mcp_session_id', 'mcp.method', 'mcp_name', 'mcp_param_user', 'user_agent']) {
      assert.ok(isIdentityHeader(name), name);
    }
  });

  test('is judged the same again, and a flood of names is forgotten', () => {
    for (let index = 0; index < 3000; index += 1) assert.equal(isIdentityHeader(`x-made-up-${index}`), false);
    const long = `x-${'a'.repeat(20_000)}`;
    assert.equal(isIdentityHeader(long), false);
    assert.equal(isIdentityHeader(`${long}-user`), true);
    assert.equal(isIdentityHeader('x-user'), true);
    assert.equal(isIdentityHeader('accept'), false);
  });
});

suite('what goes to the backend', () => {
  const client = headers({
    authorization: 'Bearer of-the-client',
    cookie: 'a=b',
    accept: 'application/json',
    'x-forwarded-user': 'root',
    X_Forwarded_User: 'root',
    'mcp-session-id': 's1',
  });

  test('is our token in place of the credentials', () => {
    assert.deepEqual(delegationHeaders(client, delegation, 'authorization', {}), {
      set: [['authorization', `Bearer ${DELEGATION_TOKEN}`]],
      remove: ['cookie', 'x-forwarded-user', 'X_Forwarded_User'],
    });
  });

  test('is our token in a header of its own, and no Authorization', () => {
    const { set, remove } = delegationHeaders(client, delegation, 'txn-token', {});
    assert.deepEqual(set, [['txn-token', DELEGATION_TOKEN]]);
    assert.ok(remove.includes('authorization'));
  });

  test('is no credential at all where there is no delegation', () => {
    const { set, remove } = delegationHeaders(client, null, 'authorization', {});
    assert.deepEqual(set, []);
    assert.ok(remove.includes('authorization'));
  });

  test('is what policy adds, with the look-alikes of that gone', () => {
    const sent = headers({ 'x-region': 'mine', x_region: 'mine', 'x.region': 'mine', 'x-regions': 'mine' });
    const { set, remove } = delegationHeaders(sent, delegation, 'authorization', { 'x-region': 'eu', 'x-user-id': 'alice' });
    assert.deepEqual(set, [
      ['x-region', 'eu'],
      ['x-user-id', 'alice'],
      ['authorization', `Bearer ${DELEGATION_TOKEN}`],
    ]);
    assert.deepEqual(remove, ['x_region', 'x.region']);
  });

  test('is our token even where policy sets the same header', () => {
    const { set } = delegationHeaders(client, delegation, 'x-delegation', { 'x-delegation': 'from policy' });
    assert.deepEqual(set, [['x-delegation', DELEGATION_TOKEN]]);
  });

  test('never loses what was set: Envoy removes last', () => {
    const names = fc.constantFrom(...IDENTITIES, ...LEGITIMATE, 'x_user_id', 'txn_token');
    const extras = fc.dictionary(fc.constantFrom('x-user-id', 'x-tenant', 'x-delegation'), fc.constant('v'));
    fc.assert(
      fc.property(fc.uniqueArray(names), extras, fc.constantFrom('authorization', 'txn-token'), (sent, extra, tokenHeader) => {
        const lines = headers(Object.fromEntries(sent.map((name) => [name, 'x'])));
        const { set, remove } = delegationHeaders(lines, delegation, tokenHeader, extra);
        const ours = set.map(([name]) => name);
        assert.equal(new Set(ours).size, ours.length);
        assert.ok(ours.includes(tokenHeader));
        assert.ok(!remove.some((name) => ours.includes(name.toLowerCase())));
        const left = sent.filter((name) => !remove.includes(name) && !ours.includes(name.toLowerCase()));
        assert.deepEqual(left.filter(isIdentityHeader), []);
      }),
    );
  });
});
