/** Strict JSON: what is taken, what is refused and why, and where the members of a root object stand. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type JsonDocument, type JsonLimits, readJson } from '../../../src/mcp/json.ts';
import type { Reason } from '../../../src/reasons.ts';
import { cpuMs } from '../support/cpu.ts';
import { bytes, LIMITS } from './facts.ts';

function read(source: string | Uint8Array, limits: JsonLimits = LIMITS, echoed: string | null = null): JsonDocument {
  const document = readJson(bytes(source), limits, echoed);
  if (!document.ok) assert.fail(`${document.denial.reason}: ${String(source).slice(0, 80)}`);
  return document.value;
}

function refuse(source: string | Uint8Array, reason: Reason, limits: JsonLimits = LIMITS, echoed: string | null = null): void {
  const document = readJson(bytes(source), limits, echoed);
  assert.equal(document.ok ? 'accepted' : document.denial.reason, reason, String(source).slice(0, 80));
}

suite('what is taken', () => {
  const documents = {
    'every kind of value': '{"a":null,"b":true,"c":false,"d":-1.5e3,"e":"x","f":[],"g":{}}',
    'a bare string': '"x"',
    'a bare number': '0',
    'a bare word': 'true',
    'white space of every kind': ' \t\r\n{ \t\r\n"a" \t\r\n: \t\r\n1 \t\r\n, "b" : [ 1 , 2 ] } \t\r\n',
    'every escape': '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00"',
    'characters of two, three and four bytes': '{"ключ":"値 😀"}',
    'brackets, colons, commas and digits in strings': '{"a{[,:9":"}]{[,:\\"1e999"}',
    'the same key in different objects': '{"a":{"a":1},"b":[{"a":1},{"a":2}]}',
    'the same text as key and as value': '{"a":"a","b":"a"}',
    'the same string twice in an array': '["a","a"]',
    'a key that JavaScript treats in its own way': '{"__proto__":{"x":1},"constructor":2,"toString":3}',
    'the byte order mark inside a string': '"\ufeff"',
    'what JavaScript once took for line ends': '"\u2028\u2029"',
  };
  for (const [what, text] of Object.entries(documents)) {
    test(what, () => {
      const document = read(text);
      assert.deepEqual(document.value, JSON.parse(text));
      assert.equal(document.text, text);
    });
  }

  test('a part of a larger buffer is read alone', () => {
    const whole = Buffer.from('xx{"a":1}yy');
    assert.deepEqual(read(whole.subarray(2, 9)).value, { a: 1 });
  });

  test('a key of the prototype stays a plain member', () => {
    const { value } = read('{"__proto__":{"admin":true}}');
    assert.equal((value as { admin?: boolean }).admin, undefined);
    assert.ok(Object.hasOwn(value as object, '__proto__'));
  });
});

suite('what is refused as no JSON', () => {
  const documents: Record<string, string | Uint8Array> = {
    nothing: '',
    'white space alone': ' \n',
    'a byte order mark': '\ufeff{}',
    'UTF-16': Buffer.from('{"a":1}', 'utf16le'),
    'UTF-16 with a byte order mark': Buffer.from('\ufeff{"a":1}', 'utf16le'),
    'Latin-1': Buffer.from('{"a":"é"}', 'latin1'),
    'an overlong form': Buffer.from([0x22, 0xc0, 0xaf, 0x22]),
    'a surrogate in UTF-8': Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]),
    'a character beyond the last': Buffer.from([0x22, 0xf4, 0x90, 0x80, 0x80, 0x22]),
    'a character cut short': Buffer.from([0x22, 0xe2, 0x82, 0x22]),
    'two documents': '{}{}',
    'two documents on two lines': '{}\n{}',
    'a trailing NUL': '{}\0',
    'a trailing comma': '{"a":1,}',
    'a trailing comma in an array': '[1,]',
    'a comment': '{"a":1/**/}',
    'single quotes': "{'a':1}",
    'a key without quotes': '{a:1}',
    'no closing brace': '{"a":1',
    'no closing quote': '{"a":"',
    'a closing quote that is escaped': '{"a":"\\"}',
    'brackets that do not match': '{"a":[1}]',
    'one closing bracket too many': '[1]]',
    'a control character in a string': '"\n"',
    'a control character in a key': '{"a\tb":1}',
    'an escape that is none': '"\\x41"',
    'an escape cut short': '"\\u12"',
    'an escape at the end': '"\\',
    'an escape with a sign': '"\\u-041"',
    'an escape with white space': '"\\u 041"',
    'an escape in a key that is none': '{"\\q":1}',
    NaN: '[NaN]',
    Infinity: '[-Infinity]',
    'a plus sign': '[+1]',
    'a leading zero': '[01]',
    'a bare point': '[1.]',
    'a leading point': '[.5]',
    hexadecimal: '[0x1]',
    'a second sign': '[--1]',
    'an exponent without digits': '[1e]',
    'digits of another script': '[１]',
    'no-break space': '[\u00a01]',
  };
  for (const [what, source] of Object.entries(documents)) test(what, () => refuse(source, 'json_invalid'));

  test('whatever else is wrong with it', () => {
    for (const text of ['{"a":1,"a":2', '{"a":1,"A":2}}', '{9999E9999:1}', '[9007199254740993,]', '{"id":1e999,"id":1'])
      refuse(text, 'json_invalid');
  });

  test('the denial holds nothing of the text', () => {
    const document = readJson(bytes('{"password": hunter2}'), LIMITS);
    assert.deepEqual(document, { ok: false, denial: { reason: 'json_invalid' } });
  });
});

