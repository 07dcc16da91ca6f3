/** examples/keycloak against the rest of the repository: what the realm, the configuration and the policies must agree on. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { delegationScopes, frontDoorScopes, referenceBackends } from '../../../examples/reference/backends.ts';
import { parseConfig } from '../../../src/config.ts';

type Tree = Record<string, any>;

const GATEWAY = 'ai-identity-gateway';

const file = (path: string) => readFile(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), 'utf8');
const realmText = await file('examples/keycloak/realm.json');
const realm = JSON.parse(realmText) as Tree;
const config = parseConfig(await file('examples/keycloak/mcp-ext-authz.yaml'));
const reference = parseConfig(await file('examples/reference/mcp-ext-authz.yaml'));
const permissions = parse(await file('policies/permissions/data.yaml')) as Tree;
const client = (id: string): Tree =>
  realm.clients.find(({ clientId }: Tree) => clientId === id) ?? assert.fail(`no client ${id}`);

test('the clients of the policy, of the configuration and of the realm are the same', () => {
  const callers = Object.keys(permissions.clients).filter((id) => id !== GATEWAY);
  assert.deepEqual(config.issuers[0]?.clients?.toSorted(), callers.sort());
  for (const id of callers) assert.deepEqual(client(id).optionalClientScopes, frontDoorScopes);
});

test('the gateway may ask for every delegation scope and for its own, and has none by itself', () => {
  const { optionalClientScopes, defaultClientScopes, attributes } = client(GATEWAY);
  const own = permissions.clients[GATEWAY].machine;
  assert.deepEqual(config.catalog.scopes, own);
  const scopes = [...own, ...referenceBackends([]).flatMap(delegationScopes)];
  assert.deepEqual(optionalClientScopes.toSorted(), scopes.sort());
  assert.deepEqual(defaultClientScopes, ['basic']);
  assert.equal(attributes['access.token.lifespan'], String(config.delegation.maxTtlSeconds));
});

test('where the gateway comes for itself, its subject is its client', () => {
  assert.equal(config.delegation.exchange?.clientId, GATEWAY);
  const { id } = realm.users.find(({ serviceAccountClientId }: Tree) => serviceAccountClientId === GATEWAY);
  assert.equal(id, GATEWAY);
});

test('every scope that a client has is there, and every audience that policy names is a client', () => {
  const scopes = new Set(realm.clientScopes.map(({ name }: Tree) => name));
  for (const { defaultClientScopes = [], optionalClientScopes = [] } of realm.clients) {
    for (const scope of [...defaultClientScopes, ...optionalClientScopes]) assert.ok(scopes.has(scope), scope);
  }
  for (const { delegation } of Object.values<Tree>(permissions.backends)) client(delegation.audience);
});

test('resources, processing and front door are those of the reference configuration', () => {
  assert.deepEqual(config.resources, reference.resources);
  assert.deepEqual(config.processing, reference.processing);
  assert.deepEqual(config.frontDoor, reference.frontDoor);
});

test('each scope brings the URLs of the front door and of its own server as audiences', () => {
  const { resources } = config;
  const frontDoor = config.frontDoor ?? assert.fail('no front door');
  for (const scope of frontDoor.scopesSupported) {
    const { protocolMappers } = realm.clientScopes.find(({ name }: Tree) => name === scope);
    const audiences = protocolMappers.map((mapper: Tree) =>
      mapper.config['included.custom.audience'].replace(/^\$\{GATEWAY_ORIGIN:([^}]+)\}/, '$1'),
    );
    const own = resources.filter(({ scopesSupported }) => scopesSupported.includes(scope));
    assert.deepEqual(
      audiences,
      [...own, frontDoor].flatMap(({ publicUrls }) => publicUrls),
    );
  }
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
