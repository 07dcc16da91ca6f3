/** WWW-Authenticate as MCP clients read it: by regular expression, the first match of each name, nothing unescaped. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { extractWWWAuthenticateParams } from '@modelcontextprotocol/sdk/client/auth.js';
import { REASONS } from '../../../src/reasons.ts';
import { publicName } from '../../../src/resource.ts';
import { type Challenge, challengeHeader } from '../../../src/token/challenge.ts';

const name = publicName('https://mcp.example/ledger');
const header = (challenge: Partial<Challenge> = {}) =>
  challengeHeader({ error: 'invalid_token', scopes: [], description: 'The token has expired.', ...challenge }, name);
const METADATA = 'https://mcp.example/.well-known/oauth-protected-resource/ledger';

suite('a challenge', () => {
  test('without a token names no error', () =>
    assert.equal(header({ error: null, scopes: ['a', 'b'] }), `Bearer scope="a b", resource_metadata="${METADATA}"`));

  test('has its members in the order that clients need', () =>
    assert.equal(
      header({ error: 'insufficient_scope', scopes: ['ledger:read', 'ledger:write'], description: 'More is needed.' }),
      `Bearer error="insufficient_scope", scope="ledger:read ledger:write", resource_metadata="${METADATA}", error_description="More is needed."`,
    ));

  test('without scopes names none', () => assert.doesNotMatch(header(), /scope/));

  test('points to the metadata of the name it is for', () => {
    const root = challengeHeader({ error: null, scopes: [], description: '' }, publicName('https://MCP.example:8443/'));
    assert.equal(root, 'Bearer resource_metadata="https://mcp.example:8443/.well-known/oauth-protected-resource"');
  });

  test('is one header line of ASCII, whatever the description', () => {
    const description = 'a "b" \\ c\r\nSet-Cookie: x\0\u2028é😀 scope="all", error=none, resource_metadata=https://evil.example';
    const line = header({ description });
    assert.match(line, /^[\x20-\x7e]*$/);
    assert.equal(line.split('"').length, 7, 'quotes stand around three values and nowhere else');
    assert.doesNotMatch(line.slice(line.indexOf('error_description="') + 19), /[=\\]/);
  });
});

suite('the official client reads', () => {
  const read = (line: string) =>
    extractWWWAuthenticateParams(new Response(null, { status: 401, headers: { 'www-authenticate': line } }));

  test('the metadata, the scopes and the error', () => {
    const seen = read(header({ error: 'insufficient_scope', scopes: ['a:b', 'c'] }));
    assert.deepEqual([seen.resourceMetadataUrl?.href, seen.scope, seen.error], [METADATA, 'a:b c', 'insufficient_scope']);
  });

  test('no scope and no error out of a description', () => {
    const seen = read(header({ description: 'Say scope="all" and error="x" with resource_metadata="https://evil.example/"' }));
    assert.deepEqual([seen.resourceMetadataUrl?.href, seen.scope, seen.error], [METADATA, undefined, 'invalid_token']);
  });

  test('the sentence of every reason as it is', () => {
    for (const { message, oauth } of Object.values(REASONS)) {
      if (oauth === null) continue;
      assert.ok(header({ error: oauth, description: message }).endsWith(`error_description="${message}"`), message);
    }
  });
});
