/** A front door as a listener of its own: visits are opened from what comes, without Envoy and without a Check before it. */

import type { BackendView, List } from '../../src/catalog/view.ts';
import { refusal } from '../../src/check/answer.ts';
import { openSession, type Session, sealSession } from '../../src/check/session.ts';
import type { Handler } from '../../src/front-door/handler.ts';
import type { TaskIds } from '../../src/front-door/listen-filter.ts';
import { serveFrontDoor } from '../../src/front-door/server.ts';
import type { BackendRequest, FrontDoorPorts, Member, Visit } from '../../src/front-door/visit.ts';
import { noFacts } from '../../src/http.ts';
import { readMark, writeMark } from '../../src/mcp/marks.ts';
import { readOperation } from '../../src/mcp/operation.ts';
import { publicName, type Resource } from '../../src/resource.ts';
import { deny, ok } from '../../src/result.ts';
import { createSealer } from '../../src/seal.ts';
import type { Principal } from '../../src/token/principal.ts';

const LIMITS = { maxBytes: 65_536, maxDepth: 64 };
const sealer = createSealer([Buffer.alloc(32, 7)]);

export function resourceAt(name: string, url: string | null = null): Resource {
  const at = `https://gateway.example/${name}`;
  return {
    name,
    path: `/${name}`,
    publicNames: [publicName(at)],
    audiences: new Set([at]),
    issuers: new Set(),
    scopesSupported: [],
    challengeScopes: [],
    strict: false,
    delegation: 'none',
    tools: new Map(),
    documentation: null,
    url,
    members: [],
  };
}

export function memberAt(name: string, url: string | null = null): Member {
  return { resource: resourceAt(name, url), prefix: name };
}

export function viewOf(changes: Partial<BackendView> = {}): BackendView {
  return {
    reachable: true,
    eras: { legacy: true, modern: false },
    capabilities: { tools: { listChanged: true } },
    instructions: null,
    tools: new Map(),
    resourceUris: new Set(),
    resourceTemplates: [],
    ...changes,
  };
}

export const MODERN = { legacy: false, modern: true };

/** Task ids with a mark in front, in the place of sealed ones. */
export const markedTasks: TaskIds = {
  fromClient: (_visit, taskId) => {
    const mark = readMark(taskId);
    if (mark === null) return deny({ reason: 'task_unknown' });
    // Someone else's.
    if (mark.rest.startsWith('foreign')) return deny({ reason: 'task_forbidden' });
    return ok({ backend: mark.mark, taskId: mark.rest });
  },
  toClient: (_visit, member, taskId) => writeMark(member.resource.name, taskId),
};

export interface FrontDoorSpec {
  readonly members: readonly Member[];
  readonly views?: Readonly<Record<string, BackendView | null>>;
  readonly handlers: ReadonlyMap<string, Handler>;
  /** Sends to the member's URL where it is left out. */
  readonly ask?: (member: Member, request: BackendRequest) => Promise<Response>;
  /** Epoch seconds. */
  readonly expiresAt?: () => number;
  readonly maxAnswerBytes?: number;
}

export interface FrontDoor {
  readonly url: URL;
  /** What the backends were asked, in order. */
  readonly asked: { readonly member: string; readonly request: BackendRequest }[];
  readonly unreachable: { readonly member: string; readonly cause: unknown }[];
  readonly failures: unknown[];
  /** The catalog has noticed that a list changed. */
  readonly changeList: (backend: string, list: List) => void;
  readonly listeners: () => number;
  readonly sessionId: (backends: Session['backends']) => string;
  readonly stop: () => Promise<void>;
}

