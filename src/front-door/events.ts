/** The server-sent events of a backend's answer, one after the other, each of bounded size. */
import { type AnswerUnreadable, createEventRewriter, type ServerSentEvent } from '../mcp/events.ts';

export interface ServerEvent {
  /** Empty for one that carries no message: its id counts all the same. */
  readonly data: string;
  readonly id: string | null;
  readonly retry: number | null;
}

/** An answer that is not what it should be. */
export class AnswerInvalid extends Error {
  override name = 'AnswerInvalid';
}

/** One that ends in the middle of an event loses that event, as the standard has it. Throws AnswerInvalid, or as the stream does. */
export async function* readEvents(body: AsyncIterable<Uint8Array>, maxEventBytes: number): AsyncGenerator<ServerEvent> {
  const read: ServerEvent[] = [];
  const reader = createEventRewriter({
    maxEventBytes,
    rewrite: (event) => {
      if (event.data !== null || event.id !== null) read.push(toServerEvent(event));
      return 'drop';
    },
  });
  for await (const piece of body) {
    const { fault } = await reader.push(piece);
    yield* read.splice(0);
    if (fault !== null) throw new AnswerInvalid(describe(fault), { cause: fault });
  }
}

function toServerEvent({ type, data, id, retry }: ServerSentEvent): ServerEvent {
  // Of any other type are a server's own signs of life, and no JSON-RPC.
  const isMessage = type === null || type === '' || type === 'message';
  return { data: isMessage ? (data ?? '') : '', id, retry };
}

function describe({ fault }: AnswerUnreadable): string {
  return fault === 'body_too_large' ? 'an event is too large' : 'an event is not UTF-8';
}
