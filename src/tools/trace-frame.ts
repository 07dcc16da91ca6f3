/** What is known of the variables in one body while OPA evaluates it: their values, and where in `input` or `data` these stand. */
import { findReferences, type Path, pathText, type Reference, type Segment } from './trace-refs.ts';

interface Bound {
  /** JSON as the trace has it, perhaps cut. */
  readonly value?: string;
  /** What it was read by: resolved again with each value, since what it goes through may have changed. */
  readonly reference?: Reference;
  readonly origin?: Path;
}

export interface Places {
  /** Where a value was read that is passed on: by its text, by the rule that had it. */
  readonly byText: Map<string, Path>;
  readonly byRule: Map<string, Path>;
  /** What functions gave back, by the variable of the caller. */
  readonly returned: Map<string, string>;
  /** Whether a path of `data` is that of a rule. */
  readonly isRule: (path: Path) => boolean;
}

export interface Frame {
  readonly bind: (unified: string) => void;
  /** Where a reference leads, as far as its variables are known. */
  readonly resolve: (reference: Reference) => Path | null;
  /** All places in `input` and in base documents of `data` that an expression names. */
  readonly pathsOf: (expression: string) => Path[];
  /** The expression with values in the place of variables. */
  readonly plug: (expression: string) => string;
}

const VARIABLE = /^__local\d+__$/;
const MAX_VALUE = 120;
/** Less than what the trace leaves of a value, wherever it stands in its event. */
const MAX_KEY = 300;

