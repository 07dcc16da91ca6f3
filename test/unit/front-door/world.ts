/** A front door with backends that are functions, and visits as a Check would have let them pass. */
import assert from 'node:assert/strict';
import type { BackendView } from '../../../src/catalog/view.ts';
import { refusal } from '../../../src/check/answer.ts';
import type { Session } from '../../../src/check/session.ts';
import { type Handler, type Reply, type ReplyHead, VisitRefused } from '../../../src/front-door/handler.ts';
import type { BackendRequest, FrontDoorPorts, Member, Visit } from '../../../src/front-door/visit.ts';
import { readOperation } from '../../../src/mcp/operation.ts';
import { publicName } from '../../../src/resource.ts';
import { ok } from '../../../src/result.ts';
import { alice, bare, ledger, request } from '../support/facts.ts';

export const door = { ...ledger, name: 'door', path: '/mcp', publicNames: [publicName('https://gateway.example/mcp')] };

const LIMITS = { maxBytes: 65_536, maxDepth: 64 };
const MODERN = '2026-07-28';

export const envelope = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientCapabilities': { elicitation: {} },
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
};

/** A message of a legacy client; text goes as it is. */
export function legacyVisit(
  message: object | string,
  session: Session['backends'] | null = null,
  revision = '2025-11-25',
): Visit {
  return visitOf(request({ path: '/mcp', body: message, lines: { 'mcp-protocol-version': revision } }), session);
}

export function modernVisit(method: string, params: object = {}, id: unknown = 1): Visit {
  const body = { jsonrpc: '2.0', id, method, params: { ...params, _meta: envelope } };
  return visitOf(request({ path: '/mcp', body, lines: { 'mcp-protocol-version': MODERN, 'mcp-method': method } }), null);
}

export function bareVisit(method: string, session: Session['backends'] | null): Visit {
  return visitOf(bare(method, { path: '/mcp' }), session);
}

function visitOf(http: Visit['http'], backends: Session['backends'] | null): Visit {
  const operation = readOperation(http, LIMITS);
  assert.ok(operation.ok, JSON.stringify(operation));
  const session = backends === null ? null : { principal: 'p', resource: 'door', backends };
  return { decisionId: 'decision-1', resource: door, http, operation: operation.value, principal: alice, session };
}

export type Ask = (request: BackendRequest) => Response | Promise<Response>;

export interface MemberSpec {
  readonly ask: Ask;
  /** Null: it has never answered. */
  readonly view?: Partial<BackendView> | null;
  readonly prefix?: string;
}

export interface DoorWorld {
  readonly ports: FrontDoorPorts;
  /** Per backend, in order. */
  readonly asked: Readonly<Record<string, BackendRequest[]>>;
  /** `backend: what is wrong`. */
  readonly unreachable: string[];
  /** Likewise, of lists only. */
  readonly invalid: string[];
  readonly clashes: string[];
  readonly sessions: Session[];
}

const VIEW: BackendView = {
  reachable: true,
  eras: { legacy: true, modern: false },
  capabilities: { tools: {}, prompts: {}, resources: {} },
  instructions: null,
  tools: new Map(),
  resourceUris: new Set(),
  resourceTemplates: [],
};

