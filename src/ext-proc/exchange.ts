/**
 * One HTTP exchange as ext_proc shows it: headers and bodies both ways, each answered with what becomes of it. Plain data;
 * `server.ts` translates it into Envoy's messages.
 */
import type { Response } from '../check/answer.ts';
import type { HeaderLine, Headers } from '../http.ts';

/** Given in place of whatever would come next. */
export interface Instead {
  readonly kind: 'respond';
  readonly response: Response;
}

export interface RequestStep {
  readonly kind: 'continue';
  readonly set: readonly HeaderLine[];
  readonly remove: readonly string[];
  /** The whole body is wanted, to be replaced. */
  readonly wantsBody: boolean;
  /** The answer's headers are wanted. */
  readonly wantsResponse: boolean;
}

export interface ResponseStep {
  readonly kind: 'continue';
  readonly set: readonly HeaderLine[];
  readonly remove: readonly string[];
  /** The body is wanted, piece by piece as it comes. */
  readonly wantsBody: boolean;
}

/** Called in this order, each at most once but the last, and only once the one before has answered. What throws ends the exchange: Envoy answers 500 or resets. */
export interface Exchange {
  readonly requestHeaders: (headers: Headers) => RequestStep | Instead;
  readonly requestBody: (body: Buffer) => Buffer | Instead;
  /** @param isLast no body follows. */
  readonly responseHeaders: (
    status: number,
    headers: Headers,
    isLast: boolean,
  ) => ResponseStep | Instead | Promise<ResponseStep | Instead>;
  /** What goes on in place of a piece; may be empty, to hold it back. */
  readonly responseBody: (piece: Buffer, isLast: boolean) => Promise<Buffer>;
  /** Once and last, where Envoy gave the exchange up before what was wanted of it had come. */
  readonly abandoned?: () => void;
}

export type OpenExchange = () => Exchange;
