/** What serves one kind of visit, and how it answers: the table of handlers is keyed by `handlerKey`. */
import type { Operation } from '../mcp/operation.ts';
import type { Denial } from '../verdict.ts';
import type { FrontDoorPorts, Visit } from './visit.ts';

/** Resolves once it has answered whole; what it throws becomes an error with the request's id. */
export type Handler = (visit: Visit, ports: FrontDoorPorts, reply: Reply) => Promise<void>;

/** By method, `GET` and `DELETE` included; a reply to a server's request under `response`. */
export type Handlers = ReadonlyMap<string, Handler>;

export interface ReplyHead {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Reply {
  /** Aborts when the client leaves, or the listener closes, before the answer is whole. */
  readonly signal: AbortSignal;
  /** Whether the head has gone out: what goes wrong afterwards can only end the answer. */
  readonly isBegun: () => boolean;
  /** One JSON-RPC message. */
  readonly json: (text: string, head?: ReplyHead) => void;
  /** A status alone; 202 for what was taken and has no answer. */
  readonly status: (status: number, headers?: ReplyHead['headers']) => void;
  /** Begins an event stream; the head goes out at once. */
  readonly stream: (head?: ReplyHead) => ReplyStream;
}

export interface ReplyStream {
  /** Text of whole events. Resolves when there is room for more; rejects once the client has left. */
  readonly write: (text: string) => Promise<void>;
  readonly end: () => void;
}

/** To be thrown by a handler: the visit is refused for one of the reasons of the table. */
export class VisitRefused extends Error {
  override name = 'VisitRefused';
  readonly denial: Denial;
  constructor(denial: Denial) {
    super(denial.reason, { cause: denial.cause });
    this.denial = denial;
  }
}

export function handlerKey({ method }: Operation): string {
  return method ?? 'response';
}
