/**
 * The policy input of an imagined request, made as the sidecar makes it: a real MCP message is read by the real reader, claims
 * become a principal by the same rules. What the sidecar would refuse before it asks policy is refused here too.
 */
import { type HttpFacts, noFacts } from '../http.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import { METHODS } from '../mcp/methods.ts';
import { encodeSentinel, type Operation, readOperation } from '../mcp/operation.ts';
import { type PolicyInput, policyInput } from '../policy/input.ts';
import { REASONS } from '../reasons.ts';
import type { Resource, ToolFacts } from '../resource.ts';
import { toPrincipal } from '../token/principal.ts';
import type { Denial } from '../verdict.ts';
import { ToolError } from './io.ts';
import type { Person } from './people.ts';

export interface Imagined {
  readonly person: Person;
  readonly resource: Pick<Resource, 'name' | 'path'> & { readonly url: string };
  readonly method: string;
  /** What the message names: a tool, a prompt, the URI of a resource, the id of a task. */
  readonly target: string | null;
  readonly args: JsonObject | null;
  /** In place of what is made of `target` and `args`. */
  readonly params: JsonObject | null;
  readonly revision: string;
  readonly facts: ToolFacts;
  /** Epoch milliseconds. */
  readonly now: number;
}

const LIFETIME_S = 300;
const LIMITS = { maxBytes: 1 << 24, maxDepth: 64 };

/** Throws ToolError where the request would never reach policy. */
export function imagineInput(asked: Imagined): PolicyInput {
  const http = httpOf(asked);
  const operation = readOperation(http, LIMITS);
  if (!operation.ok) throw new ToolError(beforePolicy(operation.denial));
  return policyInput(http, asked.resource as Resource, operation.value as Operation, principalOf(asked), asked.facts, [], null);
}

function principalOf({ person, resource, now }: Imagined) {
  const principal = toPrincipal({
    ...person.claims,
    iss: person.issuer ?? 'https://issuer.example',
    sub: person.subject,
    client_id: person.client,
    scope: person.scopes.join(' '),
    aud: resource.url,
    exp: Math.floor(now / 1000) + LIFETIME_S,
    jti: 'imagined',
  });
  if (!principal.ok) throw new ToolError(beforePolicy(principal.denial));
  return principal.value;
}

function beforePolicy({ reason, cause }: Denial): string {
  const more = typeof cause === 'string' ? ` (${cause})` : '';
  return `the sidecar would refuse this before it asks policy: ${reason}${more}. ${REASONS[reason].message}`;
}

function httpOf(asked: Imagined): HttpFacts {
  const { method, resource, revision, now } = asked;
  const url = new URL(resource.url);
  const basis = { ...noFacts(), host: url.host, path: resource.path, sourceIp: '127.0.0.1', timeMs: now };
  if (method === 'GET' || method === 'DELETE')
    return { ...basis, method, headers: new Map([['mcp-protocol-version', [revision]]]) };
  const params = asked.params ?? paramsOf(asked);
  const isModern = revision >= '2026';
  const kind = METHODS.get(method)?.kind ?? 'request';
  const message = {
    jsonrpc: '2.0',
    ...(kind === 'request' ? { id: 1 } : {}),
    method,
    params: isModern ? { ...params, _meta: { ...ENVELOPE(revision), ...(isObject(params._meta) ? params._meta : {}) } } : params,
  };
  const headers = new Map([
    ['content-type', ['application/json']],
    ['mcp-protocol-version', [revision]],
  ]);
  const named = METHODS.get(method)?.mirrored;
  if (isModern) headers.set('mcp-method', [method]);
  if (isModern && named !== undefined && typeof params[named] === 'string')
    headers.set('mcp-name', [encodeSentinel(params[named])]);
  return { ...basis, method: 'POST', headers, body: Buffer.from(JSON.stringify(message)) };
}

const ENVELOPE = (revision: string): JsonObject => ({
  'io.modelcontextprotocol/protocolVersion': revision,
  'io.modelcontextprotocol/clientInfo': { name: 'imagined', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
});

function paramsOf({ method, target, args, revision }: Imagined): JsonObject {
  if (method === 'initialize')
    return { protocolVersion: revision, capabilities: {}, clientInfo: { name: 'imagined', version: '1' } };
  const member = method.startsWith('resources/') ? 'uri' : method.startsWith('tasks/') ? 'taskId' : 'name';
  return { ...(target === null ? {} : { [member]: target }), ...(args === null ? {} : { arguments: args }) };
}
