/**
 * Request headers that policy sees, as a line shows them: what is credentials by its name, and what repeats an argument or a
 * target of the message, is left out; a URI or a path goes without what lets in. All others are shown as they came.
 */
import { showUri } from '../check/shown-target.ts';

type HeaderTexts = Readonly<Record<string, string>>;

const CREDENTIALS = /authorization|cookie|token|secret|passw|credential|session|signature|assertion|jwt|api-?key|^x-auth(-|$)/;
/** Of SEP-2243: the target, which may be a URI and encoded, and arguments of a tool. */
const REPEATED = /^mcp-(name$|param-)/;
const HOLDS_URI = /^(referer|location|destination|link)$|-(uri|url|path)$/;

export interface ShownHeaders {
  readonly headers: HeaderTexts;
  /** Names of those that are not shown, or not whole. */
  readonly erased: readonly string[];
}

export function showHeaders(headers: HeaderTexts): ShownHeaders {
  const entries = Object.entries(headers);
  const shown = entries.flatMap(([name, value]): [string, string][] =>
    CREDENTIALS.test(name) || REPEATED.test(name) ? [] : [[name, HOLDS_URI.test(name) ? showUri(value) : value]],
  );
  const kept = Object.fromEntries(shown);
  return { headers: kept, erased: entries.filter(([name, value]) => kept[name] !== value).map(([name]) => name) };
}
