/**
 * Where a server's message names a task of its own, in the tasks of 2025-11-25 and in the extension
 * `io.modelcontextprotocol/tasks` (SEP-2663). Nowhere else is a `taskId` a task's: not in content, structuredContent or
 * arguments, and not in the params of a server's request, where the task is the client's.
 */
import { quote } from '../json-text.ts';
import type { JsonDocument } from './json.ts';
import { isObject, type JsonObject } from './message.ts';
import type { Span } from './scan.ts';
import { type Edit, elementSpans, findSpan, type Path } from './spans.ts';

/** Where task ids may stand: at a path, or at a path in each element of the list there. */
interface Place {
  readonly path: Path;
  readonly each?: Path;
}

const RELATED_TASK: Path = ['_meta', 'io.modelcontextprotocol/related-task', 'taskId'];

const IN_RESULTS: readonly Place[] = [
  { path: ['result', ...RELATED_TASK] },
  { path: ['result', 'taskId'] },
  { path: ['result', 'task', 'taskId'] },
  { path: ['result', 'tasks'], each: ['taskId'] },
];
const IN_CALLS: Place = { path: ['params', ...RELATED_TASK] };
const IN_STATUS: Place = { path: ['params', 'taskId'] };
const IN_ACKNOWLEDGEMENT: Place = { path: ['params', 'notifications', 'taskIds'], each: [] };

export function replaceTaskIds({ value, text }: JsonDocument, replace: (taskId: string) => string): Edit[] {
  if (!isObject(value)) return [];
  return placesIn(value)
    .flatMap((place) => findIds(text, value, place))
    .map(({ id, span }) => ({ span, put: quote(replace(id)) }));
}

function placesIn(message: JsonObject): readonly Place[] {
  const { method } = message;
  if (typeof method !== 'string') return IN_RESULTS;
  if (Object.hasOwn(message, 'id')) return [IN_CALLS];
  if (method.startsWith('notifications/tasks')) return [IN_CALLS, IN_STATUS];
  return method === 'notifications/subscriptions/acknowledged' ? [IN_CALLS, IN_ACKNOWLEDGEMENT] : [IN_CALLS];
}

interface Found {
  readonly id: string;
  readonly span: Span;
}

function findIds(text: string, message: JsonObject, { path, each }: Place): Found[] {
  const value = valueAt(message, path);
  if (each === undefined) return typeof value === 'string' ? [{ id: value, span: findSpan(text, path) as Span }] : [];
  if (!Array.isArray(value)) return [];
  return elementSpans(text, findSpan(text, path) as Span).flatMap((span, at) => {
    const id = valueAt(value[at], each);
    return typeof id === 'string' ? [{ id, span: findSpan(text, each, span) as Span }] : [];
  });
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const step of path) at = isObject(at) && Object.hasOwn(at, step) ? at[step] : undefined;
  return at;
}
