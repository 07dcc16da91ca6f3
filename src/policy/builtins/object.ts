/**
 * object.subset. A set arrives as an array, and the two differ here: an array is part of another where
 * it appears in one piece and in order, a set where its elements do. Connected to the instance (wire.ts)
 * we know which we have; otherwise an answer that depends on it is refused.
 */
import { canonical, type Family, isList, isObject, isSet, type JsonObject, refuse } from './arguments.ts';
import { occurrences } from './strings.ts';
import { readValue, type Wire } from './wire.ts';

const name = 'object.subset';

/** Whether two arrays contain one another, when they may be sets or are known not to be. */
type CompareLists = (whole: readonly unknown[], part: readonly unknown[]) => boolean;

export function objects(wire: Wire): Family {
  return {
    [name]: (superset, subset) => {
      const [whole, part] = wire.arguments(2).map((text) => text());
      if (whole === undefined || part === undefined) return top(superset, subset, eitherPart);
      return top(readValue(name, whole), readValue(name, part), listPart);
    },
  };
}

function top(whole: unknown, part: unknown, compare: CompareLists): boolean | undefined {
  if (isObject(whole) && isObject(part)) return objectPart(whole, part, compare);
  if (isSet(whole) && isSet(part)) return elementsPart([...whole], [...part]);
  if (isList(whole) && isList(part)) return compare(whole, part);
  if (!isList(whole) || !isSet(part)) return undefined;
  return whole.length > 0 && elementsPart(whole, [...part]); // OPA: [] does not hold set()
}

function objectPart(whole: JsonObject, part: JsonObject, compare: CompareLists): boolean {
  return Object.keys(part).every((key) => Object.hasOwn(whole, key) && nested(whole[key], part[key], compare));
}

function nested(whole: unknown, part: unknown, compare: CompareLists): boolean {
  if (isObject(whole) && isObject(part)) return objectPart(whole, part, compare);
  if (isSet(whole) && isSet(part)) return elementsPart([...whole], [...part]);
  if (isList(whole) && isList(part)) return compare(whole, part);
  return canonical(name, whole) === canonical(name, part);
}

function elementsPart(whole: readonly unknown[], part: readonly unknown[]): boolean {
  const elements = new Set(whole.map((item) => canonical(name, item)));
  return part.every((item) => elements.has(canonical(name, item)));
}

function listPart(whole: readonly unknown[], part: readonly unknown[]): boolean {
  const texts = (items: readonly unknown[]) => items.map((item) => canonical(name, item));
  return part.length === 0 || occurrences(texts(whole), texts(part), false).length > 0;
}

function eitherPart(whole: readonly unknown[], part: readonly unknown[]): boolean {
  if (listPart(whole, part)) return true;
  if (!elementsPart(whole, part)) return false;
  const repeats = new Set(part.map((item) => canonical(name, item))).size < part.length;
  return repeats ? false : refuse(name, 'an array and a set would differ, and look alike here');
}
