/** Claims to principal: the words of RFC 9068 and RFC 8693, and what is none of them. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readScopes, toPrincipal } from '../../../src/token/principal.ts';
import { claims, denial, ISSUER, type Json, NOW, RESOURCE, value } from './tokens.ts';

const principal = (changes: Json = {}) => toPrincipal(claims(changes));

test('everything that policy may ask of a caller', () => {
  const given = claims({
    act: { sub: 'agent', iss: 'https://other.example', extra: 1, act: { sub: 'planner' } },
    azp: 'x',
    roles: ['a'],
  });
  assert.deepEqual(value(toPrincipal(given)), {
    issuer: ISSUER,
    subject: 'alice',
    clientId: 'claude-code',
    scopes: ['ledger:read'],
    audience: [RESOURCE],
    actor: [{ sub: 'agent', iss: 'https://other.example' }, { sub: 'planner' }],
    claims: { iat: NOW - 10, azp: 'x', roles: ['a'] },
    expiresAt: NOW + 290,
    tokenId: 'token-1',
    binding: null,
  });
});

suite('the client', () => {
  test('is client_id, else azp', () => {
    assert.equal(value(principal({ azp: 'other' })).clientId, 'claude-code');
    assert.equal(value(principal({ client_id: undefined, azp: 'portal' })).clientId, 'portal');
  });
  test('must be there', () => {
    for (const client of [{ client_id: undefined }, { client_id: '' }, { client_id: 7 }, { client_id: '', azp: 'portal' }])
      assert.equal(denial(principal(client), 'token_claims_invalid').cause, 'claim client_id');
  });
});

suite('scopes', () => {
  const good: [unknown, string[]][] = [
    [undefined, []],
    ['', []],
    ['a', ['a']],
    ['a b:c/d', ['a', 'b:c/d']],
    ['!#[]~', ['!#[]~']],
  ];
  for (const [scope, expected] of good) test(`of ${JSON.stringify(scope)}`, () => assert.deepEqual(readScopes(scope), expected));

  for (const scope of [
    ' ',
    'a  b',
    ' a',
    'a ',
    'a\tb',
    'a\nb',
    'a\u00a0b',
    'a"b',
    'a\\b',
    'é',
    'a,b\u0000',
    null,
    7,
    true,
    ['a'],
    { a: 1 },
  ])
    test(`${JSON.stringify(scope)} is no scope`, () => {
      assert.equal(readScopes(scope), null);
      denial(principal({ scope }), 'token_claims_invalid');
    });
});

suite('audiences', () => {
  test('one or many', () => {
    assert.deepEqual(value(principal({ aud: 'a' })).audience, ['a']);
    assert.deepEqual(value(principal({ aud: ['a', 'b'] })).audience, ['a', 'b']);
  });
  for (const aud of [undefined, null, '', [], [''], ['a', 1], [['a']], {}, 7])
    test(`${JSON.stringify(aud)} is none`, () =>
      assert.equal(denial(principal({ aud }), 'token_claims_invalid').cause, 'claim aud'));
});

suite('the chain of actors', () => {
  const chain = (length: number): Json | undefined => {
    let act: Json | undefined;
    for (let index = length; index > 0; index--) act = { sub: `actor-${index}`, ...(act ? { act } : {}) };
    return act;
  };
  test('is read from the most recent', () => {
    assert.deepEqual(
      value(principal({ act: chain(3) })).actor.map(({ sub }) => sub),
      ['actor-1', 'actor-2', 'actor-3'],
    );
    assert.deepEqual(value(principal()).actor, []);
  });
  test('has eight at most', () => {
    assert.equal(value(principal({ act: chain(8) })).actor.length, 8);
    denial(principal({ act: chain(9) }), 'token_claims_invalid');
  });
  for (const act of [
    null,
    '',
    'agent',
    [],
    [{ sub: 'a' }],
    {},
    { sub: '' },
    { sub: 7 },
    { sub: 'a', iss: 7 },
    { sub: 'a', iss: '' },
  ])
    test(`${JSON.stringify(act)} is none, at the front and behind`, () => {
      denial(principal({ act }), 'token_claims_invalid');
      assert.equal(denial(principal({ act: { sub: 'a', act } }), 'token_claims_invalid').cause, 'claim act');
    });
});

suite('names and times', () => {
  for (const name of ['iss', 'sub', 'jti']) {
    test(`${name} is a string that is not empty and not endless`, () => {
      for (const odd of ['', 7, null, {}, ['x'], true, 'x'.repeat(2049)])
        assert.equal(denial(principal({ [name]: odd }), 'token_claims_invalid').cause, `claim ${name}`);
      value(principal({ [name]: 'x'.repeat(2048) }));
    });
  }
  test('a token id may be absent, issuer and subject may not', () => {
    assert.equal(value(principal({ jti: undefined })).tokenId, null);
    for (const name of ['iss', 'sub']) denial(principal({ [name]: undefined }), 'token_claims_invalid');
  });
  for (const exp of [undefined, null, '1', 1.5, 1e300, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])
    test(`${exp} is no time`, () => assert.equal(denial(principal({ exp }), 'token_claims_invalid').cause, 'claim exp'));
});
