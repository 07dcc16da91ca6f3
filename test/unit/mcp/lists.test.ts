/** Lists cut down: what stays, what is refused, and that nothing else changes. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { findListIn, LISTS, type ListRow } from '../../../src/mcp/lists.ts';
import { METHODS } from '../../../src/mcp/methods.ts';
import { deny, ok } from '../../../src/result.ts';
import { type AnswerFilter, filterList } from './filter-list.ts';

const TOOLS = LISTS.get('tools/list') as ListRow;

function rules(changes: Partial<AnswerFilter> = {}): AnswerFilter {
  const keep: AnswerFilter['keep'] = async (items) => ok(items.map(({ name }) => name.startsWith('get')));
  return { row: TOOLS, requestId: '1', era: 'legacy', keep, ...changes };
}

async function filter(text: string, changes: Partial<AnswerFilter> = {}): Promise<string> {
  const filtered = await filterList(text, rules(changes));
  if (!filtered.ok) assert.fail(JSON.stringify(filtered.denial));
  return filtered.value.text;
}

async function refuse(text: string, cause: string, changes: Partial<AnswerFilter> = {}): Promise<void> {
  const filtered = await filterList(text, rules(changes));
  assert.deepEqual(filtered, { ok: false, denial: { reason: 'list_invalid', cause } }, text.slice(0, 80));
}

const answer = (result: string, id = '1') => `{"jsonrpc":"2.0","id":${id},"result":${result}}`;
const tools = (...names: string[]) => `[${names.map((name) => `{"name":"${name}"}`).join(',')}]`;

test('the methods exist, and so do those that use the items', () => {
  for (const [method, row] of LISTS) {
    assert.equal(row.method, method);
    assert.ok(METHODS.has(method) && METHODS.has(row.asks), method);
  }
  assert.deepEqual(
    [...LISTS.keys()].sort(),
    [...METHODS.keys()].filter((method) => method.endsWith('/list') && method !== 'tasks/list').sort(),
  );
});

suite('what stays', () => {
  test('items, order and everything beside them, byte for byte', async () => {
    const kept = '{ "name" : "get\\u0041" , "inputSchema":{"properties":{"n":{"maximum":9223372036854775807,"default":1.10}}} }';
    const text = `\n{"result": {"nextCursor":"a\\/b","tools" :[ {"name":"put"} ,\n ${kept} , {"name":"set"},\t{"name":"getB"} ] ,"_meta":{"x":[1.0]}, "odd":null},"id":1,"jsonrpc":"2.0"} `;
    const expected = `\n{"result": {"nextCursor":"a\\/b","tools" :[ ${kept},\t{"name":"getB"} ] ,"_meta":{"x":[1.0]}, "odd":null},"id":1,"jsonrpc":"2.0"} `;
    assert.equal(await filter(text), expected);
  });
  test('a list that is shown whole is not touched', async () => {
    const text = answer(` { "tools" : ${tools('getA', 'getB')} }`);
    assert.equal(await filter(text), text);
  });
  test('nothing: an empty list', async () =>
    assert.equal(await filter(answer('{"tools":[ {"name":"x"} ]}')), answer('{"tools":[]}')));
  test('an empty list stays one', async () => assert.equal(await filter(answer('{"tools":[ ]}')), answer('{"tools":[ ]}')));
  test('how many are shown and hidden is told', async () => {
    const filtered = await filterList(answer(`{"tools":${tools('getA', 'x', 'y')}}`), rules());
    assert.ok(filtered.ok);
    assert.deepEqual([filtered.value.shown, filtered.value.hidden], [1, 2]);
  });
  for (const [method, row] of LISTS) {
    test(`${method} by ${row.naming}`, async () => {
      const item = (name: string) => `{"title":"t","${row.naming}":"${name}"}`;
      const text = answer(`{"${row.member}":[${item('putA')},${item('getA')}]}`);
      assert.equal(await filter(text, { row }), answer(`{"${row.member}":[${item('getA')}]}`));
    });
  }
  test('all names are judged at once', async () => {
    const asked: (readonly string[])[] = [];
    await filter(answer(`{"tools":${tools('a', 'b')}}`), {
      keep: async (items, row) => {
        asked.push([row.asks, ...items.map(({ name }) => name)]);
        return ok(items.map(() => true));
      },
    });
    assert.deepEqual(asked, [['tools/call', 'a', 'b']]);
  });
});

suite('cacheScope', () => {
  const list = `"tools":${tools('getA')}`;
  const cases: [what: string, era: 'legacy' | 'modern', before: string, after: string][] = [
    ['becomes private', 'modern', `{${list},"cacheScope": "public" }`, `{${list},"cacheScope": "private" }`],
    ['becomes private in the legacy era too', 'legacy', `{"cacheScope":"public",${list}}`, `{"cacheScope":"private",${list}}`],
    ['stays private', 'modern', `{"cacheScope":"private",${list}}`, `{"cacheScope":"private",${list}}`],
    ['is put right where it is no scope', 'modern', `{"cacheScope":{"a":[1]},${list}}`, `{"cacheScope":"private",${list}}`],
    ['is added in the modern era', 'modern', `{ ${list}}`, `{"cacheScope":"private", ${list}}`],
    ['is not added in the legacy era', 'legacy', `{${list}}`, `{${list}}`],
  ];
  for (const [what, era, before, after] of cases)
    test(what, async () => assert.equal(await filter(answer(before), { era }), answer(after)));
});

suite('whose answer it is', () => {
  const list = '{"tools":[]}';
  test('an error passes as it is', async () => {
    const text = ' {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"x"}}';
    assert.equal(await filter(text), text);
  });
  test('a string id may be written otherwise', async () =>
    assert.equal(await filter(answer(list, '"\\u0061"'), { requestId: '"a"' }), answer(list, '"\\u0061"')));
  test('an integer that no double holds', async () =>
    assert.equal(
      await filter(answer(list, '9007199254740993'), { requestId: '9007199254740993' }),
      answer(list, '9007199254740993'),
    ));
  for (const id of ['2', '"1"', '1.0', 'null', '[1]'])
    test(`not ${id}`, async () => await refuse(answer(list, id), 'not the answer'));
  test('not an integer that a double takes for the same', async () =>
    await refuse(answer(list, '9007199254740993'), 'not the answer', { requestId: '9007199254740992' }));
  const others = {
    'no id': '{"jsonrpc":"2.0","result":{"tools":[]}}',
    'a batch': `[${answer(list)}]`,
    'result and error': '{"jsonrpc":"2.0","id":1,"result":{"tools":[]},"error":{}}',
    neither: '{"jsonrpc":"2.0","id":1}',
    'a request': '{"jsonrpc":"2.0","id":1,"method":"ping","result":{"tools":[]}}',
    'no JSON-RPC': '{"id":1,"result":{"tools":[]}}',
    'a result that is no object': answer('[]'),
    'an error that is none': '{"jsonrpc":"2.0","id":1,"error":"no"}',
  };
  for (const [what, text] of Object.entries(others)) test(what, async () => await refuse(text, 'not the answer'));
});

suite('what is refused', () => {
  test('no list', async () => await refuse(answer('{}'), 'no tools'));
  test('another list', async () => await refuse(answer('{"prompts":[]}'), 'no tools'));
  test('another list beside it', async () => {
    for (const other of ['[{"name":"secret"}]', '7']) {
      await refuse(answer(`{"tools":[],"prompts":${other}}`), 'prompts beside tools');
      await refuse(answer(`{"resources":${other},"tools":[]}`), 'resources beside tools');
    }
  });
  test('a list that is an object', async () => await refuse(answer('{"tools":{"0":{"name":"a"}}}'), 'no tools'));
  test('a list of the prototype', async () => await refuse(answer('{"__proto__":{"tools":[]}}'), 'no tools'));
  for (const item of ['{}', '"a"', 'null', '[]', '{"name":1}', '{"name":""}', '{"Name":"a"}', '{"__proto__":{"name":"a"}}'])
    test(`the item ${item}`, async () => await refuse(answer(`{"tools":[${item}]}`), 'an item without name'));
  test('a name twice', async () => await refuse(answer(`{"tools":${tools('a', 'b', '\\u0061')}}`), 'a name twice'));
  test('a name too long', async () => {
    await refuse(answer(`{"tools":${tools('a'.repeat(2049))}}`), 'a name beyond 2048 characters');
    await filter(answer(`{"tools":${tools('a'.repeat(2048))}}`));
  });
  test('too many items', async () => {
    await refuse(answer(`{"tools":${tools('a', 'b', 'c')}}`), 'too many items', { maxItems: 2 });
    await filter(answer(`{"tools":${tools('a', 'b')}}`), { maxItems: 2 });
  });
  test('more than ten thousand items', async () => {
    const names = Array.from({ length: 10_001 }, (_, at) => `t${at}`);
    await refuse(answer(`{"tools":${tools(...names)}}`), 'too many items');
    await filter(answer(`{"tools":${tools(...names.slice(1))}}`));
  });
  const unreadable = {
    json_invalid: '{"jsonrpc":"2.0","id":1,"result":{"tools":[}',
    json_duplicate_key: answer('{"tools":[],"tools":[{"name":"secret"}]}'),
    json_too_deep: answer(`{"tools":[],"x":${'['.repeat(200)}${']'.repeat(200)}}`),
  };
  for (const [fault, text] of Object.entries(unreadable)) test(fault, async () => await refuse(text, fault));
  test('a look-alike of the list', async () =>
    await refuse(answer('{"tools":[],"Tools":[{"name":"secret"}]}'), 'json_duplicate_key'));
  test('what policy refuses, with its reason', async () => {
    const filtered = await filterList(answer('{"tools":[]}'), rules({ keep: async () => deny({ reason: 'policy_failed' }) }));
    assert.deepEqual(filtered, { ok: false, denial: { reason: 'policy_failed' } });
  });
  test('a judge that answers for too few is a bug', async () => {
    await assert.rejects(filterList(answer(`{"tools":${tools('a')}}`), rules({ keep: async () => ok([]) })));
  });
});

test('findListIn: by its member', () => {
  assert.equal(findListIn({ resourceTemplates: [] })?.method, 'resources/templates/list');
  assert.equal(findListIn({ content: [] }), undefined);
});
