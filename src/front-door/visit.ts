/** One request at the front door, as its Check let it pass, and what the front door needs to serve it. */
import type { List, Views } from '../catalog/view.ts';
import type { Session } from '../check/session.ts';
import type { HttpFacts } from '../http.ts';
import type { ListItem } from '../mcp/lists.ts';
import type { Operation } from '../mcp/operation.ts';
import type { Member, Resource } from '../resource.ts';
import type { Result } from '../result.ts';
import type { Principal } from '../token/principal.ts';
import type { AnswerInvalid } from './events.ts';

export type { Member };

export interface Visit {
  readonly decisionId: string;
  /** The front door itself. */
  readonly resource: Resource;
  readonly http: HttpFacts;
  /** As the client sent it: names with their prefix, arguments included. */
  readonly operation: Operation;
  readonly principal: Principal;
  readonly session: Session | null;
}

/**
 * A request to a backend on behalf of a visit. Every single one is read, judged by policy, logged and given a delegation
 * token of its own, like one that came through Envoy.
 */
export interface BackendRequest {
  readonly method: 'POST' | 'GET' | 'DELETE';
  /** `mcp-*`, `last-event-id`, `accept`; credentials are added. */
  readonly headers: Readonly<Record<string, string>>;
  /** One JSON-RPC message, as text. */
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/** Policy or delegation said no; the backend was not asked. */
export class BackendRefused extends Error {
  override name = 'BackendRefused';
  readonly reason: string;
  constructor(reason: string) {
    super(`not asked: ${reason}`);
    this.reason = reason;
  }
}

export interface FrontDoorPorts {
  readonly members: readonly Member[];
  /** Rejects with BackendRefused, or as fetch does where the backend cannot be reached. The body is a stream. */
  readonly ask: (visit: Visit, member: Member, request: BackendRequest) => Promise<globalThis.Response>;
  /** Which items of a list of `member` the visitor may use; `method` is that of the list, names are without prefix. */
  readonly keep: (
    visit: Visit,
    member: Member,
    method: string,
    items: readonly ListItem[],
  ) => Promise<Result<readonly boolean[]>>;
  readonly views: Views;
  readonly sealSession: (session: Session) => string;
  /** Told of a backend that could not be reached or answered nonsense, for log and metrics. */
  readonly onUnreachable: (visit: Visit, member: Member, cause: unknown) => void;
  /** Told, besides, of a list of `member` that nobody may be shown: the decision log has a line for it. */
  readonly onInvalidList: (visit: Visit, member: Member, cause: AnswerInvalid) => void;
  /** Told of something of `member` that is left out of a list since `kept`, before it in the order, has it under that name. */
  readonly onClash?: (visit: Visit, member: Member, kept: Member, name: string) => void;
  /** Calls back whenever a backend's lists changed; returns how to stop. */
  readonly onListChanged: (listener: (backend: string, list: List) => void) => () => void;
  /** Most bytes read of one answer of a backend that is not passed on as it comes. */
  readonly maxAnswerBytes: number;
  /** Most items of one backend's page; one with more is no list. */
  readonly maxListItems: number;
}
