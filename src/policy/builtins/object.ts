/**
 * object.subset. A set arrives as an array, and the two differ here: an array is a subset where it
 * appears in one piece and in order, a set where its elements do. Connected to the instance (wire.ts) we
 * know which we have; otherwise an answer that depends on it is refused.
 */
import { canonical, type Family, isList, isObject, type JsonObject, refuse } from './arguments.ts';
import { readValue, type Wire } from './wire.ts';

const name = 'object.subset';

type Sequence = readonly string[];

export function objects(wire: Wire): Family {
  return {
    [name]: (superset, subset) => {
      const texts = wire.arguments(2).map((text) => text());
      const [whole, part] = texts.map((text) => text !== undefined && readValue(name, text));
      return texts.includes(undefined) ? isPart(superset, subset) : isPart(whole, part);
    },
  };
}

/** Undefined where OPA calls it a type error. */
function isPart(whole: unknown, part: unknown): boolean | undefined {
  if (isObject(whole) && isObject(part) && !isSetValue(whole) && !isSetValue(part)) {
    return contains(whole, part);
  }
  if (isList(whole) && isSetValue(part)) return holdsSet(sequence(whole), sequence(part));
  return sequencePart(whole, part);
}
