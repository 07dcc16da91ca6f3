/** examples/keycloak against the rest of the repository: what the realm, the configuration and the policies must agree on. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { delegationScopes, frontDoorScopes, referenceBackends } from '../../../examples/reference/backends.ts';
import { parseConfig } from '../../../src/config.ts';

type Tree = Record<string, any>;

const file = (path: string) => readFile(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), 'utf8');
const realmText = await file('examples/keycloak/realm.json');
const realm = JSON.parse(realmText) as Tree;
const config = parseConfig(await file('examples/keycloak/mcp-ext-authz.yaml'));
const reference = parseConfig(await file('examples/reference/mcp-ext-authz.yaml'));
const permissions = parse(await file('policies/permissions/data.yaml')) as Tree;
const client = (id: string): Tree =>
  realm.clients.find(({ clientId }: Tree) => clientId === id) ?? assert.fail(`no client ${id}`);

test('the clients of the policy, of the configuration and of the realm are the same', () => {
  const clients = Object.keys(permissions.clients).sort();
  assert.deepEqual(config.issuers[0]?.clients?.toSorted(), clients);
  for (const id of clients) assert.deepEqual(client(id).optionalClientScopes, frontDoorScopes);
});

test('the gateway may ask for every delegation scope, and has none by itself', () => {
  const { optionalClientScopes, defaultClientScopes, attributes } = client(config.delegation.exchange?.clientId ?? '');
  assert.deepEqual(optionalClientScopes.toSorted(), referenceBackends([]).flatMap(delegationScopes).sort());
  assert.deepEqual(defaultClientScopes, ['basic']);
  assert.equal(attributes['access.token.lifespan'], String(config.delegation.maxTtlSeconds));
});

test('every scope that a client has is there, and every audience that policy names is a client', () => {
  const scopes = new Set(realm.clientScopes.map(({ name }: Tree) => name));
  for (const { defaultClientScopes = [], optionalClientScopes = [] } of realm.clients) {
    for (const scope of [...defaultClientScopes, ...optionalClientScopes]) assert.ok(scopes.has(scope), scope);
  }
  for (const { delegation } of Object.values<Tree>(permissions.backends)) client(delegation.audience);
});

test('the resources are those of the reference configuration, and the realm names their URLs as audiences', () => {
  assert.deepEqual(config.resources, reference.resources);
  const audiences = new Set(
    [...realmText.matchAll(/"included\.custom\.audience": "\$\{GATEWAY_ORIGIN:(https:[^}]+)\}([^"]+)"/g)].map(
      ([, origin, path]) => `${origin}${path}`,
    ),
  );
  assert.deepEqual([...audiences].sort(), config.resources.flatMap(({ publicUrls }) => publicUrls).sort());
});

test('the realm holds no secret, only the names of what Keycloak reads from its environment', () => {
  const secrets = [...realmText.matchAll(/"(?:secret|value)": "([^"]*)"/g)].map(([, value]) => value);
  assert.ok(secrets.length >= 5);
  for (const secret of secrets) assert.match(secret ?? '', /^\$\{[A-Z_]+\}$/);
});

test('nobody can sign in without PKCE, or get a token for a password', () => {
  for (const { clientId, bearerOnly, standardFlowEnabled, directAccessGrantsEnabled, attributes } of realm.clients as Tree[]) {
    if (bearerOnly) continue;
    assert.equal(directAccessGrantsEnabled, false, clientId);
    assert.ok(!standardFlowEnabled || attributes['pkce.code.challenge.method'] === 'S256', clientId);
  }
});
