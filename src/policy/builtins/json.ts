/**
 * json.marshal_with_options as Go's encoding/json writes: members sorted by code point, and <, >, & and
 * the two line separators escaped. A number is written as JavaScript writes it: 1.0 arrives as 1.
 */
import { byCodePoint, type Family, integer, isList, isObject, isText, limits, refuse } from './arguments.ts';

interface Layout {
  /** Before every line. */
  readonly prefix: string;
  /** Once per level, after the prefix; undefined for one line without spaces. */
  readonly indent: string | undefined;
}

const name = 'json.marshal_with_options';

export const json: Family = {
  [name]: (value, options) => {
    const layout = isObject(options) ? readLayout(options) : undefined;
    return layout && marshal(value, layout);
  },
};

function readLayout(options: Readonly<Record<string, unknown>>): Layout | undefined {
  const { prefix = '', indent = '\t', pretty, ...unknown } = options;
  if (Object.keys(unknown).length > 0 || !isText(prefix) || !isText(indent)) return undefined;
  if (pretty !== undefined && typeof pretty !== 'boolean') return undefined;
  const lines = pretty ?? ('prefix' in options || 'indent' in options);
  return lines ? { prefix, indent } : { prefix: '', indent: undefined };
}

function marshal(value: unknown, { prefix, indent }: Layout): string {
  const parts: string[] = [];
  let length = 0;
  const write = (part: string): void => {
    length += part.length;
    if (length > limits.text) refuse(name, `more than ${limits.text} characters`);
    parts.push(part);
  };
  const newLine = (depth: number): void => {
    if (indent === undefined) return;
    write(`\n${prefix}`);
    for (let level = 0; level < depth; level += 1) write(indent);
  };
  const writeItems = (open: string, close: string, depth: number, items: (() => void)[]): void => {
    write(open);
    items.forEach((writeItem, i) => {
      if (i > 0) write(',');
      newLine(depth + 1);
      writeItem();
    });
    if (items.length > 0) newLine(depth);
    write(close);
  };
  const writeValue = (item: unknown, depth: number): void => {
    if (depth > limits.depth) refuse(name, `values nested deeper than ${limits.depth}`);
    if (isList(item)) {
      const items = item.map((entry) => () => writeValue(entry, depth + 1));
      writeItems('[', ']', depth, items);
    } else if (isObject(item)) {
      const members = Object.keys(item).sort(byCodePoint);
      const writers = members.map((key) => () => {
        write(`${quote(key)}:${indent === undefined ? '' : ' '}`);
        writeValue(item[key], depth + 1);
      });
      writeItems('{', '}', depth, writers);
    } else {
      if (typeof item === 'number') integer(name, item);
      write(isText(item) ? quote(item) : JSON.stringify(item));
    }
  };
  if (indent !== undefined) write(prefix);
  writeValue(value, 0);
  return parts.join('');
}

function quote(text: string): string {
  return JSON.stringify(text).replace(/[<>&\u2028\u2029]/g, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
