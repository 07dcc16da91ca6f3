/**
 * The list in a backend's answer, found among whatever else comes with it: filtered where it is what was asked for, else
 * replaced by one JSON-RPC error, once. Notifications and the server's own requests pass.
 */
import { deny } from '../result.ts';
import type { Denial } from '../verdict.ts';
import type { JsonDocument } from './json.ts';
import { type FilteredList, filterResult, findListIn, isAnswerTo, type Keep, LISTS, type ListRow, listDenial } from './lists.ts';
import { isObject, type JsonObject, parseMessage } from './message.ts';
import type { Era } from './revisions.ts';
import type { Edit } from './spans.ts';

/** What became of a list, for log and metrics. An error of the backend's that was passed on shows and hides nothing. */
export interface ListOutcome {
  readonly row: ListRow;
  readonly denial: Denial | null;
  readonly shown: number;
  readonly hidden: number;
}

export interface ListRules {
  /**
   * What was asked for, and the id as a JSON token. Null where nothing was, on a stream that may repeat answers to earlier
   * requests (GET with Last-Event-ID): there whatever holds a list is taken for one.
   */
  readonly asked: { readonly row: ListRow; readonly requestId: string } | null;
  /** The answer's status is an error's: it need not be a message at all, and what has no `result` holds no list. */
  readonly isFailure?: boolean;
  readonly era: Era;
  readonly maxItems?: number;
  readonly keep: Keep;
  /** @returns the JSON-RPC error that goes in place of the list, as text. */
  readonly refuse: (requestId: string, denial: Denial) => string;
  /** Where a list was asked for: once, whatever comes. */
  readonly onOutcome: (outcome: ListOutcome) => void;
}

/** What becomes of a message: changed in places, replaced as a whole, or taken out. */
export type ListChange = { readonly edits: readonly Edit[] } | { readonly text: string } | 'drop';

export interface ListWatch {
  readonly isAsked: boolean;
  readonly change: (document: JsonDocument) => ListChange | Promise<ListChange>;
  /** Nothing more passes; unless the list went out before, an error takes its place. @param what is wrong, for the log. */
  readonly refuse: (what: string) => void;
  /** Nothing more comes: refused, if the list is missing. */
  readonly end: (what: string) => void;
  /** `open`: a list was asked for and has not come. */
  readonly state: () => 'open' | 'answered' | 'refused' | 'not asked';
  /** The error to send, once; null: none. */
  readonly takeRefusal: () => string | null;
}

const NO_EDITS: ListChange = { edits: [] };

export function watchLists(rules: ListRules): ListWatch {
  return rules.asked === null ? watchReplays(rules) : watchAnswer(rules, rules.asked);
}

function watchAnswer(rules: ListRules, { row, requestId }: NonNullable<ListRules['asked']>): ListWatch {
  let state: 'open' | 'answered' | 'refused' = 'open';
  let refusal: string | null = null;

  function settle({ edits, shown, hidden }: FilteredList): ListChange {
    state = 'answered';
    rules.onOutcome({ row, denial: null, shown, hidden });
    return { edits };
  }

  function replace(denial: Denial): 'drop' {
    if (state === 'open') {
      refusal = rules.refuse(requestId, denial);
      rules.onOutcome({ row, denial, shown: 0, hidden: 0 });
    }
    state = 'refused';
    return 'drop';
  }

  function refuse(what: string): 'drop' {
    return replace(listDenial(what));
  }

  function end(what: string): void {
    if (state === 'open' && rules.isFailure !== true) refuse(what);
  }

  function change(document: JsonDocument): ListChange | Promise<ListChange> {
    if (isCall(document)) return NO_EDITS;
    if (state !== 'open') return 'drop';
    const isOurs = isAnswerTo(document, requestId);
    if (isErrorAtLarge(document) || (isOurs && has(document, 'error'))) return settle({ edits: [], shown: 0, hidden: 0 });
    if (rules.isFailure === true && !has(document, 'result')) return settle({ edits: [], shown: 0, hidden: 0 });
    if (!isOurs) return refuse('another answer');
    return filter(document);
  }

  async function filter(document: JsonDocument): Promise<ListChange> {
    const filtered = await filterResult(document, { ...rules, row });
    // It may have been given up meanwhile.
    if (state !== 'open') return 'drop';
    return filtered.ok ? settle(filtered.value) : replace(filtered.denial);
  }

  return {
    isAsked: true,
    change,
    refuse,
    end,
    state: () => state,
    takeRefusal: () => {
      const taken = refusal;
      refusal = null;
      return taken;
    },
  };
}

/** A request or a notification, in every respect. */
function isCall(document: JsonDocument): boolean {
  const message = parseMessage(document);
  return message.ok && message.value.kind !== 'response';
}

function has({ value }: JsonDocument, member: string): boolean {
  return isObject(value) && Object.hasOwn(value, member);
}

/** What a server answers where it could not read the id (JSON-RPC 2.0, section 5): no list can be in it. */
function isErrorAtLarge({ value }: JsonDocument): boolean {
  if (!isObject(value) || !isObject(value.error)) return false;
  return (value.id ?? null) === null && !Object.hasOwn(value, 'result') && !Object.hasOwn(value, 'method');
}

function watchReplays(rules: ListRules): ListWatch {
  async function change(document: JsonDocument): Promise<ListChange> {
    const { value, text, members } = document;
    const result = isObject(value) && isObject(value.result) ? value.result : null;
    const row = result === null ? undefined : findList(result);
    if (row === undefined) return NO_EDITS;
    const filtered = isToolResult(result)
      ? deny(listDenial(`${row.member} beside content`))
      : await filterResult(document, { ...rules, row });
    if (filtered.ok) {
      const { edits, shown, hidden } = filtered.value;
      rules.onOutcome({ row, denial: null, shown, hidden });
      return { edits };
    }
    const { denial } = filtered;
    rules.onOutcome({ row, denial, shown: 0, hidden: 0 });
    const id = members.get('id');
    return id === undefined ? 'drop' : { text: rules.refuse(text.slice(...id), denial) };
  }

  return { isAsked: false, change, refuse: () => {}, end: () => {}, state: () => 'not asked', takeRefusal: () => null };
}

/** What a tool answers has `content`, and beside it whatever members it likes but for what could be taken for a list. */
function findList(result: JsonObject): ListRow | undefined {
  const row = findListIn(result);
  return row !== undefined && isToolResult(result) && !holdsArray(result) ? undefined : row;
}

function isToolResult(result: JsonObject | null): boolean {
  return result !== null && Object.hasOwn(result, 'content');
}

function holdsArray(result: JsonObject): boolean {
  return [...LISTS.values()].some(({ member }) => Object.hasOwn(result, member) && Array.isArray(result[member]));
}
