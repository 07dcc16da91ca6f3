/**
 * The case files of test/cases as plain data, and a case made concrete: the bytes that go over the wire in a world that has
 * an authorization server, an issuer of ours and two resources.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import type { Reason } from '../../src/reasons.ts';
import type { Caller, TokenOf } from './callers.ts';
import type { TestIssuer, TokenSpec } from './issuer.ts';
import type { HeaderLine } from './wire.ts';

export type BackendName = 'ledger' | 'directory';
export type Level = 'memory' | 'envoy';
export type Protocol = 'h1' | 'h2';

/** A token of a known caller, or one that we make. */
type TokenChoice =
  | 'none'
  | Caller
  | ({ readonly for?: BackendName } & ({ readonly caller: Caller; readonly scope?: string } | TokenSpec));

interface RequestSpec {
  readonly to?: BackendName;
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  /** Sends MCP-Protocol-Version; from 2026-07-28 on the envelope and the Mcp headers too. */
  readonly revision?: string;
  readonly token?: TokenChoice;
  /** Null takes away a header that is sent by itself. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly message?: unknown;
  readonly text?: string;
  readonly base64?: string;
  /** Pieces of text, put together. */
  readonly parts?: readonly Part[];
  /** Lines of HTTP/1.1 as they are; `Host` and everything else included. */
  readonly raw?: readonly string[];
  /** What an Envoy that is set up otherwise would put into the Check. */
  readonly check?: CheckChange;
}

/** Text, the same text several times, or text that says how often it was there before in place of `#`. */
type Part = string | { readonly repeat: string; readonly times: number } | { readonly numbered: string; readonly times: number };

export interface CheckChange {
  readonly partial?: boolean;
  readonly size?: number;
  readonly body?: 'none' | 'text';
  readonly http?: false;
}

export interface Expected {
  readonly decision: 'allow' | 'deny' | 'error';
  readonly reason: Reason;
  /** Of the answer; free where the backend answers. */
  readonly status?: number;
  /** JSON-RPC error code. */
  readonly code?: number;
  /** The id of the answer as JSON text; null: there is none. */
  readonly id?: string | null;
  readonly backendSees?: boolean;
  /** Headers of the answer: exact, `/pattern/`, or null for absent. */
  readonly headers?: Readonly<Record<string, string | null>>;
  /** Members of the answer's JSON body. */
  readonly body?: Readonly<Record<string, unknown>>;
  /** Members of the decision-log line; null: absent. */
  readonly log?: Readonly<Record<string, unknown>>;
  /** What the backend must have been sent, null for what it must not. */
  readonly backendHeaders?: Readonly<Record<string, string | null>>;
}

/** What Envoy does differently: anything of the above, or an answer of its own. */
export type EnvoyExpected = Partial<Expected> & {
  /** False: Envoy answers without asking us. */
  readonly check?: boolean;
  /** The connection or stream ends without an answer. */
  readonly reset?: boolean;
};

export interface Case {
  readonly name: string;
  /** The row of the threat model that the case belongs to. */
  readonly class?: number;
  /** A bug in the product that the case shows: it is expected to fail until that is mended. */
  readonly bug?: string;
  readonly levels: readonly Level[];
  readonly protocols: readonly Protocol[];
  readonly request: RequestSpec;
  /** Absent where only Envoy answers. */
  readonly expect?: Expected;
  readonly envoy?: EnvoyExpected;
  readonly h1?: EnvoyExpected;
  readonly h2?: EnvoyExpected;
}

export interface CaseFile {
  readonly topic: string;
  readonly about: string;
  readonly cases: readonly Case[];
}

const FOLDER = fileURLToPath(new URL('../cases', import.meta.url));

