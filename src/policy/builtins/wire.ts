/**
 * What the SDK's JSON cannot carry: sets, and integers beyond 2^53; and what it does not tell: where an
 * evaluation begins. It reads arguments with opa_json_dump (a set arrives as an array) and hands results to
 * opa_json_parse (there is no way to say "set"). Once connected we stand in front of an instance's exports:
 * results are read by opa_value_parse, a superset that knows {1,2}; a built-in may look at the value text of
 * its arguments; and evaluations are counted. Unconnected, a set as result is an error, never an array.
 */
import { isList, isObject, isSet, isText, limits, refuse } from './arguments.ts';

interface Abi {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly opa_json_dump: (value: number) => number;
  readonly opa_value_dump: (value: number) => number;
  readonly opa_value_parse: (text: number, length: number) => number;
  readonly opa_eval: Evaluate;
  readonly eval: Evaluate;
}

type Evaluate = (...args: number[]) => number;

/** A WebAssembly.Instance. */
export interface Instance {
  readonly exports: unknown;
}

/** The text of an argument as OPA writes values ({"a"} is a set), or undefined when unconnected. */
export type ValueText = () => string | undefined;

export interface Wire {
  /** Stands in front of an instance the SDK has loaded: once per instance, before it evaluates. */
  readonly connect: (instance: Instance) => void;
  /** A number for the evaluation in progress (or the last), undefined before any that we see. */
  readonly evaluation: () => number | undefined;
  /** The last `count` arguments, for the built-in they were read for. */
  readonly arguments: (count: number) => readonly ValueText[];
}

const widestCall = 4;

export function createWire(): Wire {
  const dumped: ValueText[] = [];
  let evaluations = 0;
  const counted =
    (evaluate: Evaluate): Evaluate =>
    (...args) => {
      evaluations += 1;
      dumped.length = 0;
      return evaluate(...args);
    };
  return {
    connect(instance) {
      const abi = instance.exports as Abi;
      Object.defineProperty(instance, 'exports', {
        value: {
          ...(abi as object),
          opa_json_parse: abi.opa_value_parse,
          opa_eval: counted(abi.opa_eval),
          eval: counted(abi.eval),
          opa_json_dump(value: number): number {
            if (dumped.length === widestCall) dumped.shift();
            dumped.push(() => textAt(abi, abi.opa_value_dump(value)));
            return abi.opa_json_dump(value);
          },
        },
      });
    },
    evaluation: () => (evaluations === 0 ? undefined : evaluations),
    arguments(count) {
      const mine = dumped.slice(-count);
      dumped.length = 0;
      return mine.length === count ? mine : new Array<ValueText>(count).fill(() => undefined);
    },
  };
}

function textAt(abi: Abi, address: number): string {
  const memory = Buffer.from(abi.memory.buffer);
  return memory.toString('utf8', address, memory.indexOf(0, address));
}

/** A value with sets in it, from OPA's text; a set becomes a JS Set, a non-string key is refused. */
export function readValue(builtin: string, text: string): unknown {
  const tokens = text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|set\(\)|[[\]{}:,]|[^\s[\]{}:,"]+/gs);
  const next = (): string => tokens.next().value?.[0] ?? refuse(builtin, 'unreadable value');
  const read = (token: string, depth: number): unknown => {
    if (depth > limits.depth) refuse(builtin, `values nested deeper than ${limits.depth}`);
    if (token === 'set()') return new Set();
    if (token === '[') return readItems(']', next(), depth);
    if (token !== '{') return JSON.parse(token);
    const first = next();
    if (first === '}') return {};
    const key = read(first, depth + 1);
    const mark = next();
    if (mark !== ':') return new Set([key, ...readItems('}', mark, depth)]);
    return readMembers(key, depth);
  };
  const readItems = (close: string, first: string, depth: number): unknown[] => {
    const items: unknown[] = [];
    for (let token = first; token !== close; token = next()) {
      if (token !== ',') items.push(read(token, depth + 1));
    }
    return items;
  };
  const readMembers = (first: unknown, depth: number): unknown => {
    const members: [string, unknown][] = [];
    for (let key = first; ; key = read(next(), depth + 1)) {
      if (members.length > 0) next(); // the colon; that of the first is behind us
      if (!isText(key)) refuse(builtin, 'only string keys are supported');
      members.push([key, read(next(), depth + 1)]);
      if (next() === '}') return Object.fromEntries(members);
    }
  };
  return read(next(), 0);
}

/** A set as result: OPA's literal in a buffer, which the SDK passes on untouched. */
export function setOf(items: Iterable<unknown>): ArrayBuffer {
  return new TextEncoder().encode(write(new Set(items))).buffer;
}

function write(value: unknown): string {
  if (isSet(value)) return value.size === 0 ? 'set()' : `{${[...value].map(write).join()}}`;
  if (isList(value)) return `[${value.map(write).join()}]`;
  if (!isObject(value)) return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}:${write(item)}`)}}`;
}
