/**
 * What a line shows of the policy's input. Values of arguments go, so do those of Envoy's context, and what lets in of a URI: a
 * line names them in `erased`, as OPA does, and has none that was not asked for. Whatever looks like a token is cut out, wherever it stands.
 */
import { cut } from '../check/record.ts';
import { REDACTED, redactTokens } from '../check/redacted-tokens.ts';
import { showTarget } from '../check/shown-target.ts';
import { inputText, type PolicyInput } from '../policy/input.ts';
import { escapePart } from './mask-rules.ts';
import { showHeaders } from './shown-headers.ts';

export interface ShownSettings {
  /** Whether lines have an input at all. */
  readonly input: boolean;
  /** Arguments that may be shown; `*` is every tool of a backend, and every argument of a tool. */
  readonly arguments: readonly { readonly backend: string; readonly tool: string; readonly names: readonly string[] }[];
  /** Entries of Envoy's `context_extensions` that may be shown. */
  readonly context: readonly string[];
}

export interface ShownInput {
  /** JSON, or null where nothing is shown. */
  readonly text: string | null;
  /** JSON pointers of what is not. */
  readonly erased: readonly string[];
}

export type Redact = (input: PolicyInput) => ShownInput;

/** Beyond it the input is left out as a whole: a line stays a line. */
const MAX_CHARACTERS = 65_536;
/** More than these are erased together: their names are the caller's. */
const MAX_ERASED = 64;
const NOTHING: ShownInput = { text: null, erased: [] };

export function createRedact({ input: isShown, arguments: argumentsShown, context }: ShownSettings): Redact {
  const namesOf = new Map<string, Set<string>>();
  for (const { backend, tool, names } of argumentsShown) {
    const key = `${backend} ${tool}`;
    namesOf.set(key, new Set([...(namesOf.get(key) ?? []), ...names]));
  }
  const contextShown = new Set(context);

  return (input) => {
    if (!isShown) return NOTHING;
    const { mcp, request } = input;
    const sets = [namesOf.get(`${mcp.backend} ${mcp.tool}`), namesOf.get(`${mcp.backend} *`)];
    const shows = (name: string): boolean => sets.some((set) => set !== undefined && (set.has('*') || set.has(name)));
    const about = split(request.context, '/input/request/context', (name) => contextShown.has(name));
    const { headers, erased: hidden } = showHeaders(request.headers);
    const { targets, erased: cutTargets } = showTargets(mcp.targets);
    const shown = {
      ...input,
      mcp: { ...mcp, targets },
      request: { ...request, headers, context: about.kept as Readonly<Record<string, string>> },
    };
    const args = mcp.arguments === null ? KEPT_NULL : split(mcp.arguments, '/input/mcp/arguments', shows);
    const cutHeaders = hidden.map((name) => `/input/request/headers/${escapePart(name)}`);
    const erased = [...cutTargets, ...args.erased, ...cutHeaders, ...about.erased];
    const text =
      args.kept === undefined ? withoutArguments(shown) : inputText({ ...shown, mcp: { ...shown.mcp, arguments: args.kept } });
    if (text.length > MAX_CHARACTERS) return { text: null, erased: ['/input'] };
    const without = redactTokens(text);
    return { text: without, erased: without === text ? erased : [...erased, ...findRedacted(without)] };
  };
}

type Targets = PolicyInput['mcp']['targets'];

/** What is left of a name stays: most rules go by it. */
function showTargets(targets: Targets): { readonly targets: Targets; readonly erased: readonly string[] } {
  const shown = targets.map((target) => ({ ...target, name: showTarget(target) }));
  const erased = shown.flatMap(({ name }, at) => (name === targets[at]?.name ? [] : [`/input/mcp/targets/${at}/name`]));
  return { targets: shown, erased: erased.length > MAX_ERASED ? ['/input/mcp/targets'] : erased };
}

interface Split {
  /** Undefined where all of it was erased together. */
  readonly kept: Readonly<Record<string, unknown>> | null | undefined;
  readonly erased: readonly string[];
}

const KEPT_NULL: Split = { kept: null, erased: [] };

function split(members: Readonly<Record<string, unknown>>, at: string, shows: (name: string) => boolean): Split {
  const names = Object.keys(members);
  const hidden = names.filter((name) => !shows(name));
  if (hidden.length === 0) return { kept: members, erased: [] };
  if (hidden.length > MAX_ERASED) return { kept: undefined, erased: [at] };
  const kept = names.filter(shows).map((name) => [name, members[name]]);
  return { kept: Object.fromEntries(kept), erased: hidden.map((name) => `${at}/${escapePart(cut(name))}`) };
}

/** Rare: who put a token there did so by mistake. What was no token but the word for one is named with them. */
function findRedacted(text: string): string[] {
  const found = new Set<string>();
  const walk = (value: unknown, at: string): void => {
    if (typeof value === 'string' && value.includes(REDACTED)) found.add(at);
    if (typeof value !== 'object' || value === null) return;
    for (const [name, member] of Object.entries(value)) {
      if (name.includes(REDACTED)) found.add(at);
      walk(member, `${at}/${escapePart(name)}`);
    }
  };
  walk(JSON.parse(text), '/input');
  return found.size > MAX_ERASED ? ['/input'] : [...found];
}

/** Rare: somebody sent more arguments than a tool has. */
function withoutArguments(input: PolicyInput): string {
  const { arguments: _erased, ...mcp } = JSON.parse(inputText({ ...input, mcp: { ...input.mcp, arguments: null } })).mcp;
  return JSON.stringify({ ...input, mcp });
}

/** Nothing that was not asked for. */
export const redactAll: Redact = createRedact({ input: true, arguments: [], context: [] });