suite('surrogates come in pairs', () => {
  for (const pair of ['\\ud83d\\ude00', '\\uD83D\\uDE00', '\\ud800\\udc00', '\\udbff\\udfff', '\\ud83d\\ude00\\ud83d\\ude00'])
    test(`${pair} is taken`, () => assert.equal(read(`{"a":"x${pair}x"}`).text.length > 0, true));

  const lone = ['\\ud800', '\\udbff', '\\udc00', '\\udfff', '\\uDfFf', '\\ud83dx', '\\ud83d\\u0041', '\\ud83d\\ud83d\\ude00'];
  const placed = [
    '\\ude00\\ud83d',
    '\\ude00\\ude01',
    '\\ud83d\\ude00\\ude00',
    '\\ud83d\\n',
    '\\ud83d\\\\ude00',
    '\\ud83d\\ude0',
    '\\ud83d\\',
  ];
  for (const half of [...lone, ...placed]) {
    test(`${half} is refused, as value and as key`, () => {
      refuse(`"${half}"`, 'json_invalid');
      refuse(`{"${half}":1}`, 'json_invalid');
    });
  }

  test('an escaped backslash before a u is no escape', () => {
    assert.equal(read('"\\\\ud800"').value, '\\ud800');
  });
});

suite('the limits', () => {
  test('bytes count, not characters', () => {
    assert.equal(read('"éé"', { maxBytes: 6, maxDepth: 1 }).value, 'éé');
    refuse('"éé"', 'body_too_large', { maxBytes: 5, maxDepth: 1 });
  });

  test('size comes before everything else', () => refuse(Buffer.alloc(7, 0xff), 'body_too_large', { maxBytes: 6, maxDepth: 1 }));

  for (const [open, close, levels] of [
    ['[', ']', 1],
    ['{"a":', '}', 1],
    ['[{"a":', '}]', 2],
  ] as const) {
    const nested = (times: number): string => `${open.repeat(times)}1${close.repeat(times)}`;

    test(`${open} to the limit and not beyond`, () => {
      read(nested(64 / levels));
      refuse(nested(64 / levels + 1), 'json_too_deep');
    });
  }

  test('what was closed counts no more', () => void read(`[${'[[]],'.repeat(100)}0]`, { maxBytes: 1000, maxDepth: 3 }));
  test('brackets in strings do not count', () =>
    void read(`{"${'['.repeat(100)}":"${'{'.repeat(100)}"}`, { maxBytes: 1000, maxDepth: 1 }));
  test('a scalar has no depth', () => void read('1', { maxBytes: 10, maxDepth: 0 }));
  test('a million open brackets are refused at the limit', () =>
    refuse('['.repeat(1_000_000), 'json_too_deep', { maxBytes: 2_000_000, maxDepth: 64 }));
});

