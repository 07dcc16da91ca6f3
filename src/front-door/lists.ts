/**
 * Lists of several backends as one: each asked in an era that it knows, its items judged, names under its prefix, a page for a
 * page. A backend that is down or answers nonsense is left out of the list and told of; so is one that policy keeps away.
 */

import { quote } from '../json-text.ts';
import type { JsonObject } from '../mcp/message.ts';
import { METHOD_NOT_FOUND } from '../reasons.ts';
import type { Denial } from '../verdict.ts';
import { readParams } from './client.ts';
import { type Contact, type Conversation, heldSession, openConversation, openOwnSession, within } from './conversation.ts';
import { type Cursors, readCursor } from './cursor.ts';
import { AnswerInvalid } from './events.ts';
import { type Handler, type Reply, VisitRefused } from './handler.ts';
import { type ListKind, type Page, readPage } from './list-page.ts';
import { type MemberPage, mergePages } from './merged-list.ts';
import { type Answer, readAnswer, resultText } from './messages.ts';
import { BackendRefused, type FrontDoorPorts, type Member, type Visit } from './visit.ts';

const INVALID_PARAMS = -32602;

/** What came of asking one backend; `none`: it is left out of this list. */
type Asked =
  | ({ readonly kind: 'page' } & MemberPage)
  | { readonly kind: 'none' | 'cursor-refused' | 'session-lost' }
  | { readonly kind: 'refused'; readonly denial: Denial };

interface Listing {
  readonly visit: Visit;
  readonly ports: FrontDoorPorts;
  readonly reply: Reply;
  readonly list: ListKind;
  readonly cursors: Cursors;
  readonly memberTimeoutMs: number;
  /** Ended once the client has its answer. */
  readonly conversations: Conversation[];
}

type Refusal = Extract<Answer, { kind: 'error' }>;
type Open = (contact: Contact) => Promise<Conversation>;

export function createList(list: ListKind, memberTimeoutMs: number): Handler {
  return async (visit, ports, reply) => {
    const cursors = requestedCursors(visit, ports);
    if (cursors === null) throw cursorRefused();
    const listing: Listing = { visit, ports, reply, list, cursors, memberTimeoutMs, conversations: [] };
    try {
      await answerList(listing);
    } finally {
      await Promise.all(listing.conversations.map((conversation) => conversation.end()));
    }
  };
}

async function answerList(listing: Listing): Promise<void> {
  const { visit, ports, reply, list } = listing;
  const id = visit.operation.id as string;
  const members = ports.members.filter((member) => isAsked(listing, member));
  let asked = await Promise.all(members.map((member) => askMember(listing, member, openConversation)));
  if (isSessionOver(visit, members, asked)) {
    throw new VisitRefused({ reason: 'session_unknown' });
  }
  asked = await Promise.all(
    asked.map((one, at) => (one.kind === 'session-lost' ? askMember(listing, members[at] as Member, openOwnSession) : one)),
  );
  for (const one of asked) if (one.kind === 'refused') throw new VisitRefused(one.denial);
  if (asked.some(({ kind }) => kind === 'cursor-refused')) throw cursorRefused();
  const pages = asked.filter((one) => one.kind === 'page');
  reply.json(resultText(id, mergePages(visit, ports, list, pages, pages.length === members.length)));
}

function cursorRefused(): VisitRefused {
  return new VisitRefused({ reason: 'params_invalid', message: 'The cursor is not one of this list.' });
}

/** Empty at the start of the list, null where it makes no sense. */
function requestedCursors(visit: Visit, { members }: FrontDoorPorts): Cursors | null {
  const { cursor } = readParams(visit);
  if (cursor === undefined) return new Map();
  return readCursor(cursor as string, new Set(members.map(({ resource }) => resource.name)));
}

/** At the start all that may have such a list, afterwards those that have more. */
function isAsked({ list, ports, cursors }: Listing, { resource }: Member): boolean {
  if (cursors.size > 0) return cursors.has(resource.name);
  const view = ports.views(resource.name);
  return view === null || Object.hasOwn(view.capabilities, list.capability);
}

/**
 * A session that every backend has forgotten is over, and the client is told: it begins a new one. Where only some have
 * forgotten it, the others are not disturbed, and those are asked in a session of our own.
 */
function isSessionOver(visit: Visit, members: readonly Member[], asked: readonly Asked[]): boolean {
  const holding = members.filter((member) => heldSession({ visit, member })?.id != null);
  return holding.length > 0 && asked.filter(({ kind }) => kind === 'session-lost').length === holding.length;
}

async function askMember(listing: Listing, member: Member, open: Open): Promise<Asked> {
  const { visit, ports, reply, memberTimeoutMs } = listing;
  const signal = AbortSignal.any([reply.signal, AbortSignal.timeout(memberTimeoutMs)]);
  try {
    return await within(signal, askForPage(listing, { visit, ports, member, signal }, open));
  } catch (cause) {
    if (!(cause instanceof BackendRefused) && !reply.signal.aborted) ports.onUnreachable(visit, member, cause);
    return { kind: 'none' };
  }
}

async function askForPage({ list, cursors, conversations }: Listing, contact: Contact, open: Open): Promise<Asked> {
  const { visit, member } = contact;
  const id = visit.operation.id as string;
  const cursor = cursors.get(member.resource.name);
  const conversation = await open(contact);
  conversations.push(conversation);
  const params = cursor === undefined ? {} : { params: `{"cursor":${quote(cursor)}}` };
  const response = await conversation.ask({ id, method: list.method, ...params });
  if (response.status === 404 && conversation.isHeld && heldSession(contact)?.id != null) {
    await response.body?.cancel();
    return { kind: 'session-lost' };
  }
  const read = await readList(contact, list, response);
  return 'code' in read ? readRefusal(read, cursor) : keepAllowed(contact, list, read);
}

async function readList(
  { visit, ports, member }: Contact,
  list: ListKind,
  response: globalThis.Response,
): Promise<Page | Refusal> {
  try {
    const answer = await readAnswer(response, { id: visit.operation.id as string, maxBytes: ports.maxAnswerBytes });
    return answer.kind === 'error' ? answer : readPage(answer, list, ports.maxListItems);
  } catch (cause) {
    if (cause instanceof AnswerInvalid) ports.onInvalidList(visit, member, cause);
    throw cause;
  }
}

function readRefusal({ code }: Refusal, cursor: string | undefined): Asked {
  if (code === METHOD_NOT_FOUND) return { kind: 'none' };
  if (code === INVALID_PARAMS && cursor !== undefined) return { kind: 'cursor-refused' };
  throw new Error(`the list was answered with error ${code}`);
}

/** Where policy cannot be asked there is no list at all. */
async function keepAllowed({ visit, ports, member }: Contact, { method }: ListKind, page: Page): Promise<Asked> {
  const kept = await ports.keep(
    visit,
    member,
    method,
    page.items.map(({ name, text }) => ({ name, value: JSON.parse(text) as JsonObject })),
  );
  if (!kept.ok) return { kind: 'refused', denial: kept.denial };
  return { kind: 'page', member, page: { ...page, items: page.items.filter((_, at) => kept.value[at] === true) } };
}
