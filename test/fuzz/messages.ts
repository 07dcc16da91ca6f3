/** Arbitrary JSON as text, so that what no serialiser writes can be written: keys twice, look-alikes, odd numbers, raw escapes. */
import fc from 'fast-check';

/** Names that the code reads, and what might be taken for them. */
const NAMES = [
  'jsonrpc',
  'id',
  'method',
  'params',
  'result',
  'error',
  'name',
  'arguments',
  'uri',
  'taskId',
  '_meta',
  'ref',
  'type',
  'x',
  '',
];
const VARIATIONS: ((name: string) => string)[] = [
  (name) => name,
  (name) => name,
  (name) => name,
  (name) => name.toUpperCase(),
  (name) => name.slice(0, 1).toUpperCase() + name.slice(1),
  (name) => `${name}\\u0000`,
  (name) => `${name}\\u0000x`,
  (name) => name.replace('s', 'ſ').replace('i', 'ı').replace('n', 'ｎ'),
  (name) => name.replace('e', '\\u0065'),
  (name) => `${name}\u200b`,
  (name) => `${name}e\u0301`,
  (name) => `${name}é`,
];

export const key: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...VARIATIONS)).map(([name, vary]) => `"${vary(name)}"`),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }).map((text) => JSON.stringify(text)) },
);

const number = fc.oneof(
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.constantFrom(
    '-0',
    '1e2',
    '1E+2',
    '0.1e-7',
    '9007199254740991',
    '9007199254740993',
    '1e400',
    '-1e-400',
    '1.0',
    '123456789012345678901',
  ),
);
const string = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }).map((text) => JSON.stringify(text)),
  fc.constantFrom('"tools/call"', '"2.0"', '"\\ud83d\\ude00"', '"\\ud800"', '"\\u0000"', '"a\\/b"', '"\\"}"', '"😀"'),
);
const space = fc.constantFrom('', '', '', ' ', '\n', '\t ');
const scalar = fc.oneof(number, string, fc.constantFrom('null', 'true', 'false'));

type Members = readonly (readonly [key: string, value: string])[];

function object(members: fc.Arbitrary<Members>): fc.Arbitrary<string> {
  return fc
    .tuple(members, space)
    .map(([all, gap]) => `{${gap}${all.map(([name, value]) => `${name}${gap}:${gap}${value}`).join(`${gap},`)}${gap}}`);
}

const { tree, object: objectTree } = fc.letrec<{ tree: string; list: string; object: string }>((tie) => ({
  tree: fc.oneof({ maxDepth: 4, withCrossShrink: true }, scalar, tie('list'), tie('object')),
  list: fc.tuple(fc.array(tie('tree'), { maxLength: 4 }), space).map(([all, gap]) => `[${all.join(`${gap},${gap}`)}]`),
  object: object(fc.array(fc.tuple(key, tie('tree')), { maxLength: 4 })),
}));

/** Any JSON text, most of it objects inside one another. */
export const document: fc.Arbitrary<string> = tree;

const METHODS = [
  'tools/call',
  'tools/call',
  'tools/list',
  'prompts/get',
  'resources/read',
  'initialize',
  'ping',
  'tasks/get',
  'no/such',
];
/** Mostly one that is in order. */
const mostly = (good: readonly string[], odd: readonly string[]) =>
  fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...good) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });
const ID = mostly(['1', '"a"', '-7', '9007199254740993', '"\\u00e9"'], ['null', '1.5', '{}']);
const NAME = mostly(['"read"', '"delete_all"', '"r\\u0065ad"', '"値"'], ['""', 'null', '["read"]']);
const ARGUMENTS = fc.oneof({ weight: 9, arbitrary: objectTree }, { weight: 1, arbitrary: tree });
const META = mostly(
  ['{}', '{"progressToken":"p"}', '{"progressToken":1}'],
  ['null', '{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}'],
);

/** Sometimes a member more, twice or in another order. */
function disturbed(members: Members): fc.Arbitrary<Members> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constant(members) },
    { weight: 2, arbitrary: fc.shuffledSubarray([...members], { minLength: members.length }) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(key, tree, fc.boolean())
        .map(([name, value, first]): Members => (first ? [[name, value], ...members] : [...members, [name, value]])),
    },
    { weight: 1, arbitrary: fc.shuffledSubarray([...members]) },
  );
}

const params = fc
  .record({ name: NAME, arguments: ARGUMENTS, _meta: META }, { requiredKeys: ['name'] })
  .chain((shape) => object(disturbed(Object.entries(shape).map(([name, value]) => [`"${name}"`, value]))));

/** Text that is nearly always JSON and often a message that MCP knows. */
export const message: fc.Arbitrary<string> = fc
  .record(
    {
      jsonrpc: fc.constant('"2.0"'),
      id: ID,
      method: fc.constantFrom(...METHODS.map((method) => JSON.stringify(method))),
      params,
    },
    { requiredKeys: ['jsonrpc', 'id', 'method'] },
  )
  .chain((shape) => object(disturbed(Object.entries(shape).map(([name, value]) => [`"${name}"`, value]))));

/** A few bytes changed, cut out, put in or repeated. */
export function mutated(text: fc.Arbitrary<string>): fc.Arbitrary<Uint8Array> {
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    '"',
    ':',
    ',',
    '\\',
    '\\u',
    '\\ud800',
    '\0',
    '\ufeff',
    ' ',
    '0',
    '-',
    'e',
    '9'.repeat(17),
    '"id":',
    '//',
  ];
  const edit = fc.record({
    at: fc.nat(1000),
    length: fc.nat(3),
    put: fc.oneof(
      fc.constantFrom(...pieces).map((piece) => Buffer.from(piece)),
      fc.uint8Array({ maxLength: 3 }),
    ),
  });
  return fc.tuple(text, fc.array(edit, { minLength: 1, maxLength: 3 })).map(([source, edits]) =>
    edits.reduce<Uint8Array>((bytes, { at, length, put }) => {
      const start = at % (bytes.length + 1);
      return Buffer.concat([bytes.subarray(0, start), put, bytes.subarray(start + length)]);
    }, Buffer.from(source)),
  );
}
