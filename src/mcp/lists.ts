/**
 * Lists that a server answers with, cut down to what their reader may use. Refused as `list_invalid`: what is not the list
 * that was asked for, has too many items, an item without a name or a name twice, or cannot be read strictly.
 * What stays goes on byte for byte: items and their order, nextCursor, _meta, ttlMs, members that nobody knows.
 */
import { deny, ok, type Result } from '../result.ts';
import type { Denial } from '../verdict.ts';
import type { JsonDocument, JsonLimits } from './json.ts';
import { isObject, type JsonObject } from './message.ts';
import type { Target } from './methods.ts';
import type { Era } from './revisions.ts';
import type { Span } from './scan.ts';
import { type Edit, elementSpans, findSpan } from './spans.ts';

export interface ListRow {
  readonly method: string;
  /** The result's member that holds the items. */
  readonly member: string;
  /** The member that names an item. */
  readonly naming: string;
  /** The method that uses an item: who may not call it does not see it. */
  readonly asks: string;
  readonly target: Target['type'];
}

const ROWS: readonly ListRow[] = [
  { method: 'tools/list', member: 'tools', naming: 'name', asks: 'tools/call', target: 'tool' },
  { method: 'prompts/list', member: 'prompts', naming: 'name', asks: 'prompts/get', target: 'prompt' },
  { method: 'resources/list', member: 'resources', naming: 'uri', asks: 'resources/read', target: 'resource' },
  {
    method: 'resources/templates/list',
    member: 'resourceTemplates',
    naming: 'uriTemplate',
    asks: 'resources/read',
    target: 'resource_template',
  },
];

/** Every method that lists, with what its answer looks like. */
export const LISTS: ReadonlyMap<string, ListRow> = new Map(ROWS.map((row) => [row.method, row]));

export const MAX_ITEMS = 10_000;
/** Characters, as of a name that is called. */
const MAX_NAME = 2048;

/** An item and its name. */
export interface ListItem {
  readonly name: string;
  readonly value: JsonObject;
}

/** Which of these may be shown, in the same order. */
export type Keep = (items: readonly ListItem[], row: ListRow) => Promise<Result<readonly boolean[]>>;

export interface FilterRules {
  readonly row: ListRow;
  readonly era: Era;
  readonly maxItems?: number;
  readonly keep: Keep;
}

export interface FilteredList {
  readonly edits: readonly Edit[];
  readonly shown: number;
  readonly hidden: number;
}

/** How strictly an answer is read: schemas carry the limits of int64, which no double holds. */
export const ANSWER_LIMITS: Omit<JsonLimits, 'maxBytes'> = { maxDepth: 128, takesAnyNumber: true };

function refuseList(what: string): Result<never> {
  return deny(listDenial(what));
}

/** @param what is wrong, in a few words of ours: for the log. */
export function listDenial(what: string): Denial {
  return { reason: 'list_invalid', cause: what };
}

const ANSWER_MEMBERS = new Set(['jsonrpc', 'id', 'result', 'error']);

/** Whether it is a response to this request, whose id is a JSON token, and nothing else besides. */
export function isAnswerTo({ value, text, members }: JsonDocument, requestId: string): boolean {
  if (!isObject(value) || value.jsonrpc !== '2.0' || !Object.keys(value).every((key) => ANSWER_MEMBERS.has(key))) return false;
  const span = members.get('id');
  if (span === undefined || !isSameId(text.slice(...span), requestId)) return false;
  return Object.hasOwn(value, 'result') ? isObject(value.result) && !Object.hasOwn(value, 'error') : isObject(value.error);
}

/** A string may be written in several ways, a number in one. */
export function isSameId(token: string, other: string): boolean {
  return token === other || (token.startsWith('"') && other.startsWith('"') && JSON.parse(token) === JSON.parse(other));
}

/** The row whose list a result holds, by its shape; undefined: of none. */
export function findListIn(result: JsonObject): ListRow | undefined {
  return ROWS.find(({ member }) => Object.hasOwn(result, member));
}

/** @param document a response with a result. */
export async function filterResult(
  { value, text, members }: JsonDocument,
  { row, era, maxItems = MAX_ITEMS, keep }: FilterRules,
): Promise<Result<FilteredList>> {
  const result = (value as { readonly result: JsonObject }).result;
  const items = Object.hasOwn(result, row.member) ? result[row.member] : undefined;
  if (!Array.isArray(items)) return refuseList(`no ${row.member}`);
  const other = ROWS.find(({ member }) => member !== row.member && Object.hasOwn(result, member));
  if (other !== undefined) return refuseList(`${other.member} beside ${row.member}`);
  if (items.length > maxItems) return refuseList('too many items');
  const names = readNames(items, row.naming);
  if (typeof names === 'string') return refuseList(names);
  const kept = await keep(
    names.map((name, at) => ({ name, value: items[at] as JsonObject })),
    row,
  );
  if (!kept.ok) return kept;
  if (kept.value.length !== names.length) throw new Error(`${kept.value.length} answers for ${names.length} names`);
  const shown = kept.value.filter(Boolean).length;
  const whole = members.get('result') as Span;
  const edits = [...removeItems(text, whole, row, kept.value, shown), ...makePrivate(text, whole, result, era)];
  return ok({ edits, shown, hidden: names.length - shown });
}

/** The names, or what is wrong with one. */
function readNames(items: readonly unknown[], naming: string): readonly string[] | string {
  const names = new Set<string>();
  for (const item of items) {
    const name = isObject(item) && Object.hasOwn(item, naming) ? item[naming] : undefined;
    if (typeof name !== 'string' || name.length === 0) return `an item without ${naming}`;
    if (name.length > MAX_NAME) return `a ${naming} beyond ${MAX_NAME} characters`;
    if (names.has(name)) return `a ${naming} twice`;
    names.add(name);
  }
  return [...names];
}

/** An item goes with the comma before it, or after it where it is the first that would stay. */
function removeItems(text: string, result: Span, row: ListRow, kept: readonly boolean[], shown: number): Edit[] {
  if (shown === kept.length) return [];
  const list = findSpan(text, [row.member], result) as Span;
  if (shown === 0) return [{ span: list, put: '[]' }];
  const spans = elementSpans(text, list);
  let put = text.slice(list[0], (spans[0] as Span)[0]);
  let isFirst = true;
  for (const [at, [start, end]] of spans.entries()) {
    if (kept[at] !== true) continue;
    put += text.slice(isFirst ? start : (spans[at - 1] as Span)[1], end);
    isFirst = false;
  }
  return [{ span: list, put: put + text.slice((spans.at(-1) as Span)[1], list[1]) }];
}

/** What one caller may see is not what another may: no shared cache may keep it (SEP-2549). */
function makePrivate(text: string, result: Span, value: JsonObject, era: Era): Edit[] {
  if (Object.hasOwn(value, 'cacheScope')) {
    const isPrivate = value.cacheScope === 'private';
    return isPrivate ? [] : [{ span: findSpan(text, ['cacheScope'], result) as Span, put: '"private"' }];
  }
  // The result has a list, so that another member follows.
  const afterBrace = result[0] + 1;
  return era === 'modern' ? [{ span: [afterBrace, afterBrace], put: '"cacheScope":"private",' }] : [];
}
