/**
 * What a message is about, as it may be written down. The URI of a resource can let in whoever has it: user and password,
 * query, fragment and parameters are left out, also of a template, of a URI within a URI, and of what is no valid one. What
 * lets in by its path cannot be told from a name.
 */
import type { Target } from '../mcp/methods.ts';

/** Most names have none of these. */
const SUSPECT = /[?#@;]|%3a|%40|^\s*data:/i;
const CONTENT = /^(\s*data:).*$/is;
/** A template has its expression around it: `{?name}`. */
const QUERY = /\{?[?#].*$/s;
/** A URI that is written into another one, encoded. */
const ENCODED = /%3a(%2f|\/){2}.*$/is;
const PARAMETER = /;[^/;]*=[^/;]*/g;
const USER = /:\/\/[^/]*@/g;
const USER_SIGN = /@|%40/i;
/** Up to the last sign of a user, but the scheme. */
const UP_TO_HOST = /^([a-z][a-z\d+.-]*:)?.*(@|%40)/is;

/** The same name where nothing had to be left out. */
export function showTarget({ type, name }: Target): string {
  return type === 'resource' || type === 'resource_template' ? showUri(name) : name;
}

export function showUri(uri: string): string {
  if (!SUSPECT.test(uri)) return uri;
  const kept = uri.replace(CONTENT, '$1…').replace(QUERY, '?…').replace(ENCODED, '%3A…').replace(PARAMETER, ';…');
  if (hasUser(kept.replace(USER, '://'))) return kept.replace(UP_TO_HOST, '$1…@');
  return kept.replace(USER, '://…@');
}

/** Whether a user may still be where it is not sought: in what is no valid URI, or has no path that could have such a sign. */
function hasUser(uri: string): boolean {
  if (!USER_SIGN.test(uri)) return false;
  const url = URL.parse(uri);
  return url === null || url.username !== '' || url.password !== '' || !url.pathname.startsWith('/');
}
