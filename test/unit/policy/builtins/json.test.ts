import fc from 'fast-check';
import { agreesOnSamples, agreesWithOpa, callsOf, textOf } from './against-opa.ts';
import { gives, refuses } from './direct.ts';

const name = 'json.marshal_with_options';
const quoted = (...lines: string[]) => JSON.stringify(lines.join('\n'));

gives('layouts', [
  [[name, { b: [1, {}], a: 'x' }, {}], quoted('{"a":"x","b":[1,{}]}')],
  [[name, { b: [1] }, { pretty: true }], quoted('{', '\t"b": [', '\t\t1', '\t]', '}')],
  [[name, [], { prefix: '> ' }], quoted('> []')],
  [[name, [1, 2], { indent: '..', prefix: '#' }], quoted('#[', '#..1,', '#..2', '#]')],
  [[name, [1], { indent: '..', pretty: false }], quoted('[1]')],
  [[name, [1], { pretty: 'yes' }], undefined],
  [[name, [1], { unknown: true }], undefined],
  [[name, [1], []], undefined],
]);

gives('marks that Go escapes, and keys by code point', [
  [[name, '<\u2028&>', {}], JSON.stringify('"\\u003c\\u2028\\u0026\\u003e"')],
  [[name, { '😀': 1, '\uffff': 2, __proto__: null }, {}], quoted('{"\uffff":2,"😀":1}')],
  [[name, JSON.parse('{"__proto__": {"a": 1}}'), {}], quoted('{"__proto__":{"a":1}}')],
]);

refuses('what would be too much, or not exact', [
  [[name, [[[1]]], { prefix: 'x'.repeat(300_000) }], 'more than 1048576 characters'],
  [[name, JSON.parse('['.repeat(300) + ']'.repeat(300)), {}], 'values nested deeper than 200'],
  [[name, [2 ** 60], {}], 'integers beyond 2^53 do not arrive exactly'],
]);

agreesWithOpa(name, [
  [name, { a: { b: [] }, c: [[], {}] }, { indent: ' ' }],
  [name, null, { pretty: true, prefix: '' }],
  [name, 1.5, { indent: '' }],
  [name, 'a\b\f\u007f\u0001', {}],
  [name, { a: 1 }, { prefix: 1 }],
  [name, { a: 1 }, null],
]);

const text = textOf(['<', '>', '&', '\u2028', '\u007f', '\u0001', '\b', '"', '\\', '/', 'é', '😀', '\uffff']);
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    text,
    fc.nat(9),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(text, tie('value'), { maxKeys: 3 }),
  ),
})).value;
const options = fc.record({ pretty: fc.boolean(), prefix: text, indent: text }, { requiredKeys: [] });

agreesOnSamples(name, callsOf(name, value, options));
