import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { argumentsSchema } from '../../../src/tools/argument-schemas.ts';

const property = (schema: unknown, root: object = {}) =>
  argumentsSchema({ type: 'object', ...root, properties: { x: schema } }).properties?.x;

describe('arguments of a tool', () => {
  test('are the names that it lists', () => {
    assert.deepEqual(argumentsSchema({ type: 'object', properties: { a: { type: 'integer' } } }), {
      type: 'object',
      properties: { a: { type: 'integer' } },
    });
  });

  test('are none where it lists none and says no more', () => {
    for (const schema of [
      {},
      { type: 'object' },
      { type: 'object', properties: {} },
      { type: 'object', additionalProperties: false },
    ])
      assert.deepEqual(argumentsSchema(schema), { type: 'object', properties: {} });
  });

  test('are anything where it says so, or says it in a way that is not followed', () => {
    const open = [
      { additionalProperties: true },
      { additionalProperties: { type: 'string' } },
      { patternProperties: { '^x': {} } },
      { allOf: [{}] },
      { anyOf: [{ properties: { b: {} } }] },
      { $ref: '#/$defs/x' },
      { properties: [] },
    ];
    for (const more of open)
      assert.deepEqual(argumentsSchema({ type: 'object', properties: { a: {} }, ...more }), { type: 'object' });
  });
});

describe('the type of one', () => {
  const cases: readonly [string, unknown, object][] = [
    ['a scalar', { type: 'string', minLength: 3 }, { type: 'string' }],
    ['an enumeration', { enum: ['a', 'b'] }, { type: 'string' }],
    ['a constant', { const: 5 }, { type: 'number' }],
    ['an enumeration of several types', { enum: ['a', 1] }, {}],
    ['what may be null', { type: ['string', 'null'] }, {}],
    ['an array', { type: 'array', items: { type: 'number' } }, { type: 'array', items: { type: 'number' } }],
    ['an array of whatever', { type: 'array' }, { type: 'array' }],
    ['an object', { properties: { y: { type: 'boolean' } } }, { type: 'object', properties: { y: { type: 'boolean' } } }],
    ['an object of whatever', { type: 'object' }, { type: 'object' }],
    ['an open object', { type: 'object', properties: { y: {} }, additionalProperties: true }, { type: 'object' }],
    ['a choice', { oneOf: [{ type: 'string' }, { type: 'number' }] }, { anyOf: [{ type: 'string' }, { type: 'number' }] }],
    ['a choice of which one is anything', { anyOf: [{ type: 'string' }, true] }, {}],
    ['what is not', { not: { type: 'string' } }, {}],
    ['a schema that is none', 'string', {}],
    ['a reference to elsewhere', { $ref: 'https://example.com/schema' }, {}],
    ['a reference to nothing', { $ref: '#/$defs/nothing' }, {}],
  ];
  for (const [name, schema, expected] of cases) test(name, () => assert.deepEqual(property(schema), expected));

  test('a reference within, escaped as a pointer is', () => {
    assert.deepEqual(property({ $ref: '#/$defs/a~1b' }, { $defs: { 'a/b': { type: 'string' } } }), { type: 'string' });
  });

  test('one that refers to itself ends', () => {
    const root = { $defs: { node: { type: 'object', properties: { next: { $ref: '#/$defs/node' }, v: { type: 'string' } } } } };
    const found = JSON.stringify(property({ $ref: '#/$defs/node' }, root));
    assert.ok(found.startsWith('{"type":"object","properties":{"next":{"type":"object"') && found.length < 2000);
    assert.deepEqual(property({ $ref: '#/$defs/loop' }, { $defs: { loop: { $ref: '#/$defs/loop' } } }), {});
  });
});
