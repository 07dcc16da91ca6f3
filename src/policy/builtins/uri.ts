/**
 * uri.parse and uri.is_valid: Go's net/url, which is neither WHATWG nor quite RFC 3986. A URL it rejects
 * is undefined (parse) or false (is_valid); a part that decodes to bytes that are not UTF-8 is refused.
 */

import { readAddress } from './addresses.ts';
import { type Family, isText } from './arguments.ts';
import { percentDecode } from './encoding.ts';

interface Uri {
  readonly scheme: string;
  readonly host: string;
  readonly path: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly fragment: string;
}

/** What may stand bare in a host; "%" is looked at apart. */
const hostText = /^[-A-Za-z0-9._~!$&'()*+,;=:[\]<>"%\x80-\u{10ffff}]*$/u;

/** Percent-decodes, or only sees that one could; undefined when a "%" is not followed by two hex digits. */
type Decode = (text: string) => string | undefined;

const decodeEscapes: Decode = (text) => percentDecode('uri.parse', text);
const checkEscapes: Decode = (text) => (/%(?![0-9a-fA-F]{2})/.test(text) ? undefined : text);

export const uri: Family = {
  'uri.is_valid': (text) => isText(text) && text !== '' && parse(checkEscapes, text) !== undefined,
  'uri.parse': (text) => {
    const parsed = isText(text) ? parse(decodeEscapes, text) : undefined;
    return parsed && describe(parsed);
  },
};

function describe({ scheme, host, path, rawPath, rawQuery, fragment }: Uri): unknown {
  const [hostname, port] = splitPort(host);
  const parts = { scheme, hostname, port, path, raw_path: rawPath, raw_query: rawQuery, fragment };
  return Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== ''));
}

function parse(decode: Decode, text: string): Uri | undefined {
  const [before, rawFragment] = cut(text, '#');
  const fragment = decode(rawFragment);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what we look for
  if (fragment === undefined || /[\x00-\x1f\x7f]/.test(before)) return undefined;
  const empty = { scheme: '', host: '', path: '', rawPath: '', rawQuery: '', fragment };
  if (before === '*') return { ...empty, path: '*', rawPath: '*' };
  if (before.startsWith(':')) return undefined;
  const scheme = /^[a-zA-Z][-a-zA-Z0-9+.]*(?=:)/.exec(before)?.[0] ?? '';
  const [rest, rawQuery] = cut(before.slice(scheme === '' ? 0 : scheme.length + 1), '?');
  const known = { ...empty, scheme: scheme.toLowerCase(), rawQuery };
  if (!rest.startsWith('/') && scheme !== '') return known;
  if (!rest.startsWith('/') && (rest.split('/', 1)[0] ?? '').includes(':')) return undefined;
  return withHostAndPath(decode, known, rest);
}

function withHostAndPath(decode: Decode, known: Uri, rest: string): Uri | undefined {
  const hasAuthority = rest.startsWith('//') && (known.scheme !== '' || !rest.startsWith('///'));
  const slash = hasAuthority ? rest.indexOf('/', 2) : 0;
  const rawPath = slash < 0 ? '' : rest.slice(slash);
  const authority = hasAuthority ? rest.slice(2, slash < 0 ? undefined : slash) : '';
  const host = readAuthority(decode, known.scheme, authority);
  const path = decode(rawPath);
  if (host === undefined || path === undefined) return undefined;
  return { ...known, host, path, rawPath: rawPath === escapePath(path) ? path : rawPath };
}

/** What Go would write for a path; only another spelling is kept as the raw one. */
function escapePath(path: string): string {
  const escaped = encodeURI(path.toWellFormed());
  return escaped.replace(/[!'()*?#]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}

function readAuthority(decode: Decode, scheme: string, authority: string): string | undefined {
  const at = authority.lastIndexOf('@');
  const user = authority.slice(0, Math.max(at, 0));
  const host = readHost(decode, scheme, authority.slice(at + 1));
  if (!/^[-A-Za-z0-9._:~!$&'()*+,;=%@]*$/.test(user) || /%(?![0-9a-fA-F]{2})/.test(user)) return undefined;
  return host;
}

function readHost(decode: Decode, scheme: string, host: string): string | undefined {
  const open = host.lastIndexOf('[');
  if (open > 0) return undefined;
  if (open === 0) return readLiteral(decode, host);
  const first = host.indexOf(':');
  const colon = /^https?$/.test(scheme) ? first : host.lastIndexOf(':');
  if (first >= 0 && !isPort(host.slice(colon))) return undefined;
  return decodeHost(decode, host);
}

/** "[fe80::1%25en0]:80": RFC 3986 section 3.2.2, with the zone of RFC 6874. */
function readLiteral(decode: Decode, host: string): string | undefined {
  const close = host.lastIndexOf(']');
  const port = host.slice(close + 1);
  if (close < 0 || !isPort(port)) return undefined;
  const inner = host.slice(1, close);
  const zoneAt = inner.includes('%25') ? inner.indexOf('%25') : inner.length;
  const address = decodeHost(decode, inner.slice(0, zoneAt));
  const zone = decodeZone(decode, inner.slice(zoneAt));
  if (address === undefined || zone === undefined || zone === '%') return undefined;
  const isV6 = address.includes(':') && readAddress(address) !== undefined;
  return isV6 ? `[${address}${zone}]${port}` : undefined;
}

/** In a host only bytes that are not ASCII may be percent-encoded, and few signs may stand bare. */
function decodeHost(decode: Decode, text: string): string | undefined {
  const escapesAscii = /%[0-7](?!5)|%[013-7]5/.test(text);
  return escapesAscii || !hostText.test(text) ? undefined : decode(text);
}

function decodeZone(decode: Decode, text: string): string | undefined {
  for (const [escaped] of text.matchAll(/%[0-9a-fA-F]{2}/g)) {
    const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    const allowed = character === ' ' || (character < '\x80' && hostText.test(character));
    if (escaped !== '%25' && !allowed) return undefined;
  }
  return hostText.test(text) ? decode(text) : undefined;
}

function isPort(text: string): boolean {
  return /^(?::[0-9]*)?$/.test(text);
}

function splitPort(host: string): [string, string] {
  const colon = host.lastIndexOf(':');
  const hasPort = colon >= 0 && isPort(host.slice(colon));
  const name = hasPort ? host.slice(0, colon) : host;
  const bare = name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name;
  return [bare, hasPort ? host.slice(colon + 1) : ''];
}

function cut(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