export function createFrame(places: Places): Frame {
  const bound = new Map<string, Bound>();
  /** Variables of the caller by those of this body that have their values. */
  const returns = new Map<string, string>();
  /** What was bound to a variable whose name the trace has cut off, and the variable it must be if it is not a parameter. */
  let nameless: string[] = [];
  let asked: string | null = null;
  let tested: Reference | null = null;

  function valueTextOf(variable: string): string | undefined {
    return bound.get(variable)?.value ?? places.returned.get(variable);
  }

  function segmentOf(segment: Reference['segments'][number]): Segment | null {
    if (typeof segment !== 'object') return segment;
    const text = valueTextOf(segment.variable);
    const value = text === undefined ? null : parse(text);
    return typeof value === 'string' || typeof value === 'number' ? value : null;
  }

  function follow({ head, segments }: Reference): { readonly path: Path | null; readonly isWhole: boolean } {
    let path: Path | null = VARIABLE.test(head)
      ? (bound.get(head)?.origin ?? null)
      : { root: head as Path['root'], segments: [] };
    for (const segment of segments) {
      const next = segmentOf(segment);
      if (path === null || next === null) return { path, isWhole: false };
      path = { root: path.root, segments: [...path.segments, next] };
      path = places.byRule.get(pathText(path)) ?? path;
    }
    return { path, isWhole: path !== null };
  }

  function resolve(reference: Reference): Path | null {
    return follow(reference).path;
  }

  function set(variable: string, more: Bound): void {
    bound.set(variable, { ...bound.get(variable), ...more });
  }

  /** `variable = reference`, `variable = value` or the other way round. */
  function bind(unified: string): void {
    const [left, right] = splitEquation(unified);
    const [variable, other] = VARIABLE.test(left) ? [left, right] : [right, left];
    if (right === '' && unified.endsWith('…')) bindNameless(unified);
    else if (right === '_') bindNothing(left);
    else if (VARIABLE.test(other)) returns.set(other, variable);
    else if (VARIABLE.test(variable) && other !== '') bindVariable(variable, other);
  }

  function bindVariable(variable: string, other: string): void {
    nameParameters(variable);
    const [reference] = findReferences(other);
    if (reference !== undefined && reference.end - reference.start === other.length) {
      const origin = resolve(reference);
      set(variable, origin === null ? { reference } : { reference, origin });
      asked = variable;
      tested = null;
    } else if (!/__local\d+__/.test(other)) remember(variable, other);
  }

  /** An expression that is only asked whether it is true: of a rule it tells where that has its value from. */
  function bindNothing(left: string): void {
    const [reference] = findReferences(left);
    if (reference !== undefined && reference.end - reference.start === left.length) tested = reference;
    else placeTested(left);
  }

  function placeTested(value: string): void {
    const rule = tested === null ? null : resolve(tested);
    tested = null;
    if (rule !== null && places.isRule(rule)) placeOf(value, rule);
  }

  function bindNameless(value: string): void {
    if (tested !== null) placeTested(value);
    else if (asked !== null) remember(asked, value);
    else nameless.push(value);
    asked = null;
  }

  /** Parameters have numbers in a row: those before this one are the ones whose names were cut off. */
  function nameParameters(next: string): void {
    const values = nameless;
    nameless = [];
    const first = numberOf(next) - values.length;
    for (const [index, value] of values.entries()) remember(`__local${first + index}__`, value);
  }

  /** Where all of them were cut off, the first that is looked into is taken for the first parameter. */
  function nameByUse(references: readonly Reference[]): void {
    if (nameless.length === 0) return;
    const unknown = references.find(({ head, segments }) => VARIABLE.test(head) && segments.length > 0 && !bound.has(head));
    if (unknown !== undefined) nameParameters(`__local${numberOf(unknown.head) + nameless.length}__`);
  }

  function remember(variable: string, value: string): void {
    const { reference, origin } = bound.get(variable) ?? {};
    const read = (reference === undefined ? null : resolve(reference)) ?? origin ?? null;
    const place = placeOf(value, read);
    set(variable, place === null ? { value } : { value, origin: place });
    const outer = returns.get(variable);
    if (outer !== undefined) places.returned.set(outer, value);
  }

  /** A value that was read at a place is known there from now on; one that a rule gave back stands where the rule had it from. */
  function placeOf(value: string, read: Path | null): Path | null {
    const text = value.slice(0, MAX_KEY);
    if (read !== null && !places.isRule(read)) {
      places.byText.set(text, read);
      return read;
    }
    const passedOn = /^[[{]./.test(value) ? places.byText.get(text) : undefined;
    if (passedOn !== undefined && read !== null) places.byRule.set(pathText(read), passedOn);
    return passedOn ?? read;
  }

  function pathsOf(expression: string): Path[] {
    const references = findReferences(expression);
    nameByUse(references);
    return references
      .map(resolve)
      .filter((path): path is Path => path !== null && path.segments.length > 0 && !places.isRule(path));
  }

  /** A variable by its value; what is looked up by the place where it is. */
  function show(reference: Reference): string | null {
    const { head, segments } = reference;
    if (segments.length === 0) {
      const value = valueTextOf(head);
      return value === undefined ? null : cut(value);
    }
    const { path, isWhole } = follow(reference);
    return isWhole && path !== null && !places.isRule(path) ? pathText(path) : null;
  }

  function plug(expression: string): string {
    let plugged = expression;
    for (const reference of findReferences(expression).reverse()) {
      const shown = show(reference);
      if (shown !== null) plugged = plugged.slice(0, reference.start) + shown + plugged.slice(reference.end);
    }
    return plugged;
  }

  return { bind, resolve, pathsOf, plug };
}

function numberOf(variable: string): number {
  return Number(variable.slice('__local'.length, -2));
}

/** At the one ` = ` outside of strings. */
export function splitEquation(text: string): [left: string, right: string] {
  const parts = /^((?:[^"=]|"(?:[^"\\]|\\.)*"|=(?! )|(?<! )=)*?) = (.*)$/s.exec(text);
  return parts === null ? [text, ''] : [parts[1] as string, parts[2] as string];
}

export function cut(text: string): string {
  return text.length <= MAX_VALUE ? text : `${text.slice(0, MAX_VALUE).toWellFormed()}…`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
