/** Protected resource metadata (RFC 9728), also as the official client's schema reads it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OAuthProtectedResourceMetadataSchema } from '@modelcontextprotocol/sdk/shared/auth.js';
import { publicName, type Resource } from '../../../src/resource.ts';
import { resourceMetadata } from '../../../src/token/metadata.ts';

const names = [publicName('https://mcp.example/ledger'), publicName('https://inner.example/ledger')];
const resource: Resource = {
  name: 'ledger',
  path: '/ledger',
  publicNames: names,
  audiences: new Set(names.map(({ url }) => url)),
  issuers: new Set(['https://as.example', 'https://idp.example/realms/acme']),
  scopesSupported: [],
  challengeScopes: ['ledger:read'],
  strict: false,
  delegation: 'exchange',
  tools: new Map(),
  documentation: null,
  url: null,
  members: [],
};

test('describes the resource under the name that was asked', () => {
  for (const name of names) {
    assert.deepEqual(resourceMetadata(resource, name), {
      resource: name.url,
      authorization_servers: ['https://as.example', 'https://idp.example/realms/acme'],
      bearer_methods_supported: ['header'],
      resource_name: 'ledger',
    });
  }
});

test('names scopes and documentation where there are any', () => {
  const full = { ...resource, scopesSupported: ['ledger:read'], documentation: 'https://docs.example/ledger' };
  const { scopes_supported, resource_documentation } = resourceMetadata(full, names[0] as never);
  assert.deepEqual([scopes_supported, resource_documentation], [['ledger:read'], 'https://docs.example/ledger']);
});

test('is what the official client takes for metadata', () => {
  const written = JSON.parse(JSON.stringify(resourceMetadata({ ...resource, scopesSupported: ['a'] }, names[0] as never)));
  assert.deepEqual(OAuthProtectedResourceMetadataSchema.parse(written), written);
});
