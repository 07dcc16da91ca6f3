import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redactTokens } from '../../../src/check/redacted-tokens.ts';
import { SUBJECT_TOKEN } from '../support/facts.ts';

const [, CLAIMS, SIGNATURE] = SUBJECT_TOKEN.split('.');

test('a token is cut out, wherever it stands', () => {
  for (const [text, shown] of [
    [SUBJECT_TOKEN, '[redacted]'],
    [`a ${SUBJECT_TOKEN} b ${SUBJECT_TOKEN}`, 'a [redacted] b [redacted]'],
    [`key${SUBJECT_TOKEN}`, 'key[redacted]'],
    [`v1.${SUBJECT_TOKEN}`, 'v1.[redacted]'],
    [`a_long_name_of.${SUBJECT_TOKEN}`, 'a_long_name_of.[redacted]'],
    [JSON.stringify(`see\n${SUBJECT_TOKEN}`), '"see\\n[redacted]"'],
    [JSON.stringify(`see\u001f${SUBJECT_TOKEN}`), '"see\\u001f[redacted]"'],
    [SUBJECT_TOKEN.slice(0, 25), '[redacted]'],
    [JSON.stringify(`\t${SUBJECT_TOKEN.slice(0, 11)}`), '"\\t[redacted]"'],
  ] as const)
    assert.equal(redactTokens(text), shown);
});

test('a token whose header has white space in it is one too', () => {
  for (const header of ['{ "alg":"ES256"}', '{\n"alg":"ES256"}', '{\r\n"alg":"ES256"}', '{\t"alg":"ES256"}'])
    assert.equal(redactTokens([Buffer.from(header).toString('base64url'), CLAIMS, SIGNATURE].join('.')), '[redacted]', header);
});

test('names that only look like one stay', () => {
  for (const name of [
    'getKeyJournalEntries',
    'monkeyJar_of_everything',
    'viewAccounts.v2',
    'keyboardLayout.described',
    'eyJ',
    '',
  ])
    assert.equal(redactTokens(name), name);
});

test('looks at nothing twice, whatever is written', { timeout: 10_000 }, () => {
  for (const piece of ['eyJ', 'eyJ.', 'aeyJaaaaaaaa.', 'ew0', '-', '.', 'eyJaaaaaaaa.aaaaaaaa.a ']) {
    const text = `a${piece.repeat(1_000_000 / piece.length)}`;
    redactTokens(text);
  }
});
