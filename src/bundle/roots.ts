/**
 * The roots of a manifest as a tree of their parts, so that what lies below them is found by walking it once: a bundle that nobody
 * has signed may name many. Refused: roots one of which contains another, too many of them, too long or too deep ones.
 */
import type { JsonTree } from './json-tree.ts';
import { PolicyRefused } from './refusal.ts';

export interface RootTree {
  /** All that is here is below a root. */
  isRoot: boolean;
  readonly below: Map<string, RootTree>;
}

const MAX_ROOTS = 10_000;
const MAX_LENGTH = 1024;
const MAX_DEPTH = 64;

/** Without slashes at the ends. Throws PolicyRefused. */
export function readRoots(given: readonly string[]): readonly string[] {
  if (given.length > MAX_ROOTS) throw refused(`the manifest has more than ${MAX_ROOTS} roots`);
  const roots = given.map(trimSlashes);
  for (const root of roots) {
    if (root.length > MAX_LENGTH) throw refused('a root of the manifest is too long');
    if (root.split('/').length > MAX_DEPTH) throw refused(`the root ${root} is deeper than ${MAX_DEPTH}`);
  }
  plantRoots(roots);
  return roots;
}

/** `['']` is a root for everything. Throws PolicyRefused. */
export function plantRoots(roots: readonly string[]): RootTree {
  const tree: RootTree = { isRoot: false, below: new Map() };
  for (const root of roots) {
    const end = growTo(tree, root);
    if (end.isRoot || end.below.size > 0) throw overlap(root, [root, ...findRoot(end)]);
    end.isRoot = true;
  }
  return tree;
}

function growTo(tree: RootTree, root: string): RootTree {
  let node = tree;
  const parts = root === '' ? [] : root.split('/');
  for (const [at, part] of parts.entries()) {
    if (node.isRoot) throw overlap(root, parts.slice(0, at));
    const next = node.below.get(part) ?? { isRoot: false, below: new Map() };
    node.below.set(part, next);
    node = next;
  }
  return node;
}

/** The way to the first one here. */
function findRoot({ isRoot, below }: RootTree): string[] {
  const [first] = below;
  return isRoot || first === undefined ? [] : [first[0], ...findRoot(first[1])];
}

function overlap(root: string, other: readonly string[]): PolicyRefused {
  return refused(`the roots ${root} and ${other.join('/')} of the manifest overlap`);
}

export function isBelowRoot(path: string, tree: RootTree): boolean {
  let node: RootTree | undefined = tree;
  for (const part of path.split('/')) {
    if (node === undefined || node.isRoot) break;
    node = node.below.get(part);
  }
  return node?.isRoot === true;
}

/** Where data lies that no root contains, but for the objects that lead to one; null where there is none. */
export function findStray(data: JsonTree, { isRoot, below }: RootTree): readonly string[] | null {
  if (isRoot) return null;
  if (typeof data === 'string' || below.size === 0) return [];
  for (const [key, inner] of data) {
    const next = below.get(key);
    const stray = next === undefined ? [] : findStray(inner, next);
    if (stray !== null) return [key, ...stray];
  }
  return null;
}

/** Not by a pattern: that would look for the end from every slash. */
function trimSlashes(text: string): string {
  let [start, end] = [0, text.length];
  while (text[start] === '/') start++;
  while (end > start && text[end - 1] === '/') end--;
  return text.slice(start, end);
}

function refused(why: string): PolicyRefused {
  return new PolicyRefused('roots_invalid', why);
}
