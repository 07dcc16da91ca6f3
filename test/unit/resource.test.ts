import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { indexResources, publicName } from '../../src/resource.ts';
import { ledger } from './support/facts.ts';

suite('a public name', () => {
  test('tells where its metadata is (RFC 9728 section 3.1)', () => {
    for (const [url, path, metadata] of [
      ['https://a.example', '', 'https://a.example'],
      ['https://a.example/', '', 'https://a.example'],
      ['https://a.example/mcp', '/mcp', 'https://a.example'],
      ['https://a.example:8443/x/mcp', '/x/mcp', 'https://a.example:8443'],
      ['https://A.example/MCP', '/MCP', 'https://a.example'],
    ] as const) {
      const name = publicName(url);
      assert.equal(name.url, url);
      assert.equal(name.metadataPath, `/.well-known/oauth-protected-resource${path}`);
      assert.equal(name.metadataUrl, metadata + name.metadataPath);
    }
  });

  test('cannot end the header it is put in', () => {
    for (const url of ['https://a.example/"x', 'https://a.example/a\r\nb', 'https://a.example/a b', 'https://a.example/\\"']) {
      assert.match(publicName(url).metadataUrl, /^https:\/\/[\x21\x23-\x5b\x5d-\x7e]+$/, url);
    }
  });
});

suite('resources', () => {
  const other = { ...ledger, name: 'other', path: '/other', publicNames: [publicName('https://gateway.example/other')] };

  test('are found by their exact path and by that of their metadata', () => {
    const { byPath, byMetadataPath } = indexResources([ledger, other]);
    assert.equal(byPath.get('/other'), other);
    assert.equal(byPath.get('/other/'), undefined);
    assert.equal(byMetadataPath.get('/.well-known/oauth-protected-resource/other'), other);
  });

  test('lend the root to the first of them, unless one has it', () => {
    const root = '/.well-known/oauth-protected-resource';
    assert.equal(indexResources([ledger, other]).byMetadataPath.get(root), ledger);
    const atRoot = { ...other, publicNames: [publicName('https://gateway.example')] };
    assert.equal(indexResources([ledger, atRoot]).byMetadataPath.get(root), atRoot);
    assert.equal(indexResources([]).byMetadataPath.get(root), undefined);
  });
});
