import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { newFacts } from '../../src/authorize.ts';
import { type Dispatched, dispatchToBackend, dispatchToFrontDoor } from '../../src/dispatch.ts';
import type { HttpFacts } from '../../src/http.ts';
import { readOperation } from '../../src/mcp/operation.ts';
import type { Resource } from '../../src/resource.ts';
import { createSealer } from '../../src/seal.ts';
import { alice, bare, ledger, NOW_MS, request } from './support/facts.ts';

const ports = { sealer: createSealer([Buffer.alloc(32, 7)]), now: () => NOW_MS, policyHeaders: [] };
const door: Resource = { ...ledger, name: 'door', path: '/mcp', members: [{ resource: ledger, prefix: 'ledger' }] };

function dispatched(http: HttpFacts, entrance: Resource, backend: Resource | null): Dispatched {
  const operation = readOperation(http, { maxBytes: 1000, maxDepth: 9 });
  assert.ok(operation.ok);
  const route = { backend, operation: operation.value, splice: null, session: null };
  return { facts: newFacts(http, 'd'), principal: { ...alice, expiresAt: NOW_MS / 1000 + 30 }, entrance, route };
}

const lifeOf = ({ set }: { readonly set: readonly (readonly [string, string])[] }) =>
  new Map(set).get('x-envoy-upstream-rq-timeout-ms');

suite('how long Envoy lets a stream be', () => {
  const forward = { kind: 'forward', set: [], remove: [], responseHeaders: [] } as const;
  const get = bare('GET');

  test('before a single server: as long as the token', () => {
    assert.equal(lifeOf(dispatchToBackend(forward, dispatched(get, ledger, ledger), ledger, ports)), '30000');
  });

  test('before the front door: a little longer, for it ends its streams itself and cleanly', () => {
    assert.equal(lifeOf(dispatchToFrontDoor(dispatched(get, door, null), 'token', [], ports)), '31000');
  });

  test('a call: for as long as it takes', () => {
    assert.equal(lifeOf(dispatchToBackend(forward, dispatched(request(), ledger, ledger), ledger, ports)), undefined);
  });
});
