/** The Authorization header: one bearer token, or which 401. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Reason } from '../../../src/reasons.ts';
import { readBearer } from '../../../src/token/bearer.ts';
import { facts } from '../mcp/facts.ts';
import { denial, token, value } from './tokens.ts';

const read = (authorization?: string | string[]) => readBearer(facts({}, { authorization }));

suite('a token', () => {
  const good = token();
  for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR'])
    test(`after ${scheme}`, () => assert.equal(value(read(`${scheme} ${good}`)), good));

  test('of every character of RFC 6750', () => {
    for (const one of ['a', 'AZaz09-._~+/', 'abc=', 'abc==', 'a.b.c']) assert.equal(value(read(`Bearer ${one}`)), one);
  });

  test('of 8192 characters and no more', () => {
    assert.equal(value(read(`Bearer ${'x'.repeat(8192)}`)).length, 8192);
    denial(read(`Bearer ${'x'.repeat(8193)}`), 'token_malformed');
  });
});

suite('no token', () => {
  const cases: Record<string, [header: string | string[] | undefined, reason: Reason]> = {
    'no header': [undefined, 'token_missing'],
    'an empty header': ['', 'token_missing'],
    'a blank header': ['   ', 'token_missing'],
    'two headers': [['Bearer a', 'Bearer a'], 'token_malformed'],
    'a header and an empty one': [['Bearer a', ''], 'token_malformed'],
    'no values': [[], 'token_malformed'],
    'two joined by Envoy': ['Bearer a,Bearer b', 'token_malformed'],
    'two joined with a blank': ['Bearer a, Basic Yjpj', 'token_malformed'],
    'a comma at the end': ['Bearer a,', 'token_malformed'],
    'the scheme alone': ['Bearer', 'token_malformed'],
    'the scheme and a blank': ['Bearer ', 'token_malformed'],
    'the token alone': [token(), 'token_malformed'],
    'two blanks': ['Bearer  a', 'token_malformed'],
    'a tab': ['Bearer\ta', 'token_malformed'],
    'a blank before': [' Bearer a', 'token_malformed'],
    'a blank after': ['Bearer a ', 'token_malformed'],
    'a line end after': ['Bearer a\n', 'token_malformed'],
    'a line end within': ['Bearer a\r\nX: y', 'token_malformed'],
    'more than a token': ['Bearer a b', 'token_malformed'],
    quotes: ['Bearer "a"', 'token_malformed'],
    'an equals sign in front': ['Bearer =a', 'token_malformed'],
    'an equals sign within': ['Bearer a=b', 'token_malformed'],
    'a NUL': ['Bearer a\0', 'token_malformed'],
    'a letter beyond ASCII': ['Bearer é', 'token_malformed'],
    'a no-break space': ['Bearer\u00a0a', 'token_malformed'],
    'a full-width scheme': ['Ｂearer a', 'token_malformed'],
    'a parameter': ['Bearer token=a', 'token_malformed'],
    DPoP: ['DPoP a', 'token_scheme_unsupported'],
    Basic: ['Basic YTpi', 'token_scheme_unsupported'],
    'a scheme with more letters': ['Bearerx a', 'token_scheme_unsupported'],
    'another scheme with what is no token': ['Negotiate ~!', 'token_scheme_unsupported'],
  };
  for (const [what, [header, reason]] of Object.entries(cases))
    test(`${what}: ${reason}`, () => void denial(read(header), reason));

  test('not from the query, a cookie or another header', () => {
    const http = facts(
      { query: 'access_token=a' },
      { cookie: 'access_token=a', 'x-access-token': 'a', 'proxy-authorization': 'Bearer a' },
    );
    denial(readBearer(http), 'token_missing');
  });
});
