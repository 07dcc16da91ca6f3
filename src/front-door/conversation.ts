/**
 * How the front door speaks with one backend on behalf of a visit, in an era that the backend knows: in the visitor's own
 * session; with an envelope on every request (2026-07-28); or in a legacy session made for the purpose, which ends afterwards.
 *
 * A session made for the purpose lasts for one visit: what a backend keeps in it is lost with it.
 */

import { type BackendSession, isSessionId } from '../check/session.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import { encodeSentinel } from '../mcp/operation.ts';
import { type Era, eraOf, isRevision, LATEST_LEGACY, MODERN, type Revision } from '../mcp/revisions.ts';
import { CLIENT_CAPABILITIES, CLIENT_INFO, type ClientFacts, clientOf, PROTOCOL_VERSION, promisable } from './client.ts';
import { AnswerInvalid } from './events.ts';
import { ACCEPT_BOTH, JSON_TYPE, notificationText, readAnswer, requestText } from './messages.ts';
import type { FrontDoorPorts, Member, Visit } from './visit.ts';

/** One visit's dealings with one backend. */
export interface Contact {
  readonly visit: Visit;
  readonly ports: FrontDoorPorts;
  readonly member: Member;
  readonly signal: AbortSignal;
}

export interface MemberRequest {
  /** Raw JSON token. The client's own is unique in its session. */
  readonly id: string;
  readonly method: string;
  /** JSON text of an object without `_meta`. */
  readonly params?: string;
  readonly meta?: JsonObject;
  /** What `Mcp-Name` mirrors, where it does. */
  readonly name?: string;
}

export interface Conversation {
  readonly era: Era;
  readonly revision: Revision;
  /** Whether it takes place in a session that the visitor holds. */
  readonly isHeld: boolean;
  readonly ask: (request: MemberRequest) => Promise<globalThis.Response>;
  /** Ends a session made for the purpose; never rejects. */
  readonly end: () => Promise<void>;
}

const HANDSHAKE_ID = '"handshake"';
const END_WITHIN_MS = 2000;

/** Rejects as the backend's handshake does, where one is needed. */
export async function openConversation(contact: Contact, client: ClientFacts = clientOf(contact.visit)): Promise<Conversation> {
  const held = heldSession(contact);
  if (held !== null) return legacyConversation(contact, held, true);
  return chooseEra(contact) === 'modern' ? modernConversation(contact, client) : openOwnSession(contact, client);
}

/** What the visitor's session has of this backend. */
export function heldSession({ visit, member }: Pick<Contact, 'visit' | 'member'>): BackendSession | null {
  const { session, operation } = visit;
  const { name } = member.resource;
  if (session === null || operation.era !== 'legacy' || !Object.hasOwn(session.backends, name)) return null;
  return session.backends[name] as BackendSession;
}

/** The visit's own where the backend knows it, or is not known. */
export function chooseEra({ visit, ports, member }: Pick<Contact, 'visit' | 'ports' | 'member'>): Era {
  const { era } = visit.operation;
  const eras = ports.views(member.resource.name)?.eras;
  const other: Era = era === 'modern' ? 'legacy' : 'modern';
  return eras !== undefined && !eras[era] && eras[other] ? other : era;
}

/** In a session of our own making, as if the visitor held none. */
export async function openOwnSession(contact: Contact, client: ClientFacts = clientOf(contact.visit)): Promise<Conversation> {
  const { era, revision } = contact.visit.operation;
  const params = JSON.stringify({
    protocolVersion: era === 'legacy' ? revision : LATEST_LEGACY,
    capabilities: promisable(client.capabilities),
    clientInfo: client.info,
  });
  const { session } = await shakeHands(contact, HANDSHAKE_ID, params);
  const conversation = legacyConversation(contact, session, false);
  try {
    const body = notificationText('notifications/initialized');
    await drop(
      contact.ports.ask(contact.visit, contact.member, {
        method: 'POST',
        headers: sessionHeaders(session),
        body,
        signal: contact.signal,
      }),
    );
  } catch (cause) {
    await conversation.end();
    throw cause;
  }
  return conversation;
}

export interface Handshake {
  readonly session: BackendSession;
  readonly result: JsonObject;
}

/** A backend answered `initialize` with an error: it may speak no legacy revision. */
export class HandshakeRefused extends Error {
  override name = 'HandshakeRefused';
  readonly code: number;
  constructor(code: number) {
    super(`the handshake was answered with error ${code}`);
    this.code = code;
  }
}

