/**
 * Rules that a policy gives to take something out of an event before it is written, as OPA's decision-log plugin has them: a
 * path erases, `{op: "upsert", path, value}` puts something in its place. A path that leads nowhere changes nothing; a rule
 * that is none makes all of them void, and it is said which.
 */
import { isObject } from '../mcp/message.ts';

export type Event = Record<string, unknown>;

export interface MaskRule {
  readonly op: 'remove' | 'upsert';
  /** As OPA compares them: percent-encoded, the first names a member of the event. */
  readonly parts: readonly string[];
  readonly value: unknown;
}

/** What OPA's rules may change. */
const OPAS_MEMBERS = ['input', 'result', 'nd_builtin_cache'] as const;
/** What is ours and may say who somebody is or what they wrote. */
const OUR_MEMBERS = [
  'outbound',
  'targets',
  'subject',
  'client_id',
  'actor',
  'token_id',
  'delegation_token_id',
  'request_id',
  'requested_by',
  'http',
  'error',
] as const;

/** Members of an event that rules can reach. */
export const MASKABLE: ReadonlySet<string> = new Set([...OPAS_MEMBERS, ...OUR_MEMBERS]);

/** Each may walk a list; a policy that makes one for each of a caller's values would let the caller decide how many. */
const MAX_RULES = 1000;

/** Throws where one of them is no rule, or where there are too many. */
export function readMaskRules(value: unknown): MaskRule[] {
  if (!Array.isArray(value)) throw new TypeError('a mask must be a set or an array of rules');
  if (value.length > MAX_RULES) throw new TypeError(`a mask has more than ${MAX_RULES} rules`);
  return value.map(readMaskRule);
}

function readMaskRule(rule: unknown): MaskRule {
  if (typeof rule === 'string') return { op: 'remove', parts: readPath(rule), value: null };
  if (!isObject(rule)) throw new TypeError('a rule must be a path or an object');
  const { op, path, value } = rule;
  if (op !== 'remove' && op !== 'upsert') throw new TypeError('the op of a rule must be remove or upsert');
  return { op, parts: readPath(path), value: value ?? null };
}

function readPath(path: unknown): string[] {
  if (typeof path !== 'string' || !path.startsWith('/')) throw new TypeError('the path of a rule must begin with a slash');
  const parts = path.slice(1).split('/');
  if (!MASKABLE.has(parts[0] as string)) throw new TypeError('the path of a rule leads to what cannot be masked');
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) throw new TypeError('the path of a rule has a broken escape');
  return parts.map(escapePart);
}

/** As Go's url.PathEscape: this is how names stand in `erased` and `masked`. */
export function escapePart(part: string): string {
  if (/^[\w.~-]*$/.test(part)) return part;
  return encodeURIComponent(part.toWellFormed())
    .replace(/%(24|26|2B|3A|3D|40)/g, (escaped) => decodeURIComponent(escaped))
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Changes the event, which is a tree of its own, and says in it what was changed. */
export function applyMask(event: Event, rules: readonly MaskRule[]): void {
  for (const { op, parts, value } of rules) {
    const path = `/${parts.join('/')}`;
    if (!Object.hasOwn(event, parts[0] as string)) continue;
    if (op === 'remove' ? removeAt(event, parts) : upsertAt(event, parts, value)) note(event, op, path);
  }
}

function note(event: Event, op: MaskRule['op'], path: string): void {
  const member = op === 'remove' ? 'erased' : 'masked';
  const before = event[member];
  if (Array.isArray(before)) before.push(path);
  else event[member] = [path];
}

function removeAt(event: Event, parts: readonly string[]): boolean {
  const holder = find(event, parts.slice(0, -1), () => undefined);
  const last = parts.at(-1) as string;
  if (Array.isArray(holder)) {
    const index = indexOf(holder, last);
    if (index !== null) holder.splice(index, 1);
    return index !== null;
  }
  return isObject(holder) && Object.hasOwn(holder, last) && delete (holder as Event)[last];
}

function upsertAt(event: Event, parts: readonly string[], value: unknown): boolean {
  const holder = find(event, parts.slice(0, -1), (object, name) => put(object, name, {}));
  const last = parts.at(-1) as string;
  // Of its own for each place: what comes next may change it there.
  const own = structuredClone(value);
  if (Array.isArray(holder)) {
    const index = indexOf(holder, last);
    if (index !== null) holder[index] = own;
    return index !== null;
  }
  if (!isObject(holder)) return false;
  put(holder as Event, last, own);
  return true;
}

/** Follows a path; what an object lacks is as `absent` says. */
function find(event: Event, parts: readonly string[], absent: (object: Event, name: string) => unknown): unknown {
  let node: unknown = event;
  for (const part of parts) {
    if (Array.isArray(node)) {
      const index = indexOf(node, part);
      if (index === null) return undefined;
      node = node[index];
    } else if (isObject(node)) {
      node = Object.hasOwn(node, part) ? node[part] : absent(node as Event, part);
    } else return undefined;
  }
  return node;
}

/** As an own member, whatever its name. */
function put(object: Event, name: string, value: unknown): unknown {
  Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  return value;
}

function indexOf(list: readonly unknown[], part: string): number | null {
  const index = /^[+-]?\d+$/.test(part) ? Number(part) : -1;
  return index >= 0 && index < list.length ? index : null;
}
