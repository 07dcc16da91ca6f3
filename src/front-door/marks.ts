/**
 * Marks: what a backend numbers by itself (its requests, events and tasks) gets the backend's name in front before a client
 * sees it, so that what comes back finds its way.
 */
import { isObject, type JsonObject } from '../mcp/message.ts';
import { parseExact } from './exact-json.ts';

export function addMark(member: string, value: string): string {
  return `${member}~${value}`;
}

export interface Mark {
  readonly member: string;
  /** As the backend wrote it. */
  readonly value: string;
}

/** Null: no mark. */
export function readMark(marked: string): Mark | null {
  const at = marked.indexOf('~');
  return at < 1 ? null : { member: marked.slice(0, at), value: marked.slice(at + 1) };
}

/** A message of a backend with its request id and task ids marked; null where it is none. */
export function markMessage(member: string, text: string): { readonly text: string; readonly message: JsonObject } | null {
  const message = parseExact(text);
  if (message === null) return null;
  const id = message.method !== undefined && message.id !== undefined ? addMark(member, JSON.stringify(message.id)) : message.id;
  const { params } = message;
  const isTask = isObject(params) && typeof params.taskId === 'string';
  const marked: JsonObject = {
    ...message,
    ...(id === undefined ? {} : { id }),
    ...(isTask ? { params: { ...params, taskId: addMark(member, params.taskId as string) } } : {}),
  };
  return { message: marked, text: JSON.stringify(marked) };
}
