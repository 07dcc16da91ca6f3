/** JSON-RPC 2.0 as MCP uses it: three kinds of message, and nothing in between. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readJson } from '../../../src/mcp/json.ts';
import { type Message, parseMessage } from '../../../src/mcp/message.ts';
import type { Result } from '../../../src/result.ts';
import { bytes, LIMITS } from './facts.ts';

function parse(text: string): Result<Message> {
  const document = readJson(bytes(text), LIMITS, 'id');
  assert.ok(document.ok, text);
  return parseMessage(document.value);
}

suite('the three kinds', () => {
  test('a request', () =>
    assert.deepEqual(parse('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}'), {
      ok: true,
      value: { kind: 'request', id: '1', method: 'tools/call', params: { name: 'x' } },
    }));
  test('a notification', () =>
    assert.deepEqual(parse('{"method":"notifications/initialized","jsonrpc":"2.0"}'), {
      ok: true,
      value: { kind: 'notification', method: 'notifications/initialized', params: {} },
    }));
  test('a response with a result', () =>
    assert.deepEqual(parse('{"jsonrpc":"2.0","id":"r-1","result":{}}'), { ok: true, value: { kind: 'response', id: '"r-1"' } }));
  test('a response with an error', () =>
    assert.deepEqual(parse('{"jsonrpc":"2.0","id":3,"error":{"code":-1,"message":"no"}}'), {
      ok: true,
      value: { kind: 'response', id: '3' },
    }));
});

suite('an id is echoed as it was written', () => {
  const ids = [
    '0',
    '-0',
    '-12',
    '9007199254740993',
    '1'.repeat(64),
    '""',
    '"x"',
    '"\\u0041\\ud83d\\ude00"',
    '"a\\"b"',
    '"</script>"',
  ];
  for (const id of ids) {
    test(id, () => {
      const message = parse(`{"jsonrpc":"2.0", "id" :\t${id} ,"method":"ping"}`);
      assert.ok(message.ok);
      assert.equal(message.value.kind === 'request' && message.value.id, id);
    });
  }

  for (const id of ['null', 'true', '1.5', '1.0', '1e3', '{}', '[]', '[1]', '1'.repeat(65)])
    test(`${id.slice(0, 20)} is none`, () => {
      for (const rest of ['"method":"ping"', '"result":{}'])
        assert.deepEqual(parse(`{"jsonrpc":"2.0","id":${id},${rest}}`), { ok: false, denial: { reason: 'message_invalid' } });
    });
});

test('a batch is refused, also an empty one and one of one', () => {
  for (const text of ['[]', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', '[1,2]'])
    assert.deepEqual(parse(text), { ok: false, denial: { reason: 'batch_unsupported' } });
});

suite('what is no message', () => {
  const id = { id: '1' };
  const method = { method: 'ping' };
  const texts: Record<string, object> = {
    null: {},
    '"x"': {},
    '1': {},
    '{}': {},
    '{"id":1,"method":"ping"}': { ...id, ...method },
    '{"jsonrpc":"1.0","id":1,"method":"ping"}': { ...id, ...method },
    '{"jsonrpc":2.0,"id":1,"method":"ping"}': { ...id, ...method },
    '{"jsonrpc":"2.0","id":1}': id,
    '{"jsonrpc":"2.0","id":1,"method":null}': id,
    '{"jsonrpc":"2.0","id":1,"method":7}': id,
    '{"jsonrpc":"2.0","id":1,"method":["ping"]}': id,
    '{"jsonrpc":"2.0","id":1,"method":"ping","params":null}': { ...id, ...method },
    '{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}': { ...id, ...method },
    '{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}': { ...id, ...method },
    '{"jsonrpc":"2.0","id":1,"method":"ping","extra":1}': { ...id, ...method },
    '{"jsonrpc":"2.0","id":1,"method":"ping","__proto__":{}}': { ...id, ...method },
    '{"jsonrpc":"2.0","id":1,"Method":"ping"}': id,
    '{"jsonrpc":"2.0","id":1,"method\\u0000":"ping"}': id,
    '{"jsonrpc":"2.0","id":1,"method":"ping","paramſ":{}}': { ...id, ...method },
    '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}': { ...id, ...method },
    '{"jsonrpc":"2.0","id":1,"method":"ping","error":{}}': { ...id, ...method },
    '{"jsonrpc":"2.0","id":1,"result":{},"error":{}}': id,
    '{"jsonrpc":"2.0","id":1,"result":{},"params":{}}': id,
    '{"jsonrpc":"2.0","id":1,"result":null}': id,
    '{"jsonrpc":"2.0","id":1,"result":[]}': id,
    '{"jsonrpc":"2.0","id":1,"error":"no"}': id,
    '{"jsonrpc":"2.0","result":{}}': {},
    '{"jsonrpc":"2.0","error":{}}': {},
  };
  for (const [text, read] of Object.entries(texts)) {
    test(text, () => {
      const message = parse(text);
      assert.ok(!message.ok);
      assert.equal(message.denial.reason, 'message_invalid');
      assert.deepEqual(message.denial.read ?? {}, read);
    });
  }
});
