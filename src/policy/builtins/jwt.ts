/**
 * io.jwt.decode: the header, the payload and the signature (in hex) of a JWS, nothing verified. It says
 * what a token claims, not what is true: the claims we verified are in the input. Numbers keep their
 * digits. Refuses JWE, as OPA does, and JSON nested too deep to hand on.
 */
import { exactNumber, type Family, isObject, isText, type JsonObject, limits, put, refuse } from './arguments.ts';

const name = 'io.jwt.decode';

export const jwt: Family = {
  [name]: (token) => (isText(token) ? decode(token) : undefined),
};

function decode(token: string): unknown {
  const parts = token.split('.', 4);
  if (parts.length !== 3) return undefined;
  const [header, payload, signature] = parts;
  const fields = readObject(base64url(header));
  const body = base64url(payload);
  if (fields === undefined || body === undefined || Object.hasOwn(fields, 'enc')) return undefined;
  if (fields.cty === 'JWT') {
    return decode(body.toString().replace(/^["']+|["']+$/g, ''));
  }
  const claims = readObject(body);
  const signed = base64url(signature);
  return claims && signed && [fields, claims, signed.toString('hex')];
}

/** Padded or not; line breaks are skipped, as Go's decoder does. Undefined when it is not base64url. */
function base64url(text = ''): Buffer | undefined {
  const padding = text.endsWith('=') ? '' : { 0: '', 2: '==', 3: '=' }[text.length % 4];
  if (padding === undefined) return undefined;
  const padded = (text + padding).replaceAll(/[\r\n]/g, '');
  const digits = padded.replace(/={1,2}$/, '');
  if (padded.length % 4 !== 0 || /[^-\w]/.test(digits)) return undefined;
  return Buffer.from(digits, 'base64url');
}

function readObject(json: Buffer | undefined): JsonObject | undefined {
  const text = json?.toString() ?? '';
  if (depthOf(text) > limits.depth) refuse(name, `JSON nested deeper than ${limits.depth}`);
  try {
    const value: unknown = JSON.parse(text, asGoReads);
    return /^\s*\{/.test(text) && isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A reviver: numbers keep their digits, and half a surrogate pair becomes U+FFFD. */
function asGoReads(this: unknown, _key: string, value: unknown, context?: { source?: string }): unknown {
  if (isText(value)) return value.toWellFormed();
  if (typeof value === 'number') {
    const source = context?.source ?? String(value);
    return String(value) === source ? value : exactNumber(source);
  }
  if (!isObject(value) || Object.keys(value).every((key) => key.isWellFormed())) return value;
  const object = {};
  for (const key of Object.keys(value)) put(object, key.toWellFormed(), value[key]);
  return object;
}

/** How deep brackets nest, not counting those within strings. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}]/gs)) {
    if (token === '[' || token === '{') depth += 1;
    else if (token === ']' || token === '}') depth -= 1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}
