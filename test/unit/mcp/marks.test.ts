/** Ids that say which backend they are of, and their way back. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readJsonText } from '../../../src/mcp/json.ts';
import { markIds, readMark, readMarkedId, writeMark } from '../../../src/mcp/marks.ts';
import { splice } from '../../../src/mcp/spans.ts';

const MARK = 'enterprise-ledger';

function mark(text: string): string {
  const document = readJsonText(text, { maxDepth: 64 }, 'id');
  assert.ok(document.ok);
  return splice(text, markIds(document.value, MARK));
}

suite('a backend’s messages', () => {
  const marked: [what: string, before: string, after: string][] = [
    ['a request', '{"id": 0 ,"method":"ping"}', '{"id": "enterprise-ledger~0" ,"method":"ping"}'],
    [
      'a request with a string for an id',
      '{"jsonrpc":"2.0","method":"roots/list","id":"a\\u00e9"}',
      '{"jsonrpc":"2.0","method":"roots/list","id":"enterprise-ledger~\\"a\\\\u00e9\\""}',
    ],
    [
      'a request with a large id',
      '{"method":"ping","id":9007199254740993}',
      '{"method":"ping","id":"enterprise-ledger~9007199254740993"}',
    ],
    [
      'a request taken back',
      '{"method":"notifications/cancelled","params":{"requestId":3,"reason":"3"}}',
      '{"method":"notifications/cancelled","params":{"requestId":"enterprise-ledger~3","reason":"3"}}',
    ],
  ];
  for (const [what, before, after] of marked) test(what, () => assert.equal(mark(before), after));

  const untouched = {
    'a response': '{"id":0,"result":{}}',
    'an error': '{"id":0,"error":{}}',
    'a notification': '{"method":"notifications/progress","params":{"progressToken":0,"requestId":1}}',
    'a notification that names no request': '{"method":"notifications/cancelled","params":{"reason":"x"}}',
    'one without params': '{"method":"notifications/cancelled"}',
    'a method that is no text': '{"id":0,"method":{}}',
    'an id that is null': '{"id":null,"method":"ping"}',
    'no object': '[{"id":0,"method":"ping"}]',
  };
  for (const [what, text] of Object.entries(untouched)) test(`${what} stays`, () => assert.equal(mark(text), text));
});

suite('the way back', () => {
  for (const token of ['0', '-1', '9007199254740993', '"a"', '"~"', '"a\\u00e9\\"b"', '""']) {
    test(token, () => {
      const sent = JSON.parse(mark(`{"id":${token},"method":"ping"}`)).id;
      assert.deepEqual(readMarkedId(sent), { mark: MARK, rest: token });
    });
  }
  test('an event’s id may be any text', () => {
    assert.deepEqual(readMark(writeMark(MARK, 'a~b "c')), { mark: MARK, rest: 'a~b "c' });
    assert.deepEqual(readMark('x~'), { mark: 'x', rest: '' });
  });
  for (const text of ['', '0', 'ledger', '~0'])
    test(`no mark in ${JSON.stringify(text)}`, () => assert.equal(readMark(text), null));

  // They would be put into a message as they are.
  const forged = [
    '0,"method":"x"',
    '',
    '1.0',
    '1e3',
    '01',
    'null',
    '{}',
    '"a" ',
    ' "a"',
    '"a","b":"c"',
    '"a"b"',
    '"\\ud800"',
    '0\n',
    '9'.repeat(65),
  ];
  for (const rest of forged) {
    test(`no id: ${JSON.stringify(rest.slice(0, 20))}`, () => assert.equal(readMarkedId(`ledger~${rest}`), null));
  }
});
