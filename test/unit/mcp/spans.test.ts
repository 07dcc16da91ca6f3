/** Values in JSON text: found where they stand, changed with every other byte left alone. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Span } from '../../../src/mcp/scan.ts';
import {
  elementSpans,
  findPlace,
  findSpan,
  insideQuotes,
  memberSpans,
  type Path,
  splice,
  toBytes,
} from '../../../src/mcp/spans.ts';

const TEXT =
  ' { "jsonrpc" : "2.0", "id":12345678901234567890 ,"params":{"name":"re\\"ad","arguments":{"name":"x","a":[1.10,{"b":"]}"}, [ ] ]},"値":"😀","n\\u0061me2":"é"}, "last":null}\n';

suite('findSpan', () => {
  const found: [Path, string][] = [
    [[], TEXT.trim()],
    [['id'], '12345678901234567890'],
    [['params', 'name'], '"re\\"ad"'],
    [['params', 'arguments', 'name'], '"x"'],
    [['params', 'arguments', 'a', 0], '1.10'],
    [['params', 'arguments', 'a', 1, 'b'], '"]}"'],
    [['params', 'arguments', 'a', 2], '[ ]'],
    [['params', '値'], '"😀"'],
    [['params', 'name2'], '"é"'],
    [['last'], 'null'],
  ];
  for (const [path, token] of found) {
    test(`finds ${JSON.stringify(path)}`, () => {
      const span = findSpan(TEXT, path);
      assert.ok(span);
      assert.equal(TEXT.slice(...span), token);
    });
  }

  const missing: Path[] = [
    ['no'],
    ['name'],
    ['params', 'nam'],
    ['params', 'name', 'x'],
    ['params', 0],
    ['params', 'arguments', 'a', 3],
    ['params', 'arguments', 'a', 'b'],
    ['last', 'x'],
  ];
  for (const path of missing) test(`does not find ${JSON.stringify(path)}`, () => assert.equal(findSpan(TEXT, path), null));

  test('looks within a value', () => {
    const params = findSpan(TEXT, ['params']) as Span;
    assert.deepEqual(findSpan(TEXT, ['name'], params), findSpan(TEXT, ['params', 'name']));
  });

  test('a key with quotes and backslashes', () => {
    const text = '{"a\\"b":1,"a\\\\":2,"a":3}';
    assert.equal(text.slice(...(findSpan(text, ['a"b']) as Span)), '1');
    assert.equal(text.slice(...(findSpan(text, ['a\\']) as Span)), '2');
    assert.equal(text.slice(...(findSpan(text, ['a']) as Span)), '3');
  });

  test('ends on text that is no JSON', () => {
    for (const text of ['', '{', '{"a"', '{"a":', '[', '[1', '"', '{"a":[{', '}', '[,', '{"a" 1}'])
      for (const path of [[], ['a'], [0], ['a', 0]] as Path[]) findSpan(text, path);
  });
});

test('elementSpans: each element; none of what is no array', () => {
  const text = '[ 1 , "a,b" ,[2,3], {"x":[4]} ]';
  assert.deepEqual(
    elementSpans(text, [0, text.length]).map((span) => text.slice(...span)),
    ['1', '"a,b"', '[2,3]', '{"x":[4]}'],
  );
  assert.deepEqual(elementSpans('[ ]', [0, 3]), []);
  assert.deepEqual(elementSpans('{"a":1}', [0, 7]), []);
});

test('toBytes: places in the UTF-8', () => {
  const body = Buffer.from(TEXT);
  for (const path of [['params', 'name'], ['params', '値'], ['params', 'name2'], ['last']] as Path[]) {
    const span = findSpan(TEXT, path) as Span;
    assert.equal(body.subarray(...toBytes(TEXT, span)).toString(), TEXT.slice(...span));
  }
});

suite('findPlace', () => {
  test('inside the quotes of a string, whole on request, and the whole of what is no string', () => {
    const body = Buffer.from(TEXT);
    const cases = [
      [findPlace(TEXT, ['params', '値']), '😀'],
      [findPlace(TEXT, ['params', 'name2'], 'whole'), '"é"'],
      [findPlace(TEXT, ['id']), '12345678901234567890'],
    ] as const;
    for (const [place, from] of cases) {
      assert.equal(place?.from, from);
      assert.equal(body.subarray(place.start, place.end).toString(), from);
    }
  });
  test('null where nothing stands', () => assert.equal(findPlace(TEXT, ['params', 'taskId']), null));
  test('an empty string is an empty place', () => assert.deepEqual(insideQuotes('""', [0, 2]), [1, 1]));
});

suite('splice', () => {
  test('changes what it is told, in any order, and nothing else', () => {
    const made = splice('{"a":1.10,"b":2}', [
      { span: [14, 15], put: '"x"' },
      { span: [1, 1], put: '"c":0,' },
      { span: [5, 9], put: '' },
    ]);
    assert.equal(made, '{"c":0,"a":,"b":"x"}');
  });
  test('edits that overlap are a bug', () => {
    assert.throws(() =>
      splice('abc', [
        { span: [0, 2], put: '' },
        { span: [1, 3], put: '' },
      ]),
    );
  });
});

suite('members and elements', () => {
  test('say where values stand, whatever is in them', () => {
    const text = ' { "a" : "}\\\\\\"]" ,"b":[1, {"c":"]"},[ ],"\\\\" , -1.5e+3],"\\u0063":{} , "d":true}';
    const members = memberSpans(text, 1);
    const values = [...(members ?? [])].map(([key, span]) => [key, text.slice(...span)]);
    assert.deepEqual(values, [
      ['a', '"}\\\\\\"]"'],
      ['b', '[1, {"c":"]"},[ ],"\\\\" , -1.5e+3]'],
      ['c', '{}'],
      ['d', 'true'],
    ]);
    const elements = elementSpans(text, members?.get('b') ?? [0, 0]).map((span) => text.slice(...span));
    assert.deepEqual(elements, ['1', '{"c":"]"}', '[ ]', '"\\\\"', '-1.5e+3']);
    assert.deepEqual(elementSpans('[ ]', [0, 3]), []);
    assert.deepEqual(memberSpans('{ }', 0), new Map());
  });

  test('know a key that comes twice, however it is written', () => {
    assert.equal(memberSpans('{"name":1,"n\\u0061me":2}', 0), null);
  });
});
