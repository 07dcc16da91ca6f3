/** Events of the streams of one session, kept so that a client can resume where it was cut off (Last-Event-ID). */
import type { EventStore, JSONRPCMessage } from '@modelcontextprotocol/server';

export function createEventStore(): EventStore {
  const events: { readonly streamId: string; readonly message: JSONRPCMessage }[] = [];
  const indexOf = (eventId: string) => Number(eventId.slice('event-'.length));
  const streamOf = (eventId: string) => events[indexOf(eventId)]?.streamId;
  return {
    storeEvent: async (streamId, message) => `event-${events.push({ streamId, message }) - 1}`,
    getStreamIdForEventId: async (eventId) => streamOf(eventId),
    replayEventsAfter: async (lastEventId, { send }) => {
      const streamId = streamOf(lastEventId);
      if (streamId === undefined) throw new Error('no such event');
      for (const [index, event] of events.entries()) {
        // What primes a stream is stored as an event without a message.
        if (index <= indexOf(lastEventId) || event.streamId !== streamId || !('jsonrpc' in event.message)) continue;
        await send(`event-${index}`, event.message);
      }
      return streamId;
    },
  };
}
