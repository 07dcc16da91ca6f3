/** The handlers of what is answered in the name of all backends; streams and bridges are added to them. */
import { createEnd, createNotify, createSetLevel } from './fan-out.ts';
import type { Handler, Handlers } from './handler.ts';
import { createInitialize, discover, ping } from './handshake.ts';
import { LIST_KINDS } from './list-page.ts';
import { createList } from './lists.ts';

/** For one backend, in milliseconds: a handshake and a list with it. What is slower is left out. */
const MEMBER_TIMEOUT_MS = 5000;

export function createHandlers(memberTimeoutMs = MEMBER_TIMEOUT_MS): Handlers {
  const notify = createNotify(memberTimeoutMs);
  return new Map<string, Handler>([
    ['initialize', createInitialize(memberTimeoutMs)],
    ['server/discover', discover],
    ['ping', ping],
    ...LIST_KINDS.map((list) => [list.method, createList(list, memberTimeoutMs)] as const),
    ['notifications/initialized', notify],
    ['notifications/cancelled', notify],
    ['notifications/roots/list_changed', notify],
    ['notifications/progress', notify],
    ['logging/setLevel', createSetLevel(memberTimeoutMs)],
    ['DELETE', createEnd(memberTimeoutMs)],
  ]);
}