suite('numbers', () => {
  const exact = [
    '0',
    '-0',
    '7',
    '-7',
    '123456789012345',
    '9007199254740991',
    '-9007199254740991',
    '0.1',
    '1e2',
    '1E+2',
    '-1.5e-3',
  ];
  const rounded = [
    '1e17',
    '1e22',
    '123e45',
    '1.7976931348623157e308',
    '0.30000000000000004',
    '-0.10',
    '100.50e-3',
    '0e5',
    '-0.0',
  ];
  for (const literal of [...exact, ...rounded])
    test(`${literal} is taken`, () => assert.equal((read(`[${literal}]`).value as number[])[0], Number(literal)));

  const imprecise = ['9007199254740992', '9007199254740993', '-9007199254740992', '123456789012345678901234567890'];
  const decimals = ['9007199254740993.0', '12345678901234567890e0', '0.30000000000000000004', '1.00000000000000000001', '1e-400'];
  const overflowing = ['1e309', '-1e309', '1e99999', `1${'0'.repeat(400)}`, '1.8e308', '0.1e400'];
  for (const literal of [...imprecise, ...decimals, ...overflowing]) {
    test(`${literal.slice(0, 40)} is refused wherever it stands`, () => {
      for (const text of [literal, `[${literal}]`, `{"a":${literal}}`, `{"a":{"id":${literal}}}`, `[0, ${literal} ]`])
        refuse(text, 'json_number_imprecise');
    });
  }

  test('as text any number passes', () => assert.equal(read('"9007199254740993"').value, '9007199254740993'));

  test('where numbers are only handed on, any passes, and nothing else that is refused does', () => {
    const limits = { ...LIMITS, takesAnyNumber: true };
    for (const text of ['9007199254740993', '{"maximum":9223372036854775807}', '[1e400]']) read(text, limits);
    refuse('{"a":1e400,"a":1}', 'json_duplicate_key', limits);
    refuse('01', 'json_invalid', limits);
  });

  test('only the echoed member of the root may hold any integer', () => {
    const big = '9007199254740993';
    for (const text of [`{"id":${big}}`, `{"a":1,"id":${big},"b":2}`, `{"\\u0069d" : ${big} }`]) {
      read(text, LIMITS, 'id');
      refuse(text, 'json_number_imprecise');
    }
    for (const text of [`{"ID":${big}}`, `{"id":[${big}]}`, `{"id":1,"x":${big}}`, `{"x":{"id":${big}}}`, `["id",${big}]`, big])
      refuse(text, 'json_number_imprecise', LIMITS, 'id');
  });
});

suite('the time that reading takes', () => {
  const took = (body: string): number => {
    const start = cpuMs();
    for (let time = 0; time < 5; time++) readJson(Buffer.from(body), { maxBytes: 1 << 20, maxDepth: 64 });
    return (cpuMs() - start) * 1000;
  };
  const size = 1 << 18;
  const plain = `{"a":"${'x'.repeat(size)}","b":[${'{"k":[1,2]},'.repeat(size / 12)}0]}`;
  const hostile: Record<string, string> = {
    'colons after one long key': `{"\\u0061${'a'.repeat(size / 2)}"${':'.repeat(size / 2)}`,
    'colons after one key of escapes': `{"${'\\n'.repeat(size / 4)}"${':'.repeat(size / 2)}`,
    'keys without values': `{${'"\\n":'.repeat(size / 5)}`,
    'a number of zeros': `[1${'0'.repeat(size)}.${'0'.repeat(size)}1]`,
    commas: `{"a"${','.repeat(size)}`,
    'brackets that close': `{"a":1${'}'.repeat(size)}`,
    'a string without end': `{"a":"${'\\'.repeat(size - 1)}`,
  };
  for (const [what, body] of Object.entries(hostile)) {
    test(`is that of any text of its length: ${what}`, () => {
      took(plain);
      assert.ok(took(body) < 20 * took(plain) + 20_000);
    });
  }
});

