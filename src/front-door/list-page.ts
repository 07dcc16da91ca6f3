/**
 * One backend's page of a list, read so that its items can go on as they were written. Refused: what is no list, an item
 * without its name, a name twice, in this page, and names that some parser would take from another member.
 */
import type {
  ListPromptsResult,
  ListResourcesResult,
  ListResourceTemplatesResult,
  ListToolsResult,
} from '@modelcontextprotocol/server';
import { quote } from '../json-text.ts';
import { hasLookAlike, type KnownKeys, knownKeys } from '../mcp/keys.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import type { Span } from '../mcp/scan.ts';
import { elementSpans, memberSpans } from '../mcp/spans.ts';
import { AnswerInvalid } from './events.ts';
import type { Answer } from './messages.ts';

export interface ListKind {
  readonly method: string;
  /** The member of the result that holds the items. */
  readonly items: string;
  /** The member by which an item is known. */
  readonly key: string;
  /** Names get the backend's prefix, addresses stay. */
  readonly isPrefixed: boolean;
  /** Of a backend that has such a list at all. */
  readonly capability: string;
}

type ItemOf<T> = T extends readonly (infer Item)[] ? Item : never;

/** Holds the names above against the official types. */
function kind<R extends object, I extends keyof R & string>(
  method: string,
  items: I,
  key: keyof ItemOf<R[I]> & string,
  rest: Pick<ListKind, 'isPrefixed' | 'capability'>,
): ListKind {
  return { method, items, key, ...rest };
}

export const LIST_KINDS: readonly ListKind[] = [
  kind<ListToolsResult, 'tools'>('tools/list', 'tools', 'name', { isPrefixed: true, capability: 'tools' }),
  kind<ListPromptsResult, 'prompts'>('prompts/list', 'prompts', 'name', { isPrefixed: true, capability: 'prompts' }),
  kind<ListResourcesResult, 'resources'>('resources/list', 'resources', 'uri', { isPrefixed: false, capability: 'resources' }),
  kind<ListResourceTemplatesResult, 'resourceTemplates'>('resources/templates/list', 'resourceTemplates', 'uriTemplate', {
    isPrefixed: false,
    capability: 'resources',
  }),
];

export interface Item {
  /** Without prefix. */
  readonly name: string;
  readonly text: string;
  /** Of the name's value, in `text`. */
  readonly nameSpan: Span;
}

export interface Page {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
  readonly ttlMs: number;
}

const MAX_CURSOR = 4096;
const KNOWN: Readonly<Record<string, KnownKeys>> = Object.fromEntries(
  ['name', 'uri', 'uriTemplate'].map((key) => [key, knownKeys([key])]),
);

/** @param maxItems beyond them nothing is read: each is judged, and all callers wait meanwhile. */
export function readPage(
  { text, span, result }: Extract<Answer, { kind: 'result' }>,
  { items, key }: ListKind,
  maxItems: number,
): Page {
  const listed = result[items];
  const { nextCursor = null, ttlMs, resultType = 'complete' } = result;
  const start = memberSpans(text, span[0])?.get(items)?.[0];
  if (!Array.isArray(listed) || start === undefined || resultType !== 'complete') throw new AnswerInvalid(`no list of ${items}`);
  if (listed.length > maxItems) throw new AnswerInvalid(`more than ${maxItems} ${items}`);
  if (nextCursor !== null && (typeof nextCursor !== 'string' || nextCursor.length > MAX_CURSOR)) {
    throw new AnswerInvalid('the cursor is malformed');
  }
  const read = elementSpans(text, [start, start]).map((element, at) => readItem(text.slice(...element), listed[at], key));
  if (new Set(read.map(({ name }) => name)).size < read.length) throw new AnswerInvalid(`the same ${key} twice in one list`);
  return { items: read, nextCursor, ttlMs: Number.isSafeInteger(ttlMs) && (ttlMs as number) > 0 ? (ttlMs as number) : 0 };
}

function readItem(text: string, value: unknown, key: string): Item {
  const name = isObject(value) ? value[key] : undefined;
  if (typeof name !== 'string' || name === '') throw new AnswerInvalid(`an item without a ${key}`);
  const nameSpan = memberSpans(text, 0)?.get(key);
  if (nameSpan === undefined || hasLookAlike(value as JsonObject, KNOWN[key] as KnownKeys)) {
    throw new AnswerInvalid(`an item whose ${key} is ambiguous`);
  }
  return { name, text, nameSpan };
}

/** The item as it was written, but for its name. */
export function renameItem({ text, nameSpan: [start, end] }: Item, name: string): string {
  return text.slice(0, start) + quote(name) + text.slice(end);
}
