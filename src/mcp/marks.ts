/**
 * Which of several backends something came from, kept in its id: `0` of `ledger` is `ledger~0` to the client, and what the
 * client sends back finds its way. Marked are the ids of the backend's own requests and of its events; a JSON-RPC id keeps
 * its token behind the mark, so that 0 and "0" stay apart.
 */
import { quote } from '../json-text.ts';
import { type JsonDocument, readJsonText } from './json.ts';
import { isObject } from './message.ts';
import type { Span } from './scan.ts';
import { type Edit, findSpan } from './spans.ts';

const SEPARATOR = '~';

export interface Marked {
  readonly mark: string;
  readonly rest: string;
}

/** @param mark a backend's name: no tilde in it. */
export function writeMark(mark: string, rest: string): string {
  return `${mark}${SEPARATOR}${rest}`;
}

/** Null: nothing that was marked. */
export function readMark(text: string): Marked | null {
  const at = text.indexOf(SEPARATOR);
  return at < 1 ? null : { mark: text.slice(0, at), rest: text.slice(at + 1) };
}

/** The same of a JSON-RPC id: `rest` is a JSON token that is an id and nothing else, to be put into a message as it is. */
export function readMarkedId(text: string): Marked | null {
  const marked = readMark(text);
  return marked !== null && isIdToken(marked.rest) ? marked : null;
}

function isIdToken(token: string): boolean {
  if (/^-?(0|[1-9]\d{0,63})$/.test(token)) return true;
  return token.startsWith('"') && token.endsWith('"') && readJsonText(token, { maxDepth: 1 }).ok;
}

/** What marks a backend's message: its id if it is a request, the id it names if it takes a request back. */
export function markIds({ value, text, members }: JsonDocument, mark: string): Edit[] {
  if (!isObject(value) || typeof value.method !== 'string') return [];
  const id = members.get('id');
  if (id !== undefined) return value.id === null ? [] : [markToken(text, id, mark)];
  if (value.method !== 'notifications/cancelled' || !isObject(value.params)) return [];
  const { requestId } = value.params;
  const isId = typeof requestId === 'string' || typeof requestId === 'number';
  return isId ? [markToken(text, findSpan(text, ['params', 'requestId']) as Span, mark)] : [];
}

function markToken(text: string, span: Span, mark: string): Edit {
  return { span, put: quote(writeMark(mark, text.slice(...span))) };
}