export async function startFrontDoor(spec: FrontDoorSpec): Promise<FrontDoor> {
  const { members, views = {}, handlers, ask = sendToMember, maxAnswerBytes = 65_536 } = spec;
  const expiresAt = spec.expiresAt ?? (() => Math.floor(Date.now() / 1000) + 300);
  const asked: FrontDoor['asked'] = [];
  const unreachable: FrontDoor['unreachable'] = [];
  const failures: unknown[] = [];
  const listeners = new Set<(backend: string, list: List) => void>();
  const ports: FrontDoorPorts = {
    members,
    ask: (_visit, member, request) => {
      asked.push({ member: member.resource.name, request });
      return ask(member, request);
    },
    keep: async (_visit, _member, _method, items) => ok(items.map(() => true)),
    views: (backend) => views[backend] ?? null,
    sealSession: (session) => sealSession(sealer, session),
    onUnreachable: (_visit, member, cause) => unreachable.push({ member: member.resource.name, cause }),
    onInvalidList: () => {},
    onListChanged: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    maxAnswerBytes,
    maxListItems: 10_000,
  };
  const resource = resourceAt('front');
  const listener = await serveFrontDoor({
    listen: '127.0.0.1:0',
    maxBodyBytes: LIMITS.maxBytes,
    closeWithinMs: 100,
    openVisit: (headers, body) => {
      const method = body.byteLength > 0 ? 'POST' : 'GET';
      const http = { ...noFacts(), method, path: '/mcp', headers, body };
      const operation = readOperation(http, LIMITS);
      const about = { http, decisionId: 'd1', resource, operation: null, allowedOrigins: new Set<string>() };
      if (!operation.ok) return refusal(operation.denial, about);
      const held = headers.get('mcp-session-id')?.[0];
      const session = held === undefined ? null : openSession(sealer, held);
      return {
        decisionId: 'd1',
        resource,
        http,
        operation: operation.value,
        principal: alice(expiresAt()),
        session,
      } satisfies Visit;
    },
    ports: () => ports,
    allowedOrigins: () => new Set(),
    handlers,
    onRefused: () => {},
    onFailure: (_visit, cause) => failures.push(cause),
  });
  return {
    url: new URL('/mcp', listener.url),
    asked,
    unreachable,
    failures,
    changeList: (backend, list) => {
      for (const listener of listeners) listener(backend, list);
    },
    listeners: () => listeners.size,
    sessionId: (backends) => sealSession(sealer, { principal: 'p', resource: 'front', backends }),
    stop: () => listener.close(),
  };
}

function alice(expiresAt: number): Principal {
  return {
    issuer: 'https://idp.example',
    subject: 'alice',
    clientId: 'agent',
    scopes: [],
    audience: ['https://gateway.example/mcp'],
    actor: [],
    claims: {},
    expiresAt,
    tokenId: null,
    binding: null,
  };
}

function sendToMember({ resource }: Member, { method, headers, body, signal }: BackendRequest): Promise<Response> {
  const content: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
  return fetch(resource.url as string, {
    method,
    headers: { ...content, ...headers },
    ...(body === undefined ? {} : { body }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** A backend's event stream, written by hand. */
export interface Script {
  readonly response: Response;
  readonly send: (text: string) => void;
  readonly end: () => void;
  readonly fail: (cause: Error) => void;
  /** Resolves when whoever reads it stops. */
  readonly cancelled: Promise<void>;
}

export function scriptedStream(signal: AbortSignal | undefined, headers: Record<string, string> = {}): Script {
  const cancelled = Promise.withResolvers<void>();
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start: (opened) => {
      controller = opened;
    },
    cancel: () => cancelled.resolve(),
  });
  const fail = (cause: Error): void => {
    try {
      controller.error(cause);
    } catch {}
  };
  signal?.addEventListener('abort', () => {
    fail(new Error('aborted'));
    cancelled.resolve();
  });
  return {
    response: new Response(body, { headers: { 'content-type': 'text/event-stream', ...headers } }),
    send: (text) => controller.enqueue(Buffer.from(text)),
    end: () => controller.close(),
    fail,
    cancelled: cancelled.promise,
  };
}

/** Reads a front door's stream event by event. */
export interface Heard {
  readonly response: Response;
  /** The next event's text without its blank line; null at a clean end. Comments are passed over. */
  readonly next: () => Promise<string | null>;
  readonly leave: () => void;
}

export async function hear(
  url: URL | string,
  init: RequestInit & { readonly headers: Record<string, string> },
  ask: typeof fetch = fetch,
): Promise<Heard> {
  const leaving = new AbortController();
  const response = await ask(url, { ...init, signal: leaving.signal });
  const events = splitEvents(response);
  return {
    response,
    next: async () => {
      const { value, done } = await events.next();
      return done === true ? null : value;
    },
    leave: () => leaving.abort(),
  };
}

async function* splitEvents(response: Response): AsyncGenerator<string, void, undefined> {
  let text = '';
  for await (const chunk of (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream() as never)) {
    text += chunk as unknown as string;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const event = text.slice(0, end);
      text = text.slice(end + 2);
      if (!event.startsWith(':')) yield event;
    }
  }
}

/** The message of an event. */
export function messageOf(event: string | null): any {
  const data = /^data: (.*)$/m.exec(event ?? '')?.[1];
  return data === undefined || data === '' ? null : JSON.parse(data);
}