export function openDoor(specs: Readonly<Record<string, MemberSpec>>, changes: Partial<FrontDoorPorts> = {}): DoorWorld {
  const asked: Record<string, BackendRequest[]> = {};
  const unreachable: string[] = [];
  const invalid: string[] = [];
  const clashes: string[] = [];
  const sessions: Session[] = [];
  const members = Object.entries(specs).map(([name, { prefix = name }]): Member => {
    asked[name] = [];
    return { resource: { ...ledger, name }, prefix };
  });
  const ports: FrontDoorPorts = {
    members,
    ask: async (_visit, { resource }, sent) => {
      asked[resource.name]?.push(sent);
      return (specs[resource.name] as MemberSpec).ask(sent);
    },
    keep: async (_visit, _member, _method, items) => ok(items.map(({ name }) => !name.startsWith('secret'))),
    views: (name) => {
      const view = specs[name]?.view;
      return view === null || specs[name] === undefined ? null : { ...VIEW, ...view };
    },
    sealSession: (session) => `sealed-${sessions.push(session)}`,
    onUnreachable: (_visit, { resource }, cause) => unreachable.push(`${resource.name}: ${(cause as Error).message}`),
    onInvalidList: (_visit, { resource }, { message }) => invalid.push(`${resource.name}: ${message}`),
    onClash: (_visit, member, kept, name) => clashes.push(`${member.resource.name} < ${kept.resource.name}: ${name}`),
    onListChanged: () => () => {},
    maxAnswerBytes: 10_000,
    maxListItems: 100,
    ...changes,
  };
  return { ports, asked, unreachable, invalid, clashes, sessions };
}

export interface Replied {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** Parsed, where there is a text. */
  readonly message: any;
}

/** What a handler answers once it is through. */
export async function run(
  handler: Handler | undefined,
  visit: Visit,
  { ports }: DoorWorld,
  signal?: AbortSignal,
): Promise<Replied> {
  let replied: Replied | null = null;
  const set = (text: string, { status = 200, headers = {} }: ReplyHead): void => {
    assert.equal(replied, null, 'answered twice');
    replied = { status, headers, text, message: text === '' ? null : JSON.parse(text) };
  };
  const reply: Reply = {
    signal: signal ?? new AbortController().signal,
    isBegun: () => replied !== null,
    json: (text, head = {}) => set(text, head),
    status: (status, headers = {}) => set('', { status, headers }),
    stream: () => assert.fail('no stream here'),
  };
  assert.ok(handler);
  await handler(visit, ports, reply);
  return replied ?? { status: 0, headers: {}, text: '', message: null };
}

/** What the listener answers when a handler refuses. */
export async function runRefused(
  ...[handler, visit, world]: Parameters<typeof run>
): Promise<Pick<Replied, 'status' | 'message'>> {
  const cause = await run(handler, visit, world).catch((thrown: unknown) => thrown);
  assert.ok(cause instanceof VisitRefused, String(cause));
  const { status, body } = refusal(cause.denial, { ...visit, allowedOrigins: new Set() });
  return { status, message: JSON.parse(body) };
}

export function json(text: string | object, init: ResponseInit = {}): Response {
  const headers = { 'content-type': 'application/json', ...(init.headers as object) };
  return new Response(typeof text === 'string' ? text : JSON.stringify(text), { ...init, headers });
}

/** What the backend was asked, as a value. */
export function messageOf({ body }: BackendRequest): any {
  return JSON.parse(body ?? 'null');
}

/** A backend of one era that answers by method; `initialize` and the like are answered unless it says otherwise. */
export function backend(
  results: Readonly<Record<string, object | ((params: any) => object)>>,
  options: { readonly sessionId?: string; readonly revision?: string; readonly capabilities?: object } = {},
): Ask {
  const { sessionId, revision = '2025-11-25', capabilities = { tools: {} } } = options;
  return (sent) => {
    if (sent.method === 'DELETE') return new Response(null, { status: 200 });
    const { id, method, params } = messageOf(sent);
    if (id === undefined) return new Response(null, { status: 202 });
    const result =
      results[method] ??
      (method === 'initialize' ? { protocolVersion: revision, capabilities, serverInfo: { name: 'b' } } : null);
    if (result === null) return json({ jsonrpc: '2.0', id, error: { code: -32601, message: 'unknown' } });
    const value = typeof result === 'function' ? result(params) : result;
    const headers = method === 'initialize' && sessionId !== undefined ? { 'mcp-session-id': sessionId } : {};
    return json('error' in value ? { jsonrpc: '2.0', id, ...value } : { jsonrpc: '2.0', id, result: value }, { headers });
  };
}
