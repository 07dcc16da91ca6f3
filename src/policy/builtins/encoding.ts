/**
 * hex.*, base64url.encode_no_pad, urlquery.* and crypto digests and HMACs. OPA strings are bytes and ours
 * are not: decoding to something that is not UTF-8 is refused, since replacing those bytes would make
 * different secrets compare equal.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { type Builtin, byCodePoint, type Family, isObject, isText, isTextList, put, refuse } from './arguments.ts';

/** Go's default GODEBUG urlmaxqueryparams. */
const maxQueryParameters = 10_000;

export const encoding: Family = {
  'hex.encode': onText((text) => Buffer.from(text).toString('hex')),
  'hex.decode': onText((text) =>
    text.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(text) ? utf8('hex.decode', Buffer.from(text, 'hex')) : undefined,
  ),
  'base64url.encode_no_pad': onText((text) => Buffer.from(text).toString('base64url')),
  'urlquery.encode': onText(escapeQuery),
  'urlquery.decode': onText((text) => unescapeQuery('urlquery.decode', text)),
  'urlquery.encode_object': (object) => {
    if (!isObject(object)) return undefined;
    const pairs: string[] = [];
    for (const key of Object.keys(object).sort(byCodePoint)) {
      const values = isText(object[key]) ? [object[key]] : object[key];
      if (!isTextList(values)) return undefined;
      for (const value of values) pairs.push(`${escapeQuery(key)}=${escapeQuery(value)}`);
    }
    return pairs.join('&');
  },
  'urlquery.decode_object': onText(decodeQuery),
  'crypto.md5': onText((text) => createHash('md5').update(text).digest('hex')),
  'crypto.sha1': onText((text) => createHash('sha1').update(text).digest('hex')),
  'crypto.sha256': onText((text) => createHash('sha256').update(text).digest('hex')),
  'crypto.hmac.md5': hmac('md5'),
  'crypto.hmac.sha1': hmac('sha1'),
  'crypto.hmac.sha256': hmac('sha256'),
  'crypto.hmac.sha512': hmac('sha512'),
  'crypto.hmac.equal': (a, b) => {
    if (!isText(a) || !isText(b)) return undefined;
    const left = Buffer.from(a);
    const right = Buffer.from(b);
    return left.length === right.length && timingSafeEqual(left, right);
  },
};

function onText(decode: (text: string) => unknown): Builtin {
  return (text) => (isText(text) ? decode(text) : undefined);
}

function hmac(algorithm: string): Builtin {
  return (message, key) =>
    isText(message) && isText(key) ? createHmac(algorithm, key).update(message).digest('hex') : undefined;
}

/** The text these bytes encode; refused when they encode none. */
export function utf8(builtin: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse(builtin, 'decodes to bytes that are not UTF-8');
  }
}

/** url.QueryEscape: a space is "+", all but letters, digits and -_.~ is percent-encoded. */
function escapeQuery(text: string): string {
  const escaped = encodeURIComponent(text.toWellFormed()).replaceAll('%20', '+');
  return escaped.replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}

function unescapeQuery(builtin: string, text: string): string | undefined {
  return percentDecode(builtin, text.replaceAll('+', ' '));
}

/** Percent-decodes; undefined when a "%" is not followed by two hex digits. */
export function percentDecode(builtin: string, text: string): string | undefined {
  if (!text.includes('%')) return text;
  if (/%(?![0-9a-fA-F]{2})/.test(text)) return undefined;
  const bytes = Buffer.from(text).toString('latin1');
  const decoded = bytes.replace(/%(..)/gs, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return utf8(builtin, Buffer.from(decoded, 'latin1'));
}

/** url.ParseQuery: every value of a key in order; one bad pair spoils the whole. */
function decodeQuery(query: string): unknown {
  const pairs = query.split('&');
  if (pairs.length > maxQueryParameters) return undefined;
  const values = new Map<string, string[]>();
  for (const pair of pairs) {
    if (pair.includes(';')) return undefined;
    if (pair === '') continue;
    const cut = pair.includes('=') ? pair.indexOf('=') : pair.length;
    const key = unescapeQuery('urlquery.decode_object', pair.slice(0, cut));
    const value = unescapeQuery('urlquery.decode_object', pair.slice(cut + 1));
    if (key === undefined || value === undefined) return undefined;
    const list = values.get(key);
    if (list) list.push(value);
    else values.set(key, [value]);
  }
  const object = {};
  for (const [key, list] of values) put(object, key, list);
  return object;
}