/** `initialize` alone; what follows it is up to the caller. */
export async function shakeHands({ visit, ports, member, signal }: Contact, id: string, params: string): Promise<Handshake> {
  const body = requestText(id, 'initialize', params);
  const response = await ports.ask(visit, member, { method: 'POST', headers: postHeaders(), body, signal });
  const answer = await readAnswer(response, { id, maxBytes: ports.maxAnswerBytes });
  if (answer.kind === 'error') throw new HandshakeRefused(answer.code);
  const { protocolVersion: revision, capabilities } = answer.result;
  const sessionId = response.headers.get('mcp-session-id');
  if (!isRevision(revision) || eraOf(revision) !== 'legacy') throw new AnswerInvalid('a revision was chosen that is not known');
  if (sessionId !== null && !isSessionId(sessionId)) throw new AnswerInvalid('the session id is malformed');
  if (!isObject(capabilities)) throw new AnswerInvalid('the answer to initialize has no capabilities');
  return { session: { id: sessionId, revision }, result: answer.result };
}

function legacyConversation(contact: Contact, session: BackendSession, isHeld: boolean): Conversation {
  const { visit, ports, member, signal } = contact;
  return {
    era: 'legacy',
    revision: session.revision,
    isHeld,
    ask: ({ id, method, params = '{}', meta }) => {
      const body = requestText(id, method, meta === undefined ? params : withMeta(params, meta));
      return ports.ask(visit, member, { method: 'POST', headers: sessionHeaders(session), body, signal });
    },
    end: async () => {
      if (!isHeld) await endSession(contact, session);
    },
  };
}

/** `DELETE`, if there is anything to end; never rejects. */
export async function endSession({ visit, ports, member }: Omit<Contact, 'signal'>, session: BackendSession): Promise<void> {
  if (session.id === null) return;
  const { accept: _, 'content-type': __, ...headers } = sessionHeaders(session);
  // The visitor may have left: that is one more reason to tidy up.
  const signal = AbortSignal.timeout(END_WITHIN_MS);
  await within(signal, drop(ports.ask(visit, member, { method: 'DELETE', headers, signal }))).catch(() => {});
}

function modernConversation({ visit, ports, member, signal }: Contact, client: ClientFacts): Conversation {
  const envelope = { [PROTOCOL_VERSION]: MODERN, [CLIENT_CAPABILITIES]: client.capabilities, [CLIENT_INFO]: client.info };
  return {
    era: 'modern',
    revision: MODERN,
    isHeld: false,
    ask: ({ id, method, params = '{}', meta = {}, name }) => {
      const headers = {
        ...postHeaders(),
        'mcp-protocol-version': MODERN,
        'mcp-method': method,
        ...(name === undefined ? {} : { 'mcp-name': encodeSentinel(name) }),
      };
      const body = requestText(id, method, withMeta(params, { ...meta, ...envelope }));
      return ports.ask(visit, member, { method: 'POST', headers, body, signal });
    },
    end: async () => {},
  };
}

function postHeaders(): Record<string, string> {
  return { 'content-type': JSON_TYPE, accept: ACCEPT_BOTH };
}

/** What a legacy backend is sent in its session. */
export function sessionHeaders({ id, revision }: BackendSession): Record<string, string> {
  return {
    ...postHeaders(),
    // Revisions before 2025-06-18 do not know the header.
    ...(revision >= '2025-06-18' ? { 'mcp-protocol-version': revision } : {}),
    ...(id === null ? {} : { 'mcp-session-id': id }),
  };
}

function withMeta(params: string, meta: JsonObject): string {
  const rest = params.slice(params.indexOf('{') + 1).trimStart();
  return `{"_meta":${JSON.stringify(meta)}${rest.startsWith('}') ? '' : ','}${rest}`;
}

/** An answer of which only the status counts. */
export async function drop(asked: Promise<globalThis.Response>): Promise<globalThis.Response> {
  const response = await asked;
  await response.body?.cancel();
  return response;
}

/** As `work`, or rejects as soon as the signal aborts; what comes of `work` afterwards is dropped. */
export function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    const settled = <A>(settle: (value: A) => void) => {
      return (value: A): void => {
        signal.removeEventListener('abort', abort);
        settle(value);
      };
    };
    work.then(settled(resolve), settled(reject));
  });
}
