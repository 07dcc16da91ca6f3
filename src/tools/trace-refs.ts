/**
 * References in the text of an expression as OPA's trace has it: `input.mcp.arguments[__local3__]`. Strings are skipped, and
 * what is called is no reference.
 */

export type Segment = string | number;

/** A place in `input` or `data`. */
export interface Path {
  readonly root: 'input' | 'data';
  readonly segments: readonly Segment[];
}

/** A reference as it is written; a segment that is a variable is one. */
export interface Reference {
  readonly head: string;
  readonly segments: readonly (Segment | { readonly variable: string })[];
  readonly start: number;
  readonly end: number;
}

const HEAD = /"(?:[^"\\]|\\.)*"|(?<![\w.])(?:input|data|__local\d+__)\b/g;
const SEGMENT = /\.([A-Za-z_]\w*)|\[("(?:[^"\\]|\\.)*")\]|\[(-?\d+)\]|\[(__local\d+__)\]/y;

export function findReferences(text: string): Reference[] {
  const found: Reference[] = [];
  HEAD.lastIndex = 0;
  for (let match = HEAD.exec(text); match !== null; match = HEAD.exec(text)) {
    const [head] = match;
    if (head.startsWith('"')) continue;
    const segments: Reference['segments'][number][] = [];
    SEGMENT.lastIndex = HEAD.lastIndex;
    let end = HEAD.lastIndex;
    for (let part = SEGMENT.exec(text); part !== null; part = SEGMENT.exec(text)) {
      segments.push(readSegment(part));
      end = SEGMENT.lastIndex;
    }
    if (text[end] !== '(') found.push({ head, segments, start: match.index, end });
    HEAD.lastIndex = end;
  }
  return found;
}

function readSegment([, name, quoted, index, variable]: RegExpExecArray): Reference['segments'][number] {
  if (name !== undefined) return name;
  if (quoted !== undefined) return JSON.parse(quoted) as string;
  return index !== undefined ? Number(index) : { variable: variable as string };
}

/** As Rego has it. */
export function pathText({ root, segments }: Path): string {
  const parts = segments.map((segment) => {
    if (typeof segment === 'number') return `[${segment}]`;
    return /^[A-Za-z_]\w*$/.test(segment) ? `.${segment}` : `[${JSON.stringify(segment)}]`;
  });
  return root + parts.join('');
}

/** Undefined where there is nothing. */
export function valueAt(document: unknown, segments: readonly Segment[]): unknown {
  let value = document;
  for (const segment of segments) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, segment)) return undefined;
    value = (value as Record<Segment, unknown>)[segment];
  }
  return value;
}

/** Without those that lead to another one of them. */
export function longestPaths(paths: Iterable<Path>): Path[] {
  const sorted = [...new Map([...paths].map((path) => [pathText(path), path]))].sort(([a], [b]) => (a < b ? -1 : 1));
  const leads = (text: string, other: string): boolean =>
    other.length > text.length && other.startsWith(text) && /[.[]/.test(other.charAt(text.length));
  return sorted.filter(([text]) => !sorted.some(([other]) => leads(text, other))).map(([, path]) => path);
}