/** Every case file; throws where one does not fit the schema, or a name is there twice. */
export function loadCases(): CaseFile[] {
  const read = (file: string) => JSON.parse(readFileSync(file, 'utf8'));
  const validate = new Ajv({ strict: true, strictRequired: false, strictTypes: false, allErrors: true }).compile(
    read(join(FOLDER, 'schema.json')),
  );
  return globSync(join(FOLDER, '*.json'))
    .filter((file) => basename(file) !== 'schema.json')
    .sort()
    .map((file) => {
      const found = read(file);
      assert.ok(validate(found), `${file}: ${JSON.stringify(validate.errors, null, 1)}`);
      const { topic, about, cases } = found as unknown as { topic: string; about: string; cases: (Case & { each?: Each })[] };
      const expanded = cases.flatMap((one) => expand(one));
      const names = expanded.map(({ name }) => name);
      assert.deepEqual(
        names.filter((name, at) => names.indexOf(name) < at),
        [],
        `${file}: names that are there twice`,
      );
      return { topic, about, cases: expanded };
    });
}

type Each = readonly Readonly<Record<string, unknown>>[];

/** One case for every row of `each`, with `{name}` standing for a member of the row. */
function expand({ each = [{}], ...one }: Case & { each?: Each }): Case[] {
  return each.map((row) => {
    const filled = fill(one, row) as Case;
    return { ...filled, levels: filled.levels ?? ['memory', 'envoy'], protocols: filled.protocols ?? defaultProtocols(filled) };
  });
}

function defaultProtocols({ request }: Case): Protocol[] {
  return request.raw === undefined ? ['h1', 'h2'] : ['h1'];
}

/** Puts values in for `{name}`; a string that is nothing but a placeholder becomes the value itself. */
export function fill(value: unknown, values: Readonly<Record<string, unknown>>): unknown {
  if (typeof value === 'string') {
    const whole = /^\{([\w-]+)\}$/.exec(value)?.[1];
    if (whole !== undefined && Object.hasOwn(values, whole)) return values[whole];
    return value.replace(/\{([\w-]+)\}/g, (text, name) => (Object.hasOwn(values, name) ? String(values[name]) : text));
  }
  if (Array.isArray(value)) return value.map((one) => fill(one, values));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [String(fill(name, values)), fill(one, values)]));
}

/** Where the cases are played. */
export interface World {
  readonly origin: string;
  readonly issuer: string;
  readonly testIssuer: TestIssuer;
  /** Trusted, but nobody answers there. */
  readonly deadIssuer: string;
  readonly tokenOf: TokenOf;
}

export interface Concrete {
  readonly backend: BackendName;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly headers: readonly HeaderLine[];
  readonly body: Buffer | null;
  /** The bytes of the whole request, where the case gives them. */
  readonly raw: Buffer | null;
  readonly token: string | null;
  readonly check: CheckChange;
  /** Who the token names, where it can be read. */
  readonly subject: string | null;
  /** The tool of a tools/call, as the message names it. */
  readonly tool: string | null;
}

export const PATHS: Readonly<Record<BackendName, string>> = {
  ledger: '/enterprise-ledger/mcp',
  directory: '/employee-directory/mcp',
};

const MODERN = '2026-07-28';
const MODERN_META = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientCapabilities': {},
};
const MIRRORED: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
};
const DEFAULT_MESSAGE = { jsonrpc: '2.0', id: 1, method: 'tools/list' };

/** What the placeholders of a case stand for. */
export function placeholders(world: World): Record<string, string> {
  return {
    origin: world.origin,
    host: new URL(world.origin).host,
    issuer: world.issuer,
    'test-issuer': world.testIssuer.issuer,
    'dead-issuer': world.deadIssuer,
    ledger: world.origin + PATHS.ledger,
    directory: world.origin + PATHS.directory,
  };
}

