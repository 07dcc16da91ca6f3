/** Where a merged list goes on: each backend's own cursor, for those that have more. A client hands it back unread. */
import { isObject } from '../mcp/message.ts';

/** By the backend's name. */
export type Cursors = ReadonlyMap<string, string>;

export function writeCursor(cursors: Cursors): string {
  return Buffer.from(JSON.stringify(Object.fromEntries(cursors))).toString('base64url');
}

/** Null: none of ours, or for backends that are not here any more. */
export function readCursor(cursor: string, known: ReadonlySet<string>): Cursors | null {
  const bytes = Buffer.from(cursor, 'base64url');
  if (bytes.toString('base64url') !== cursor) return null;
  const value = parse(bytes.toString('utf8'));
  if (!isObject(value)) return null;
  const entries = Object.entries(value);
  const isOurs = entries.length > 0 && entries.every(([name, one]) => known.has(name) && typeof one === 'string');
  return isOurs ? new Map(entries as [string, string][]) : null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
