/**
 * graph.reachable_paths: every path from the initial nodes, ended by a leaf or by what would close a
 * cycle. There may be exponentially many, so the nodes we write are capped.
 */
import { type Family, isList, isObject, isText, type JsonObject, limits, refuse } from './arguments.ts';
import { setOf } from './wire.ts';

const name = 'graph.reachable_paths';

export const graph: Family = {
  [name]: (edges, initial) => {
    if (!isObject(edges) || !isList(initial)) return undefined;
    return setOf(pathsFrom(edges, initial));
  },
};

function pathsFrom(edges: JsonObject, initial: readonly unknown[]): unknown[] {
  const paths: unknown[] = [];
  let written = 0;
  const write = (path: readonly unknown[]): void => {
    written += path.length + 1;
    if (written > limits.items) refuse(name, `more than ${limits.items} nodes`);
    paths.push(path);
  };
  const extend = (path: readonly unknown[], node: unknown): void => {
    const next = neighbours(edges, node);
    if (next === undefined) {
      write(path);
      return;
    }
    if (path.length >= limits.depth) refuse(name, `paths longer than ${limits.depth}`);
    const longer = [...path, node];
    if (next.length === 0) write(longer);
    for (const neighbour of next) {
      if (longer.includes(neighbour)) write(longer);
      else extend(longer, neighbour);
    }
  };
  for (const node of initial) {
    const next = neighbours(edges, node) ?? [];
    if (next.length === 0 && neighbours(edges, node) !== undefined) write([node]);
    for (const neighbour of next) extend([node], neighbour); // even to itself, as OPA does
  }
  return paths;
}

/** Undefined when the node is not in the graph. What is no array of neighbours counts as none. */
function neighbours(edges: JsonObject, node: unknown): readonly unknown[] | undefined {
  if (!isText(node)) return refuse(name, 'only nodes named by strings are supported');
  if (!Object.hasOwn(edges, node)) return undefined;
  const next = edges[node];
  return isList(next) ? next : [];
}