export async function makeConcrete(spec: RequestSpec, world: World): Promise<Concrete> {
  const { to: backend = 'ledger', method = 'POST' } = spec;
  const filled = fill(spec, placeholders(world)) as RequestSpec;
  const token = await tokenFor(filled.token ?? 'alice', backend, world);
  const message = withEnvelope(filled, method);
  const body = bodyOf(filled, message, method);
  const request = {
    backend,
    method,
    path: filled.path ?? PATHS[backend],
    authority: filled.host ?? 'localhost',
    headers: headersOf(filled, message, token, body !== null),
    body,
    token,
    check: filled.check ?? {},
    subject: token === null ? null : subjectOf(token),
    tool: toolOf(body),
  };
  const raw = filled.raw?.map((line) => fill(line, { token: token ?? '' })).join('\r\n');
  return { ...request, raw: raw === undefined ? null : Buffer.from(raw, 'latin1') };
}

async function tokenFor(choice: TokenChoice, backend: BackendName, world: World): Promise<string | null> {
  if (choice === 'none') return null;
  if (typeof choice === 'string') return world.tokenOf(choice, world.origin + PATHS[backend]);
  const resource = world.origin + PATHS[choice.for ?? backend];
  if ('caller' in choice) return world.tokenOf(choice.caller, resource, choice.scope);
  return world.testIssuer.token(resource, choice);
}

type Message = { readonly method?: string; readonly params?: Record<string, unknown> } & Record<string, unknown>;

function withEnvelope({ revision, message, text, base64, parts }: RequestSpec, method: string): Message | null {
  if (text !== undefined || base64 !== undefined || parts !== undefined || method !== 'POST') return null;
  const plain = (message ?? DEFAULT_MESSAGE) as Message;
  if (revision !== MODERN) return plain;
  const meta = { ...MODERN_META, ...(plain.params?._meta as object | undefined) };
  return { ...plain, params: { ...plain.params, _meta: meta } };
}

function bodyOf({ text, base64, parts }: RequestSpec, message: Message | null, method: string): Buffer | null {
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  if (parts !== undefined) {
    return Buffer.from(parts.map(textOf).join(''));
  }
  if (text !== undefined) return Buffer.from(text);
  return method === 'POST' ? Buffer.from(JSON.stringify(message)) : null;
}

function textOf(part: Part): string {
  if (typeof part === 'string') return part;
  if ('repeat' in part) return part.repeat.repeat(part.times);
  return Array.from({ length: part.times }, (_, number) => part.numbered.replaceAll('#', String(number))).join('');
}

function headersOf(spec: RequestSpec, message: Message | null, token: string | null, hasBody: boolean): HeaderLine[] {
  const defaults: Record<string, string | readonly string[] | null> = {
    accept: 'application/json, text/event-stream',
    ...(hasBody ? { 'content-type': 'application/json' } : {}),
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    ...(spec.revision === undefined ? {} : { 'mcp-protocol-version': spec.revision }),
    ...(spec.revision === MODERN && message !== null ? modernHeaders(message) : {}),
  };
  const chosen = fill(spec.headers ?? {}, { token: token ?? '' }) as NonNullable<RequestSpec['headers']>;
  const given = new Set(Object.keys(chosen).map((name) => name.toLowerCase()));
  const kept = Object.entries(defaults).filter(([name]) => !given.has(name));
  return [...kept, ...Object.entries(chosen)].flatMap(([name, value]) =>
    [value ?? []].flat().map((one): HeaderLine => [name, one]),
  );
}

function modernHeaders({ method = '', params = {} }: Message): Record<string, string> {
  const mirrored = params[MIRRORED[method] ?? ''];
  return { 'mcp-method': method, ...(typeof mirrored === 'string' ? { 'mcp-name': mirrored } : {}) };
}

/** As the backend would read it; null for a body that is refused before that matters. */
function toolOf(body: Buffer | null): string | null {
  try {
    const { method, params } = JSON.parse(String(body));
    return method === 'tools/call' && typeof params.name === 'string' ? params.name : null;
  } catch {
    return null;
  }
}

function subjectOf(token: string): string | null {
  try {
    const { sub } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return typeof sub === 'string' ? sub : null;
  } catch {
    return null;
  }
}
