/**
 * The bridge's way to a backend: a modern request, or a legacy session that is made for one request and ended after it.
 * What the backend asks in such a session is answered at once: nobody can be asked.
 */

import type { BackendSession } from '../check/session.ts';
import type { Era } from '../mcp/revisions.ts';
import { LATEST_LEGACY } from '../mcp/revisions.ts';
import { METHOD_NOT_FOUND } from '../reasons.ts';
import { addEnvelope, mirrorHeaders, removeEnvelope } from './bridge-words.ts';
import { clientOf, promisable } from './client.ts';
import { type Contact, chooseEra, drop, endSession, heldSession, sessionHeaders, shakeHands } from './conversation.ts';
import { ACCEPT_BOTH, EVENTS_TYPE, errorText, JSON_TYPE, notificationText, resultText } from './messages.ts';

export interface Leg {
  readonly backend: Era;
  readonly send: (signal: AbortSignal) => Promise<globalThis.Response>;
  /** The rest of an answer after an event; null where there is no such thing. */
  readonly resume: ((lastId: string, signal: AbortSignal) => Promise<globalThis.Response>) | null;
  /** Answers a request of the backend. @param id raw JSON token. */
  readonly refuse: (id: string, method: string) => Promise<void>;
  /** Tells the backend that nobody waits any more. Never rejects. */
  readonly cancel: () => Promise<void>;
  /** Never rejects. */
  readonly end: () => Promise<void>;
}

/** Of each message by which a request is taken back or a session ended. */
const TIDY_MS = 5000;

/** @param body the client's message, with the backend's own name for what it asks for. */
export async function openLeg(contact: Contact, body: string): Promise<Leg> {
  const held = heldSession(contact);
  if (held !== null) return legacyLeg(contact, held, body, false);
  if (chooseEra(contact) === 'modern') return modernLeg(contact, body);
  return openSessionLeg(contact, contact.visit.operation.era === 'modern' ? removeEnvelope(body) : body);
}

async function openSessionLeg(contact: Contact, body: string): Promise<Leg> {
  const { era, revision } = contact.visit.operation;
  const { capabilities, info } = clientOf(contact.visit);
  const params = JSON.stringify({
    protocolVersion: era === 'legacy' ? revision : LATEST_LEGACY,
    capabilities: promisable(capabilities),
    clientInfo: info,
  });
  const { session } = await shakeHands(contact, JSON.stringify(`handshake ${contact.visit.decisionId}`), params);
  const leg = legacyLeg(contact, session, body, true);
  try {
    await post(contact, session, notificationText('notifications/initialized'), contact.signal);
    return leg;
  } catch (cause) {
    await leg.end();
    throw cause;
  }
}

function legacyLeg(contact: Contact, session: BackendSession, body: string, isOurs: boolean): Leg {
  const { visit, ports, member } = contact;
  const headers = sessionHeaders(session);
  const id = visit.operation.id as string;
  return {
    backend: 'legacy',
    send: (signal) => ports.ask(visit, member, { method: 'POST', headers, body, signal }),
    resume: (lastId, signal) => {
      const { 'content-type': _, ...rest } = headers;
      const asked = { ...rest, accept: EVENTS_TYPE, 'last-event-id': lastId };
      return ports.ask(visit, member, { method: 'GET', headers: asked, signal });
    },
    refuse: async (asked, method) => {
      const text =
        method === 'ping'
          ? resultText(asked, '{}')
          : errorText(asked, METHOD_NOT_FOUND, 'The client cannot be asked: it does not hold this session.');
      await post(contact, session, text, AbortSignal.timeout(TIDY_MS));
    },
    cancel: async () => {
      const text = notificationText('notifications/cancelled', `{"requestId":${id},"reason":"the client is gone"}`);
      await post(contact, session, text, AbortSignal.timeout(TIDY_MS)).catch(() => {});
    },
    end: async () => {
      if (isOurs) await endSession(contact, session);
    },
  };
}

function modernLeg({ visit, ports, member }: Contact, body: string): Leg {
  const worded = visit.operation.era === 'modern' ? body : addEnvelope(body);
  const headers = {
    ...parameterHeaders(visit.http.headers),
    ...mirrorHeaders(worded),
    'content-type': JSON_TYPE,
    accept: ACCEPT_BOTH,
  };
  return {
    backend: 'modern',
    send: (signal) => ports.ask(visit, member, { method: 'POST', headers, body: worded, signal }),
    resume: null,
    // A server of this era asks nothing but by its result.
    refuse: async () => {},
    cancel: async () => {},
    end: async () => {},
  };
}

/** Arguments that a client repeats in headers for a tool that wants it so (SEP-2243). */
function parameterHeaders(headers: Contact['visit']['http']['headers']): Record<string, string> {
  const mirrored = [...headers].filter(([name, values]) => name.startsWith('mcp-param-') && values.length === 1);
  return Object.fromEntries(mirrored.map(([name, values]) => [name, values[0] as string]));
}

async function post(
  { visit, ports, member }: Contact,
  session: BackendSession,
  body: string,
  signal: AbortSignal,
): Promise<void> {
  await drop(ports.ask(visit, member, { method: 'POST', headers: sessionHeaders(session), body, signal }));
}
