/**
 * A tool's `inputSchema` as far as Rego's type checker goes: which names there are, and of which type. JSON Schema can say more
 * than it can follow, and what it cannot follow takes anything here, so that no good rule is refused.
 */
import { isObject, type JsonObject } from '../mcp/message.ts';

/** `properties` is absent where every name is allowed. */
export interface ArgumentsSchema {
  readonly type: 'object';
  readonly properties?: Readonly<Record<string, object>>;
}

const MAX_DEPTH = 12;
const ANYTHING = {};
const SCALARS = ['string', 'number', 'integer', 'boolean'];

/** A schema that names no argument is that of a tool without any, unless it says that it takes more. */
export function argumentsSchema(inputSchema: JsonObject): ArgumentsSchema {
  const read = createReader(inputSchema);
  const { properties = {} } = inputSchema;
  if (isOpen(inputSchema) || !isObject(properties)) return { type: 'object' };
  return { type: 'object', properties: mapValues(properties, (one) => read(one, 0)) };
}

/** Names that are not listed are allowed, by its own word or by what is not followed here. */
function isOpen(schema: JsonObject): boolean {
  const { additionalProperties = false, patternProperties = {} } = schema;
  const isCombined = ['$ref', 'allOf', 'anyOf', 'oneOf', 'if', 'dependentSchemas'].some((word) => Object.hasOwn(schema, word));
  return (
    isCombined || additionalProperties !== false || !isObject(patternProperties) || Object.keys(patternProperties).length > 0
  );
}

type Read = (schema: unknown, depth: number) => object;

function createReader(root: JsonObject): Read {
  const read: Read = (schema, depth) => {
    if (!isObject(schema) || depth > MAX_DEPTH) return ANYTHING;
    if (typeof schema.$ref === 'string') return read(follow(root, schema.$ref), depth + 1);
    const choices = schema.anyOf ?? schema.oneOf;
    if (Array.isArray(choices)) return readChoices(choices, depth);
    if (schema.allOf !== undefined || schema.not !== undefined || schema.if !== undefined) return ANYTHING;
    return readTyped(schema, depth);
  };

  /** One of them that takes anything makes the whole take anything. */
  function readChoices(choices: readonly unknown[], depth: number): object {
    const types = choices.map((one) => read(one, depth + 1));
    return types.length === 0 || types.some((one) => Object.keys(one).length === 0) ? ANYTHING : { anyOf: types };
  }

  function readTyped(schema: JsonObject, depth: number): object {
    const type = typeOf(schema);
    if (SCALARS.includes(type)) return { type };
    if (type === 'array') return isObject(schema.items) ? { type, items: read(schema.items, depth + 1) } : { type };
    if (type !== 'object') return ANYTHING;
    const { properties } = schema;
    if (isOpen(schema) || !isObject(properties) || Object.keys(properties).length === 0) return { type };
    return { type, properties: mapValues(properties, (one) => read(one, depth + 1)) };
  }

  return read;
}

/** '' where there are several, null among them: a rule may well ask whether it is null. */
function typeOf({ type, const: only, enum: values, properties }: JsonObject): string {
  if (typeof type === 'string') return type;
  if (Array.isArray(type)) return type.length === 1 ? String(type[0]) : '';
  const known = only === undefined ? values : [only];
  if (Array.isArray(known)) {
    const types = new Set(known.map((one) => typeof one));
    const [first = ''] = types;
    return types.size === 1 && SCALARS.includes(first) ? first : '';
  }
  return properties === undefined ? '' : 'object';
}

/** A JSON pointer into the schema itself (RFC 6901); nothing is ever fetched. */
function follow(root: JsonObject, ref: string): unknown {
  if (!ref.startsWith('#/')) return undefined;
  let found: unknown = root;
  for (const part of ref.slice(2).split('/')) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    found = isObject(found) && Object.hasOwn(found, key) ? found[key] : undefined;
  }
  return found;
}

function mapValues(object: JsonObject, change: (value: unknown) => object): Record<string, object> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}
