/**
 * JSON that is read to be changed in one place and passed on: numbers are kept as they are written, since an id or an amount
 * may be one that a double does not hold.
 */
import { isObject, type JsonObject } from '../mcp/message.ts';

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
const { rawJSON, isRawJSON } = JSON as unknown as {
  rawJSON: (text: string) => unknown;
  isRawJSON: (value: unknown) => boolean;
};

/** Null: not one JSON object. A number in it is what `exactNumber` gives, not a number. */
export function parseExact(text: string): JsonObject | null {
  const revive: Reviver = (_key, value, { source }) => (typeof value === 'number' ? rawJSON(source as string) : value);
  try {
    const value: unknown = JSON.parse(text, revive as (key: string, value: unknown) => unknown);
    return isObject(value) && !isRawJSON(value) ? value : null;
  } catch {
    return null;
  }
}

/** A JSON token to be written as it is: the id of a request, which is echoed as it was sent. */
export function rawToken(token: string): unknown {
  return rawJSON(token);
}

/** What `parseExact` made of a value, as ordinary JSON. */
export function plainValue(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}
