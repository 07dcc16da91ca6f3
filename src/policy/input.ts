/**
 * The input document of both policies, version 1. Its JSON Schema is policies/schemas/input.v1.json.
 * Times come from Envoy's clock and ids from verified tokens; nothing here is computed from what a header claims.
 */
import type { HttpFacts } from '../http.ts';
import { keptText, quote, quoteOrNull, rfc3339 } from '../json-text.ts';
import type { Operation } from '../mcp/operation.ts';
import type { Resource, ToolFacts } from '../resource.ts';
import type { Principal } from '../token/principal.ts';
import { pickDeclared } from './declared-arguments.ts';

export interface PolicyInput {
  readonly version: 1;
  readonly mcp: {
    readonly era: Operation['era'];
    readonly revision: string;
    readonly kind: Operation['kind'];
    readonly method: string | null;
    readonly targets: Operation['targets'];
    readonly tool: string | null;
    readonly arguments: Operation['arguments'];
    readonly backend: string;
  };
  readonly principal: Principal;
  readonly tool: ToolFacts;
  readonly request: {
    readonly method: string;
    readonly host: string;
    readonly path: string;
    readonly sourceIp: string;
    readonly sourcePrincipal: string | null;
    /** RFC 3339, when Envoy received the request. */
    readonly time: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly context: Readonly<Record<string, string>>;
  };
}

/** @param declared the arguments that policy is given; null: all. */
export function policyInput(
  http: HttpFacts,
  resource: Resource,
  operation: Operation,
  principal: Principal,
  facts: ToolFacts,
  headerNames: readonly string[],
  declared: ReadonlySet<string> | null,
): PolicyInput {
  const { era, revision, kind, method, targets, tool } = operation;
  const args = operation.arguments === null ? null : pickDeclared(operation.arguments, declared);
  return {
    version: 1,
    mcp: { era, revision, kind, method, targets, tool, arguments: args, backend: resource.name },
    principal,
    tool: facts,
    request: {
      method: http.method,
      host: http.host,
      path: http.path,
      sourceIp: http.sourceIp,
      sourcePrincipal: http.sourcePrincipal,
      time: rfc3339(http.timeMs),
      headers: pick(http, headerNames),
      context: http.context,
    },
  };
}

/** The input as JSON text, as JSON.stringify would write it. */
export function inputText({ mcp, principal, tool, request }: PolicyInput): string {
  return `{"version":1,"mcp":${mcpText(mcp)},"principal":${keptText(principal)},"tool":${keptText(tool)},"request":${requestText(request)}}`;
}

/** The members in which the questions about the items of one list differ, and their texts. */
export const itemMembers = ['mcp', 'tool'] as const;

export function itemTexts({ mcp, tool }: Pick<PolicyInput, 'mcp' | 'tool'>): string[] {
  return [mcpText(mcp), keptText(tool)];
}

function mcpText({ era, revision, kind, method, targets, tool, backend, ...rest }: PolicyInput['mcp']): string {
  const about = targets.map(({ type, name }) => `{"type":"${type}","name":${quote(name)}}`).join(',');
  const args = rest.arguments === null ? 'null' : JSON.stringify(rest.arguments);
  return `{"era":"${era}","revision":"${revision}","kind":"${kind}","method":${quoteOrNull(method)},"targets":[${about}],"tool":${quoteOrNull(tool)},"arguments":${args},"backend":${quote(backend)}}`;
}

function requestText(request: PolicyInput['request']): string {
  const { method, host, path, sourceIp, sourcePrincipal, time, headers, context } = request;
  return `{"method":${quote(method)},"host":${quote(host)},"path":${quote(path)},"sourceIp":${quote(sourceIp)},"sourcePrincipal":${quoteOrNull(sourcePrincipal)},"time":"${time}","headers":${textsText(headers)},"context":${textsText(context)}}`;
}

/** Mostly there are none. */
function textsText(texts: Readonly<Record<string, string>>): string {
  for (const _ in texts) return JSON.stringify(texts);
  return '{}';
}

function pick(http: HttpFacts, names: readonly string[]): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const values = http.headers.get(name);
    if (values !== undefined) picked[name] = values.join(', ');
  }
  return picked;
}
