/**
 * The input document of both policies, version 1. Its JSON Schema is policies/schemas/input.v1.json.
 * Times come from Envoy's clock and ids from verified tokens; nothing here is computed from what a header claims.
 */
import type { HttpFacts } from '../http.ts';
import type { Operation } from '../mcp/operation.ts';
import type { Resource, ToolFacts } from '../resource.ts';
import type { Principal } from '../token/principal.ts';

const UNKNOWN_TOOL: ToolFacts = { title: null, annotations: {}, known: false };

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

export function policyInput(
  http: HttpFacts,
  resource: Resource,
  operation: Operation,
  principal: Principal,
  headerNames: readonly string[],
): PolicyInput {
  const { era, revision, kind, method, targets, tool } = operation;
  return {
    version: 1,
    mcp: { era, revision, kind, method, targets, tool, arguments: operation.arguments, backend: resource.name },
    principal,
    tool: (tool === null ? undefined : resource.tools.get(tool)) ?? UNKNOWN_TOOL,
    request: {
      method: http.method,
      host: http.host,
      path: http.path,
      sourceIp: http.sourceIp,
      sourcePrincipal: http.sourcePrincipal,
      time: new Date(http.timeMs).toISOString(),
      headers: pick(http, headerNames),
      context: http.context,
    },
  };
}

/**
 * The input as JSON text. A principal and a tool come again and again, always as the same object, so their text is kept
 * for as long as they are.
 */
export function inputText({ mcp, principal, tool, request }: PolicyInput): string {
  return `{"version":1,"mcp":${JSON.stringify(mcp)},"principal":${kept(principal)},"tool":${kept(tool)},"request":${JSON.stringify(request)}}`;
}

const texts = new WeakMap<object, string>();

function kept(value: object): string {
  const known = texts.get(value);
  if (known !== undefined) return known;
  const text = JSON.stringify(value);
  texts.set(value, text);
  return text;
}

function pick(http: HttpFacts, names: readonly string[]): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const values = http.headers.get(name);
    if (values !== undefined) picked[name] = values.join(', ');
  }
  return picked;
}
