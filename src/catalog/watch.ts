/**
 * Hears from one backend that a list changed: its GET stream in the legacy era, `subscriptions/listen` in the modern one.
 * The token lives for seconds, the stream may live longer; whenever it ends it is opened again, later each time.
 */
import type { SubscriptionFilter } from '@modelcontextprotocol/client';
import { isObject } from '../mcp/message.ts';
import { type Bounds, type Connection, connect, type Reach } from './connection.ts';
import { type BackendView, LISTS, type List } from './view.ts';

/** Of one stream: what a backend that tells of changes needs in days. */
const MAX_BYTES = 1024 * 1024;
/** The handshake, and answers to what the backend may ask on its stream. */
const MAX_REQUESTS = 16;

/** The lists of which a backend says that it tells when they change. */
export function announcedLists({ capabilities }: BackendView): List[] {
  return LISTS.filter((list) => {
    const capability = capabilities[list];
    return isObject(capability) && capability.listChanged === true;
  });
}

/** Resolves when the stream is over, rejects where it could not be opened. */
export async function watchOnce(
  reach: Reach,
  view: BackendView,
  timeoutMs: number,
  signal: AbortSignal,
  onChange: () => void,
): Promise<void> {
  const bounds: Bounds = { maxBytes: MAX_BYTES, maxRequests: MAX_REQUESTS, timeoutMs, signal };
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  signal.addEventListener('abort', end, { once: true });
  const connection = await connect(reach, view.eras.modern ? 'modern' : 'legacy', bounds, { listens: true, onStreamEnd: end });
  try {
    connection.client.onerror = end;
    for (const list of LISTS) {
      connection.client.setNotificationHandler(`notifications/${list}/list_changed`, onChange);
    }
    if (connection.era === 'modern') await listen(connection, view, { timeoutMs, signal, end });
    await ended;
  } finally {
    signal.removeEventListener('abort', end);
    await connection.close();
  }
}

async function listen(
  { client }: Connection,
  view: BackendView,
  { timeoutMs, signal, end }: { timeoutMs: number; signal: AbortSignal; end: () => void },
): Promise<void> {
  const filter: SubscriptionFilter = Object.fromEntries(announcedLists(view).map((list) => [`${list}ListChanged`, true]));
  const { closed } = await client.listen(filter, { timeout: timeoutMs, signal });
  closed.then(end, end);
}