suite('a key twice', () => {
  const doubled = {
    'as it is': ['a', 'a'],
    'the empty key': ['', ''],
    'in another case': ['name', 'Name'],
    'with an escape': ['name', 'na\\u006de'],
    'with an escape in both': ['\\u0061', '\\u0061'],
    'with an escape in another case': ['name', 'na\\u004de'],
    'as full-width letters': ['name', 'ｎame'],
    'with a long s': ['params', 'paramſ'],
    'with the Kelvin sign': ['task', 'tas\u212a'],
    'with a dotless i': ['id', 'ıd'],
    'with a dotted capital I': ['id', 'İd'],
    'with a NUL after it': ['name', 'name\\u0000'],
    'with a NUL before it': ['name', '\\u0000name'],
    'with more after a NUL': ['name', 'name\\u0000x'],
    'with different ends after a NUL': ['name\\u0000x', 'name\\u0000y'],
    'with a zero-width space': ['name', 'na\u200bme'],
    'with a soft hyphen': ['name', 'na\u00adme'],
    'with a byte order mark': ['name', '\ufeffname'],
    'with a variation selector': ['name', 'name\ufe0f'],
    'with a control character': ['name', 'name\\u0007'],
    'composed and decomposed': ['é', 'e\u0301'],
    'with marks in another order': ['a\u0315\u0300', 'a\u0300\u0315'],
    'as a ligature': ['ﬁle', 'file'],
    'with another sigma': ['ΟΔΟΣ', 'οδος'],
    'with a sharp s': ['straße', 'STRASSE'],
    'as composed syllables': ['가', '\u1100\u1161'],
    'in upper case beyond the first plane': ['𐐀', '𐐨'],
  };
  for (const [what, [first, second]] of Object.entries(doubled)) {
    test(what, () => {
      for (const [a, b] of [
        [first, second],
        [second, first],
      ]) {
        refuse(`{"${a}":1,"${b}":2}`, 'json_duplicate_key');
        refuse(`[{"x":{"${a}":1,"y":[{"${a}":3}],"${b}":2}}]`, 'json_duplicate_key');
      }
    });
  }

  const different = {
    'an accent': ['zahlen', 'zählen'],
    'a hyphen and an underscore': ['a-b', 'a_b'],
    'a blank': ['a', 'a '],
    'another letter that looks alike': ['a', 'а'],
    'a digit and its word': ['1', 'one'],
    'two of Chinese': ['姓名', '名姓'],
    'a key and the start of it': ['param', 'params'],
    'an escape that is kept': ['\\\\u0061', 'a'],
  };
  for (const [what, [first, second]] of Object.entries(different))
    test(`${what} makes a difference`, () => void read(`{"${first}":1,"${second}":2}`));

  test('a NUL alone is no reason', () => assert.deepEqual(read('{"foo\\u0000bar":42}').value, { 'foo\0bar': 42 }));

  test('a long run of combining marks takes no long time', () => {
    const marks = 40_000;
    const start = process.cpuUsage();
    read(`{"${'\u0315'.repeat(marks)}${'\u0300'.repeat(marks)}":1}`);
    read(`{"${'ﷺ'.repeat(marks * 2)}":1}`);
    const { user } = process.cpuUsage(start);
    assert.ok(user < 2_000_000, `${user / 1000} ms, where normalising it as a whole takes seconds`);
  });
});

suite('spans of the root members', () => {
  test('each is the value as it was written', () => {
    const text = ' { "a" : 1.0e1 , "b":"x\\"}," ,"c":[1, {"a":2} ],"d" :{"e": 1}\n,"\\u0066": null } ';
    const { members } = read(text);
    const written = Object.fromEntries([...members].map(([key, span]) => [key, text.slice(...span)]));
    assert.deepEqual(written, { a: '1.0e1', b: '"x\\"},"', c: '[1, {"a":2} ]', d: '{"e": 1}', f: 'null' });
  });

  test('positions are those of the text, not of the bytes', () => {
    const document = read('{"😀é":"ü","id":7}');
    assert.equal(document.text.slice(...(document.members.get('id') ?? [0, 0])), '7');
  });

  for (const text of ['[{"a":1}]', '"a"', '[]', '{}', '1'])
    test(`${text} has none`, () => assert.equal(read(text).members.size, 0));
});
