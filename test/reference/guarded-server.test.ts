/**
 * The front of a backend, with the Enterprise Ledger behind it: every request is recorded, and nothing passes without
 * the right delegation token for exactly that operation.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEnterpriseLedger } from '../../examples/reference/enterprise-ledger.ts';
import {
  directoryAudience,
  directoryUrl,
  gatewayOf,
  ledgerAudience,
  ledgerUrl,
  startBackend,
  startIssuer,
  tokenOf,
} from './support/deployment.ts';
import { delegate, delegatingFetch } from './support/gateway.ts';
import { json } from './support/json.ts';

const backend = 'enterprise-ledger';

test('every request is recorded, allowed or not, without a usable token', async (t) => {
  const server = await startIssuer(t);
  const ledger = await startBackend(t, startEnterpriseLedger, server);
  const guardedFetch = delegatingFetch(gatewayOf(server), await tokenOf(server, 'alice', ledgerUrl), backend);
  const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"getBalance"}}';
  await guardedFetch(`${ledger.url}?a=b`, { method: 'POST', body: call, headers: { 'X-Custom': 'kept' } });

  const { time, headers, delegation, ...request } = ledger.records[0] ?? assert.fail('nothing was recorded');
  assert.ok(Date.parse(time));
  assert.equal(headers['x-custom'], 'kept');
  assert.match(headers.authorization ?? '', /^Bearer [\w-]+\.[\w-]+\.\[signature removed\]$/);
  const { iss, sub, act, scope } = delegation ?? {};
  assert.deepEqual(
    { iss, sub, act, scope },
    { iss: server.issuer, sub: 'alice', act: { sub: 'ai-identity-gateway' }, scope: 'enterprise-ledger:getBalance' },
  );
  assert.deepEqual(request, { backend, method: 'POST', path: '/mcp?a=b', verified: true, body: call });

  await fetch(ledger.url, { method: 'POST', body: 'anything', headers: { Authorization: 'Bearer a-secret' } });
  const refused = ledger.records[1];
  assert.deepEqual([refused?.verified, refused?.delegation, refused?.body], [false, null, 'anything']);
  assert.equal(refused?.refusal, 'the token cannot be verified');
  assert.doesNotMatch(JSON.stringify(ledger.records), /a-secret/);
});

test('what does not carry the right delegation token is refused with a challenge', async (t) => {
  const server = await startIssuer(t);
  const ledger = await startBackend(t, startEnterpriseLedger, server);
  const exchange = gatewayOf(server);
  const inbound = await tokenOf(server, 'alice', ledgerUrl);
  const directoryToken = await tokenOf(server, 'alice', directoryUrl);
  const protocol = `${backend}:protocol`;
  const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"getBalance","arguments":{}}}';

  const cases = {
    'no token': { token: undefined, status: 401 },
    'the inbound token itself': { token: inbound, status: 401 },
    'a token for the other backend': {
      token: await delegate(exchange, directoryToken, directoryAudience, 'employee-directory:getEmployee'),
      status: 401,
    },
    'a token for the protocol only': {
      token: await delegate(exchange, inbound, ledgerAudience, protocol),
      status: 403,
    },
    'a token for another tool': {
      token: await delegate(exchange, inbound, ledgerAudience, `${backend}:getAccount`),
      status: 403,
    },
  };
  for (const [name, { token, status }] of Object.entries(cases)) {
    const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
    const response = await fetch(ledger.url, { method: 'POST', headers, body: call });
    assert.equal(response.status, status, name);
    assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer realm="enterprise-ledger"/, name);
    assert.ok((await json(response)).error_description, name);
  }
  for (const method of ['GET', 'DELETE']) assert.equal((await fetch(ledger.url, { method })).status, 401);
});

test('an expired token is refused', async (t) => {
  const server = await startIssuer(t);
  const later = () => new Date(Date.now() + 6_000);
  const ledger = await startBackend(t, startEnterpriseLedger, server, { now: later });
  const inbound = await tokenOf(server, 'alice', ledgerUrl);
  const post = delegatingFetch(gatewayOf(server), inbound, backend);
  const response = await post(ledger.url, { method: 'POST', body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' });
  assert.deepEqual([response.status, (await json(response)).error_description], [401, 'the token has expired']);
});

test('batches, broken JSON, other paths and unknown sessions go no further', async (t) => {
  const server = await startIssuer(t);
  const ledger = await startBackend(t, startEnterpriseLedger, server);
  const exchange = gatewayOf(server);
  const inbound = await tokenOf(server, 'alice', ledgerUrl);
  const post = async (url: string, body: string, headers = {}) => {
    const token = await delegate(exchange, inbound, ledgerAudience, `${backend}:protocol`);
    const all = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', ...headers };
    return (await fetch(url, { method: 'POST', headers: all, body })).status;
  };
  const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
  assert.equal(await post(ledger.url, `[${ping}]`), 400);
  assert.equal(await post(ledger.url, '{'), 400);
  assert.equal(await post(ledger.url.replace('/mcp', '/other'), ping), 404);
  assert.equal(await post(ledger.url, ping), 400);
  assert.equal(await post(ledger.url, ping, { 'Mcp-Session-Id': 'unknown' }), 404);
  assert.equal(await post(ledger.url, ' '.repeat(2 ** 20 + 1)), 413);
  assert.deepEqual(
    ledger.records.map(({ refusal }) => refusal),
    ['Batches are not accepted.', 'The body is not JSON.', 'No such path.', undefined, undefined, 'The body is too large.'],
  );
});
