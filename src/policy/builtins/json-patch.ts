/**
 * json.patch: RFC 6902 with OPA's leniencies (leading slashes do not matter, a path may be an array, an
 * index may be "+1" or "1.0"). Operations change a copy, and what they copy in total is capped, since
 * copying a value into itself doubles it. Sets are refused: they would come back as arrays.
 */
import {
  canonical,
  type Family,
  integer,
  isList,
  isObject,
  isSet,
  isText,
  type JsonObject,
  limits,
  put,
  refuse,
} from './arguments.ts';
import { readValue, type Wire } from './wire.ts';

const name = 'json.patch';
const maxOperations = 1_000;

type Path = readonly unknown[];
type Copy = (value: unknown) => unknown;
type Apply = (root: object, operation: JsonObject, copy: Copy) => void;

/** Thrown when an operation fails, which makes the call undefined. */
const failure = Symbol('failure');

export function patch(wire: Wire): Family {
  return {
    [name]: (document, operations) => {
      for (const text of wire.arguments(2)) refuseSets(text());
      return isList(operations) ? patched(document, operations) : undefined;
    },
  };
}

function patched(document: unknown, operations: readonly unknown[]): unknown {
  if (operations.length > maxOperations) refuse(name, `more than ${maxOperations} operations`);
  const copy = copier();
  const root = { document: copy(document) };
  try {
    for (const operation of operations) apply(root, operation, copy);
    return root.document;
  } catch (error) {
    if (error === failure) return undefined;
    throw error;
  }
}

/** By operation; every path starts at the root's only member, so that it too can be replaced. */
const operators: Readonly<Record<string, Apply>> = {
  add: (root, operation, copy) => {
    insert(root, pathOf(operation, 'path'), copy(member(operation, 'value')));
  },
  remove: (root, operation) => {
    remove(root, pathOf(operation, 'path'));
  },
  replace: (root, operation, copy) => {
    remove(root, pathOf(operation, 'path'));
    insert(root, pathOf(operation, 'path'), copy(member(operation, 'value')));
  },
  move: (root, operation) => {
    insert(root, pathOf(operation, 'path'), remove(root, pathOf(operation, 'from')));
  },
  copy: (root, operation, copy) => {
    insert(root, pathOf(operation, 'path'), copy(find(root, pathOf(operation, 'from'))));
  },
  test: (root, operation) => {
    const found = find(root, pathOf(operation, 'path'));
    if (canonical(name, found) !== canonical(name, member(operation, 'value'))) throw failure;
  },
};

function apply(root: object, operation: unknown, copy: Copy): void {
  if (!isObject(operation)) throw failure;
  const op = member(operation, 'op');
  if (!isText(op) || !Object.hasOwn(operators, op)) throw failure;
  operators[op]?.(root, operation, copy);
}

function member(operation: JsonObject, key: string): unknown {
  if (!Object.hasOwn(operation, key)) throw failure;
  return operation[key];
}

function pathOf(operation: JsonObject, key: 'path' | 'from'): Path {
  const path = member(operation, key);
  const steps = isText(path) ? pointer(path) : path;
  if (!isList(steps)) throw failure;
  if (steps.length > limits.depth) refuse(name, `paths longer than ${limits.depth}`);
  return ['document', ...steps];
}

function pointer(path: string): Path {
  if (path === '') return [];
  const steps = path.replace(/^\/+/, '').split('/');
  return steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function find(root: unknown, path: Path): unknown {
  return path.reduce((container, key) => {
    if (isList(container)) return container[index(key, container.length, container.length - 1)];
    return (container as JsonObject)[existing(container, key)];
  }, root);
}

function insert(root: object, path: Path, value: unknown): void {
  const container = find(root, path.slice(0, -1));
  const key = path.at(-1);
  if (Array.isArray(container)) {
    container.splice(index(key, container.length, container.length), 0, value);
  } else {
    if (!isObject(container)) throw failure;
    if (!isText(key)) refuse(name, 'only string keys are supported');
    put(container, key, value);
  }
}

function remove(root: object, path: Path): unknown {
  const container = find(root, path.slice(0, -1));
  const key = path.at(-1);
  if (Array.isArray(container)) {
    return container.splice(index(key, container.length, container.length - 1), 1)[0];
  }
  const step = existing(container, key);
  const value = (container as JsonObject)[step];
  delete (container as Record<string, unknown>)[step];
  return value;
}

function existing(container: unknown, key: unknown): string {
  if (!isObject(container) || !isText(key) || !Object.hasOwn(container, key)) throw failure;
  return key;
}

function index(key: unknown, length: number, last: number): number {
  const at = key === '-' ? length : indexIn(key);
  if (at < 0 || at > last) throw failure;
  return at;
}

function indexIn(key: unknown): number {
  if (!isText(key)) return integer(name, key) ?? -1;
  const digits = /^([-+]?)(\d*)(?:\.0*)?$/.exec(key.length <= 20 ? key : 'x');
  if (digits === null || /^(?:|[-+]|0.+)$/.test(key)) return -1;
  return Number(`${digits[1]}${digits[2] || '0'}`);
}

/** Copies values, up to a number of nodes over all its calls. */
function copier(): Copy {
  let nodes = 0;
  const copy = (value: unknown, depth: number): unknown => {
    nodes += 1;
    if (nodes > limits.items) refuse(name, `more than ${limits.items} values`);
    if (depth > limits.depth) refuse(name, `values nested deeper than ${limits.depth}`);
    if (isList(value)) return value.map((item) => copy(item, depth + 1));
    if (typeof value === 'number') integer(name, value);
    if (!isObject(value)) return value;
    const object = {};
    for (const key of Object.keys(value)) put(object, key, copy(value[key], depth + 1));
    return object;
  };
  return (value) => copy(value, 0);
}

function refuseSets(text: string | undefined): void {
  if (text !== undefined) refuseSetsIn(readValue(name, text));
}

function refuseSetsIn(value: unknown): void {
  if (isSet(value)) refuse(name, 'sets are not supported');
  if (isList(value)) value.forEach(refuseSetsIn);
  else if (isObject(value)) Object.values(value).forEach(refuseSetsIn);
}
