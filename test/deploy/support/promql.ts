/**
 * Just enough PromQL to ask of a query: which metrics, which labels, and which parts of it are measurements. A tokenizer
 * and brackets; whether a query is valid is for promtool and Prometheus to say.
 */

export interface Selector {
  readonly metric: string;
  /** Labels that its matchers name. */
  readonly labels: readonly string[];
}

export interface Names {
  readonly selectors: readonly Selector[];
  /** Labels that results are grouped by or joined on. */
  readonly grouping: readonly string[];
}

const TOKEN = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[a-zA-Z_:][\w:]*|\d[\w.]*|[=!<>]=|[=!]~|\S/g;
const IDENTIFIER = /^[a-zA-Z_:]/;
const GROUPING = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);
const SET_OPERATORS = new Set(['and', 'or', 'unless']);
const COMPARISONS = new Set(['>', '<', '>=', '<=', '==', '!=']);
const WORDS = new Set([...GROUPING, ...SET_OPERATORS, 'offset', 'bool', 'inf', 'nan']);
const OPENING = '([{';
const CLOSING = ')]}';

export function namesIn(expr: string): Names {
  const tokens: string[] = expr.match(TOKEN) ?? [];
  const selectors: Selector[] = [];
  const grouping: string[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] as string;
    if (!IDENTIFIER.test(token)) continue;
    const next = tokens[at + 1];
    if (GROUPING.has(token)) {
      if (next !== '(') continue;
      const end = tokens.indexOf(')', at);
      grouping.push(...tokens.slice(at + 2, end).filter((inner) => inner !== ','));
      at = end;
    } else if (!WORDS.has(token) && next !== '(' && next !== 'by' && next !== 'without') {
      const end = next === '{' ? tokens.indexOf('}', at) : at;
      const matchers = tokens.slice(at + 2, end);
      const isLabel = (_: string, index: number): boolean => /^[=!]/.test(matchers[index + 1] ?? '');
      selectors.push({ metric: token, labels: matchers.filter(isLabel) });
      at = end;
    }
  }
  return { selectors, grouping };
}

/**
 * The measurements that an alert expression compares. An alert that is silent has no result, so "it returns data" is judged
 * on these: operands of comparisons and of and, or, unless; what absent() looks for; and, where a query looks back by an
 * offset that a test cannot wait for, the same without it.
 */
export function measurementsIn(expr: string): string[] {
  const operands = operandsOf(expr);
  if (operands.length > 1) return operands.flatMap(measurementsIn);
  const [operand = ''] = operands;
  const inner = /^(?:absent\s*)?\((.*)\)$/s.exec(operand)?.[1];
  if (inner !== undefined && isBalanced(inner)) return measurementsIn(inner);
  return namesIn(operand).selectors.length === 0 ? [] : [operand.replaceAll(/\s+offset\s+\w+/g, '')];
}

/** The expression cut at every comparison and set operator that stands outside brackets. */
function operandsOf(expr: string): string[] {
  const operands: string[] = [];
  let depth = 0;
  let from = 0;
  const cut = (at: number, next: number): void => {
    operands.push(expr.slice(from, at).trim());
    from = next;
  };
  for (const { 0: token, index } of expr.matchAll(TOKEN)) {
    if (index < from) continue;
    if (OPENING.includes(token)) depth++;
    else if (CLOSING.includes(token)) depth--;
    else if (depth === 0 && (SET_OPERATORS.has(token) || COMPARISONS.has(token))) {
      const operator = /^\S+(?:\s+bool\b)?(?:\s+(?:on|ignoring)\s*\([^)]*\))?(?:\s+group_(?:left|right)\s*\([^)]*\))?/;
      cut(index, index + (operator.exec(expr.slice(index))?.[0].length ?? token.length));
    }
  }
  cut(expr.length, expr.length);
  return operands;
}

/** Whether no bracket closes that was not opened: so that `(a) / (b)` is not taken for one pair around all of it. */
function isBalanced(text: string): boolean {
  let depth = 0;
  for (const [token] of text.matchAll(TOKEN)) {
    if (OPENING.includes(token)) depth++;
    else if (CLOSING.includes(token) && --depth < 0) return false;
  }
  return depth === 0;
}
