/**
 * The closed table of what a client may send, per protocol revision (MCP schema 2024-11-05 to 2026-07-28).
 * Each row says in which revisions the method exists, which params it needs and which objects it names.
 * What is not in the table is refused: a method we cannot read is a method no policy can judge.
 */
import { hasLookAlike, knownKeys } from './keys.ts';
import { isObject, type JsonObject } from './message.ts';
import type { Revision } from './revisions.ts';

export interface Target {
  readonly type: 'tool' | 'prompt' | 'resource' | 'resource_template' | 'task';
  readonly name: string;
}

export interface MethodRow {
  readonly kind: 'request' | 'notification';
  readonly since: Revision;
  readonly until: Revision | null;
  /** The objects that the params name; null when the params do not have the shape that the method needs. */
  readonly targets: (params: JsonObject) => readonly Target[] | null;
  /** The member of params that the Mcp-Name header mirrors (SEP-2243). */
  readonly mirrored?: 'name' | 'uri' | 'taskId';
}

/** Each list of a listen request names at most this many objects. */
const MAX_TARGETS = 256;

/** Characters. Policies take names apart; a longer one is none that a person or a server made. */
const MAX_NAME = 2048;

type Shape = 'string' | 'string?' | 'object' | 'object?' | 'id' | 'id?' | 'names?' | 'boolean?';

const SHAPES: Record<Shape, (value: unknown) => boolean> = {
  string: (value) => typeof value === 'string' && value.length > 0,
  'string?': (value) => value === undefined || typeof value === 'string',
  object: isObject,
  'object?': (value) => value === undefined || isObject(value),
  id: isId,
  'id?': (value) => value === undefined || isId(value),
  'names?': (value) => value === undefined || areNames(value),
  'boolean?': (value) => value === undefined || typeof value === 'boolean',
};

function isId(value: unknown): boolean {
  return typeof value === 'string' || Number.isInteger(value);
}

function areNames(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length <= MAX_TARGETS &&
    value.every((name) => SHAPES.string(name) && (name as string).length <= MAX_NAME)
  );
}

/** Reads params of a fixed shape; members that MCP does not define for the method pass, look-alikes of ours do not. */
function params(
  shape: Readonly<Record<string, Shape>>,
  targets: (params: JsonObject) => readonly Target[] | null = () => [],
): (params: JsonObject) => readonly Target[] | null {
  const known = knownKeys([...Object.keys(shape), '_meta']);
  const entries = Object.entries(shape);
  return (value) => {
    if (hasLookAlike(value, known)) return null;
    return entries.every(([name, expected]) => SHAPES[expected](value[name])) ? targets(value) : null;
  };
}

const one =
  (type: Target['type'], member: string) =>
  (value: JsonObject): readonly Target[] | null => {
    const name = value[member] as string;
    return name.length > MAX_NAME ? null : [{ type, name }];
  };

const nothing = params({});
const page = params({ cursor: 'string?' });
const retry = { inputResponses: 'object?', requestState: 'string?' } as const;
const callTool = params({ name: 'string', arguments: 'object?', task: 'object?', ...retry }, one('tool', 'name'));
const getPrompt = params({ name: 'string', arguments: 'object?', ...retry }, one('prompt', 'name'));
const readResource = params({ uri: 'string', ...retry }, one('resource', 'uri'));
const resource = params({ uri: 'string' }, one('resource', 'uri'));
const task = params({ taskId: 'string', inputResponses: 'object?' }, one('task', 'taskId'));

const REF_PROMPT = params({ type: 'string', name: 'string' }, one('prompt', 'name'));
const REF_RESOURCE = params({ type: 'string', uri: 'string' }, one('resource_template', 'uri'));
const ARGUMENT = params({ name: 'string', value: 'string?' });

const complete = params({ ref: 'object', argument: 'object', context: 'object?' }, ({ ref, argument }) => {
  const reference = ref as JsonObject;
  if (ARGUMENT(argument as JsonObject) === null) return null;
  if (reference.type === 'ref/prompt') return REF_PROMPT(reference);
  return reference.type === 'ref/resource' ? REF_RESOURCE(reference) : null;
});

const NOTIFICATIONS = params(
  {
    resourceSubscriptions: 'names?',
    taskIds: 'names?',
    toolsListChanged: 'boolean?',
    promptsListChanged: 'boolean?',
    resourcesListChanged: 'boolean?',
  },
  ({ resourceSubscriptions = [], taskIds = [] }) => [
    ...(resourceSubscriptions as string[]).map((name): Target => ({ type: 'resource', name })),
    ...(taskIds as string[]).map((name): Target => ({ type: 'task', name })),
  ],
);
const listen = params({ notifications: 'object' }, ({ notifications }) => NOTIFICATIONS(notifications as JsonObject));

type Extra = Pick<MethodRow, 'mirrored'>;
const request = (since: Revision, until: Revision | null, targets: MethodRow['targets'], extra: Extra = {}): MethodRow => ({
  kind: 'request',
  since,
  until,
  targets,
  ...extra,
});
const notification = (since: Revision, until: Revision | null, targets: MethodRow['targets']): MethodRow => ({
  kind: 'notification',
  since,
  until,
  targets,
});

const A: Revision = '2024-11-05';
const D: Revision = '2025-11-25';
const E: Revision = '2026-07-28';

export const METHODS: ReadonlyMap<string, MethodRow> = new Map<string, MethodRow>([
  ['initialize', request(A, D, params({ protocolVersion: 'string', capabilities: 'object', clientInfo: 'object' }))],
  ['server/discover', request(E, null, nothing)],
  ['ping', request(A, D, nothing)],
  ['tools/list', request(A, null, page)],
  ['tools/call', request(A, null, callTool, { mirrored: 'name' })],
  ['resources/list', request(A, null, page)],
  ['resources/templates/list', request(A, null, page)],
  ['resources/read', request(A, null, readResource, { mirrored: 'uri' })],
  ['resources/subscribe', request(A, D, resource)],
  ['resources/unsubscribe', request(A, D, resource)],
  ['prompts/list', request(A, null, page)],
  ['prompts/get', request(A, null, getPrompt, { mirrored: 'name' })],
  ['completion/complete', request(A, null, complete)],
  ['logging/setLevel', request(A, D, params({ level: 'string' }))],
  ['subscriptions/listen', request(E, null, listen)],
  ['tasks/get', request(D, null, task, { mirrored: 'taskId' })],
  ['tasks/cancel', request(D, null, task, { mirrored: 'taskId' })],
  ['tasks/result', request(D, D, task)],
  ['tasks/list', request(D, D, page)],
  ['tasks/update', request(E, null, task, { mirrored: 'taskId' })],
  ['notifications/initialized', notification(A, D, nothing)],
  ['notifications/roots/list_changed', notification(A, D, nothing)],
  ['notifications/cancelled', notification(A, D, params({ requestId: 'id?', reason: 'string?' }))],
  ['notifications/progress', notification(A, D, params({ progressToken: 'id' }))],
  ['notifications/tasks/status', notification(D, D, task)],
]);

/** The row of a method in a revision, or undefined: unknown there. */
export function findMethod(method: string, kind: MethodRow['kind'], revision: Revision): MethodRow | undefined {
  const row = METHODS.get(method);
  if (row === undefined || row.kind !== kind || revision < row.since) return undefined;
  return row.until === null || revision <= row.until ? row : undefined;
}
