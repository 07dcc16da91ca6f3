/**
 * regex.replace, find_n and template_match, and glob.quote_meta. Patterns are RE2 (re2js), so a search is
 * linear in the text; pattern, program and text are capped together, and so is the time of repeated
 * searches, which no engine makes linear. Matches are walked as Go's regexp package walks them.
 */
import { RE2JS } from 're2js';
import { type Family, integer, isText, limits, refuse } from './arguments.ts';

const cacheSize = 32;
const compiled = new Map<string, RE2JS>();

/** Offsets of a match and its groups, as pairs; -1 for a group that took no part. */
type Match = readonly number[];

export const regex: Family = {
  'regex.replace': (text, pattern, template) => {
    if (!isText(text) || !isText(pattern) || !isText(template)) return undefined;
    const expression = compile('regex.replace', pattern);
    return expression && replace(expression, text, template);
  },
  'regex.find_n': (pattern, text, count) => {
    const wanted = integer('regex.find_n', count);
    if (!isText(pattern) || !isText(text) || wanted === undefined) return undefined;
    const expression = compile('regex.find_n', pattern);
    return expression && find(expression, text, wanted < 0 ? Number.POSITIVE_INFINITY : wanted);
  },
  'regex.template_match': (template, text, open, close) => {
    if (!isText(template) || !isText(text) || !isText(open) || !isText(close)) return undefined;
    const pattern = isAscii(open) && isAscii(close) ? templatePattern(template, open, close) : undefined;
    const expression = pattern && compile('regex.template_match', pattern);
    if (!expression) return undefined;
    return searcher('regex.template_match', expression, text)(0) !== undefined;
  },
  'glob.quote_meta': (text) => (isText(text) ? text.replace(/[*?\\[\]{}]/g, '\\$&') : undefined),
};

/** Undefined when RE2 does not accept the pattern. */
function compile(builtin: string, pattern: string): RE2JS | undefined {
  const known = compiled.get(pattern);
  if (known) return known;
  if (pattern.length > limits.pattern) refuse(builtin, `pattern longer than ${limits.pattern}`);
  let expression: RE2JS;
  try {
    expression = RE2JS.compile(pattern);
  } catch {
    return undefined;
  }
  if (expression.programSize() > limits.regexProgram) refuse(builtin, 'pattern too complex');
  if (compiled.size >= cacheSize) compiled.delete(compiled.keys().next().value ?? '');
  compiled.set(pattern, expression);
  return expression;
}

/** Finds the next match at or after an offset. */
function searcher(builtin: string, expression: RE2JS, text: string): (from: number) => Match | undefined {
  if ((text.length + 1) * expression.programSize() > limits.regexWork) {
    refuse(builtin, 'pattern and text too large together');
  }
  const matcher = expression.matcher(text);
  const start = process.cpuUsage();
  return (from) => {
    const { user, system } = process.cpuUsage(start); // not the clock: a busy machine is no hostile caller
    if (user + system > limits.regexMs * 1000) refuse(builtin, `searched for ${limits.regexMs} ms`);
    if (from > text.length || !matcher.find(from)) return undefined;
    const match: number[] = [];
    for (let group = 0; group <= matcher.groupCount(); group += 1) {
      match.push(matcher.start(group), matcher.end(group));
    }
    return match;
  };
}

/** Regexp.FindAllString: an empty match right after another match does not count. */
function find(expression: RE2JS, text: string, wanted: number): string[] {
  const search = searcher('regex.find_n', expression, text);
  const found: string[] = [];
  for (let at = 0, previousEnd = -1; found.length < wanted; ) {
    const [start = 0, end] = search(at) ?? [];
    if (end === undefined) break;
    if (end > at || start !== previousEnd) found.push(text.slice(start, end));
    at = end > at ? end : at + characterAt(text, at);
    previousEnd = end;
  }
  return found;
}

/** Regexp.ReplaceAllString. */
function replace(expression: RE2JS, text: string, template: string): string {
  const search = searcher('regex.replace', expression, text);
  const groups = expression.namedGroups();
  let result = '';
  let copied = 0;
  for (let at = 0; ; ) {
    const match = search(at);
    const [start = 0, end] = match ?? [];
    if (match === undefined || end === undefined) return result + text.slice(copied);
    result += text.slice(copied, start);
    if (end > copied || start === 0) result += expand(template, text, match, groups);
    if (result.length > limits.text) refuse('regex.replace', `more than ${limits.text} characters`);
    copied = end;
    at = Math.max(end, at + characterAt(text, at));
  }
}

/** Regexp.Expand: $1, $name, ${name} and $$; a name is as long as it can be, an unknown one is empty. */
function expand(template: string, text: string, match: Match, groups: Readonly<Record<string, number>>): string {
  return template.replace(/\$(?:\$|([\p{L}\p{Nd}_]+)|\{([\p{L}\p{Nd}_]+)\})/gu, (whole, bare, braced) => {
    const name: string | undefined = bare ?? braced;
    if (name === undefined) return whole === '$$' ? '$' : whole;
    const named = Object.hasOwn(groups, name) ? groups[name] : undefined;
    const group = /^(?:0|[1-9]\d*)$/.test(name) ? Number(name) : (named ?? -1);
    const start = match[2 * group] ?? -1;
    return start < 0 ? '' : text.slice(start, match[2 * group + 1]);
  });
}

function characterAt(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
}

function isAscii(delimiter: string): boolean {
  return delimiter.length === 1 && delimiter < '\x80';
}

/** The template's literal parts quoted, what is between delimiters kept; undefined when malformed. */
function templatePattern(template: string, open: string, close: string): string | undefined {
  const variables = delimited(template, open, close);
  if (variables === undefined) return undefined;
  let pattern = '^';
  let end = 0;
  for (const [from, to] of variables) {
    const inner = template.slice(from + 1, to);
    if (!compile('regex.template_match', `^${inner}$`)) return undefined;
    pattern += `${RE2JS.quote(template.slice(end, from))}(${inner})`;
    end = to + 1;
  }
  return `${pattern}${RE2JS.quote(template.slice(end))}$`;
}

/** Where outermost delimiters stand; undefined when they are not balanced. */
function delimited(template: string, open: string, close: string): [from: number, to: number][] | undefined {
  const found: [number, number][] = [];
  let level = 0;
  for (let i = 0, from = 0; i < template.length; i += 1) {
    if (template[i] === open) {
      if (level === 0) from = i;
      level += 1;
    } else if (template[i] === close) {
      level -= 1;
      if (level === 0) found.push([from, i]);
      if (level < 0) return undefined;
    }
  }
  return level === 0 ? found : undefined;
}
